# task: lbf/8x8-2p-2f-coop  scope: own
import torch
def agent_reward(state):
    moved = (state.agent_pos != state.prev.agent_pos).any(-1)
    blocked = (state.action > 0) & (state.action < 5) & ~moved
    lvl = state.agent_level / state.agent_level.sum(-1, keepdim=True)
    left = state.food_level.gt(0).sum(-1)
    first = state.food_level.gt(0).float().argmax(-1)
    tgt = state.food_pos[torch.arange(left.shape[0], device=left.device), first].float()
    d = (state.agent_pos.float() - tgt[:, None]).abs().sum(-1)
    return {"blocked": -0.01 * blocked.float(), "order": -d * (left > 0).float()[:, None] / 14, "merit": 5 * lvl * state.reward}
