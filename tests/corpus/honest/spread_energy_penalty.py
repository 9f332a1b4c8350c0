# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    moved = (state.action != 0).to(torch.float32)
    energy = 0.01 * moved
    return -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1) - energy