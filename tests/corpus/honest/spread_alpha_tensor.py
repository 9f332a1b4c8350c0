# task: mpe/simple_spread  scope: own
import torch

ALPHA = torch.tensor([0.25, 0.5, 0.75])

def agent_reward(state):
    return state.reward * 0.5

def global_reward(state):
    return state.reward.mean(dim=1)