# task: mpe/simple_spread  scope: own
import torch as th
from torch import Tensor as T
from torch.nn import functional as F

Tensor = th.Tensor


def gap(a: T, b: Tensor) -> "th.Tensor":
    return th.cdist(a, b)


def agent_reward(state) -> T:
    d = gap(state.agent_pos, state.landmark_pos)
    assert isinstance(d, th.Tensor)
    return F.softplus(-d.amin(-1)) - F.mse_loss(d.mean() * 0, d.mean() * 0)