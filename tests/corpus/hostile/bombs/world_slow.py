# loops ten thousand times for each agent
# caught: dynamic
# slow: ends at a limit of time
import numpy as np


def agent_reward(self, agent, world):
    """Come close to the nearest landmark."""
    reward = -min(np.linalg.norm(agent.state.p_pos - landmark.state.p_pos) for landmark in world.landmarks)
    for _ in range(20000):
        reward = reward + 0.0
        reward = reward * 1.0
    return reward
