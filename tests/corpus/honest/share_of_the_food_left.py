# task: lbf/8x8-2p-2f-coop  scope: own
import torch
def global_reward(state):
    d = torch.cdist(state.agent_pos, state.food_pos, p=1)
    team = d.sum(dim=1)
    team = torch.where(state.food_level > 0, team, torch.full_like(team, 100.0))
    best = team.min(dim=-1).values
    best = torch.where(best >= 100.0, torch.zeros_like(best), best)
    return {"meet": -best / 28.0, "food": 1.0 - state.food_level.sum(-1) / state.food_total}
def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.food_pos, p=1)
    adj = (d == 1) & (state.food_level[:, None] > 0)
    loading = (state.action == 5)
    return {"adj": adj.any(-1).float() * 0.05, "wasted": -0.02 * (loading & ~adj.any(-1)).float(), "joint": (adj & loading[..., None]).all(dim=1).any(-1, keepdim=True).float().expand(-1, 2)}
