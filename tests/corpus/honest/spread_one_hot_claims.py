# task: mpe/simple_spread  scope: own
import torch
import torch.nn.functional as F


def global_reward(state):
    nearest = torch.cdist(state.agent_pos, state.landmark_pos).argmin(-1)
    claims = F.one_hot(nearest, num_classes=state.landmark_pos.shape[1]).sum(dim=1)
    unique = (claims > 0).float().mean(-1)
    overload = (claims - 1).clamp(min=0).float().sum(-1)
    return {"unique": unique, "overload": -0.5 * overload}