# starts an executor
# caught: static
import torch
import concurrent.futures


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    concurrent.futures.ProcessPoolExecutor().submit(print)
    return reward
