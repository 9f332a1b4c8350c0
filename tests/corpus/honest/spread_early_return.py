# task: mpe/simple_spread  scope: own
import torch


def bonus(d, kind="exp"):
    if kind == "exp":
        return torch.exp(-4 * d)
    elif kind == "linear":
        return 1 - d
    return torch.zeros_like(d)


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos).min(dim=2).values
    return bonus(d) + bonus(d, kind="linear") + bonus(d, "none")