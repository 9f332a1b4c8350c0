# task: mpe/simple_spread  scope: own
import math

import torch
import torch.nn.functional as F

BINS = 8


def enhance_observation(obs):
    dx, dy = obs[..., 4:10:2], obs[..., 5:10:2]
    angle = torch.atan2(dy, dx)
    index = ((angle + math.pi) / (2 * math.pi) * BINS).long() % BINS
    return F.one_hot(index, BINS).float().flatten(-2)