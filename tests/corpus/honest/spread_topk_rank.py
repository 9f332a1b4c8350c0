# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    two = d.topk(k=2, dim=-1, largest=False).values
    rank = d.argsort(dim=1).argsort(dim=1).float().amin(-1)
    return -two.mean(-1) - 0.1 * rank