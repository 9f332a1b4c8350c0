# task: lbf/10x10-3p-3f  scope: own
import torch


def agent_reward(state):
    levels = state.agent_level.float()
    way = torch.cdist(state.agent_pos.float(), state.food_pos.float(), p=1)
    able = levels.unsqueeze(-1) >= state.food_level.float().unsqueeze(1)
    there = (state.food_level > 0).unsqueeze(1)
    good = way.masked_fill(~(able & there), 20.0).amin(-1)
    return -good / 20.0 + 3.0 * state.reward