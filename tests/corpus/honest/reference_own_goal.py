# task: mpe/simple_reference  scope: own
import torch


def own_target(state, s):
    index = state.goal.unsqueeze(-1).expand(-1, -1, 2)
    return s.landmark_pos.gather(1, index)


def agent_reward(state):
    now = (state.agent_pos - own_target(state, state)).norm(dim=-1)
    before = (state.prev.agent_pos - own_target(state, state.prev)).norm(dim=-1)
    return {"gain": 10 * (before - now), "reach": (now < 0.1).float()}