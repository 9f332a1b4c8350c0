# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    rewards = torch.zeros_like(state.reward)
    d = torch.cdist(state.agent_pos, state.landmark_pos).min(-1).values
    rewards[d < 0.1] = 1.0
    rewards[d >= 0.1] -= d[d >= 0.1]
    rewards[:, 0] *= 1.0
    out = rewards.clone()
    out += 0.01 * state.reward
    return out