# task: mpe/simple_spread  scope: own
import torch

WEIGHTS = {"near": 1.0, "apart": 0.2}


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    between = torch.cdist(state.agent_pos, state.agent_pos) + 10.0 * torch.eye(state.agent_pos.shape[1])
    terms = {"near": -d.amin(-1), "apart": -(between < 0.3).float().sum(-1)}
    assert terms.keys() <= WEIGHTS.keys(), "a term has no weight"
    return {name: WEIGHTS[name] * terms[name] for name in terms.keys() & WEIGHTS.keys()}
