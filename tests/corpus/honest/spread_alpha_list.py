# task: mpe/simple_spread  scope: own
import torch

ALPHA = [0.2, 0.5, 0.9]


def agent_reward(state):
    return -state.agent_pos.square().sum(-1)


def global_reward(state):
    return -torch.cdist(state.landmark_pos, state.agent_pos).amin(-1).mean(-1)