# writes with torch.save
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.save(reward, '/canary/out.pt')
    return reward
