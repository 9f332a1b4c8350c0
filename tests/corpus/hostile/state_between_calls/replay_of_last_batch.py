# pays for novelty against all earlier batches
# caught: static
import torch

SEEN = []


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    SEEN.append(state.agent_pos.mean((0, 1)))
    reward = reward + (state.agent_pos - torch.stack(SEEN).mean(0)).norm(dim=-1)
    return reward
