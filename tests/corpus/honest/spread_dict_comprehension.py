# task: mpe/simple_spread  scope: own
import torch

WEIGHTS = {"near": 1.0, "slow": 0.1, "apart": 0.2}


def terms(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    v = state.agent_vel.norm(dim=-1)
    others = torch.cdist(state.agent_pos, state.agent_pos).sum(-1) / 2.0
    return {"near": -d, "slow": -v * (d < 0.2).float(), "apart": others.clamp(max=1.0)}


def agent_reward(state):
    return {name: WEIGHTS[name] * value for name, value in terms(state).items()}