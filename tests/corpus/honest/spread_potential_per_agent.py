# task: mpe/simple_spread  scope: own
import torch

SCALE = 2.0


def potential(s):
    nearest = torch.cdist(s.agent_pos, s.landmark_pos).amin(-1)
    return torch.exp(-SCALE * nearest)


def agent_reward(state):
    shaped = state.gamma * potential(state) - potential(state.prev)
    return {"shaping": shaped, "native": 0.1 * state.reward}