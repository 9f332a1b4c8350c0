# task: mpe/simple_spread  scope: own
import itertools

import torch

PERMS = torch.tensor(list(itertools.permutations(range(3))))


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    idx = PERMS.to(d.device)
    costs = d[:, torch.arange(3, device=d.device), idx].sum(-1)
    best = idx[costs.argmin(dim=-1)]
    return -d.gather(-1, best.unsqueeze(-1)).squeeze(-1)