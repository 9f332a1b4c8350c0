# replaces the generator's state
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.random.set_rng_state(torch.random.get_rng_state())
    return reward
