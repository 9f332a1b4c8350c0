# task: lbf/8x8-2p-2f-coop  scope: own
import torch

LOAD = 5


def agent_reward(state):
    way = torch.cdist(state.prev.agent_pos.float(), state.prev.food_pos.float(), p=1)
    beside = ((way == 1) & (state.prev.food_level > 0).unsqueeze(1)).any(-1)
    loads = state.action == LOAD
    return 0.1 * (beside & loads).float() - 0.02 * (loads & ~beside).float() + state.reward


def global_reward(state):
    eaten = (state.prev.food_level.sum(-1) - state.food_level.sum(-1)).float()
    return eaten / state.food_total.clamp(min=1).float()