# task: mpe/simple_spread?agents=5  scope: own
import torch


def agent_reward(state):
    N = state.agent_pos.shape[1]
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    claimed = torch.zeros_like(d)
    owner = d.argmin(dim=1)
    claimed.scatter_(1, owner.unsqueeze(1), 1.0)
    return (claimed * (1 - d).clamp(min=0)).sum(-1) / N