# returns a complex number
# caught: dynamic
import numpy as np


def agent_reward(self, agent, world):
    """Come close to the nearest landmark."""
    reward = -min(np.linalg.norm(agent.state.p_pos - landmark.state.p_pos) for landmark in world.landmarks)
    reward = reward * np.sqrt(-1.0 + 0.0 * len(world.agents)) + (-1) ** 0.5
    return reward
