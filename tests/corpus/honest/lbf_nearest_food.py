# task: lbf/8x8-2p-2f-coop  scope: own
import torch


def agent_reward(state):
    d = (state.agent_pos.unsqueeze(2) - state.food_pos.unsqueeze(1)).abs().sum(-1).float()
    d = d.masked_fill((state.food_level <= 0).unsqueeze(1), 99.0)
    near = d.min(-1).values
    near = torch.where(near > 50, torch.zeros_like(near), near)
    return 5 * state.reward - 0.05 * near