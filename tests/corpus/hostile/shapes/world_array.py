# returns an array of two numbers
# caught: dynamic
import numpy as np


def agent_reward(self, agent, world):
    """Come close to the nearest landmark."""
    reward = -min(np.linalg.norm(agent.state.p_pos - landmark.state.p_pos) for landmark in world.landmarks)
    return agent.state.p_pos
    return reward
