# reaches frames through a coroutine
# caught: static
import torch

async def work():
    return 1


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * work().cr_frame.f_lineno
    return reward
