# task: mpe/simple_spread  scope: own
import torch

THRESHOLD = 0.1


def global_reward(state):
    near = torch.cdist(state.landmark_pos, state.agent_pos).min(dim=-1)[0]
    covered = (near < THRESHOLD).float().mean(-1)
    return covered * (1.0 + (1.0 - state.time)) - near.mean(-1)