# takes the logarithm of a distance that may be zero
# caught: dynamic
import numpy as np


def agent_reward(self, agent, world):
    """Come close to the nearest landmark."""
    reward = -min(np.linalg.norm(agent.state.p_pos - landmark.state.p_pos) for landmark in world.landmarks)
    reward = reward + np.log(min(np.linalg.norm(agent.state.p_pos - other.state.p_pos) for other in world.landmarks))
    return reward
