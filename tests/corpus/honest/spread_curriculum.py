# task: mpe/simple_spread  scope: own
import torch

STAGES = [(0.0, 0.5), (0.3, 0.3), (0.6, 0.1)]


def agent_reward(state):
    near = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    radius = torch.full_like(state.training_progress, STAGES[0][1])
    for start, r in STAGES[1:]:
        radius = torch.where(state.training_progress >= start, torch.full_like(radius, r), radius)
    return (near < radius.unsqueeze(-1)).float() - near