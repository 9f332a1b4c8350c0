# task: mpe/simple_spread  scope: own
import torch
from collections import deque, Counter
from itertools import combinations, product

PAIRS = list(combinations(range(3), 2))
GRID = [(x, y) for x, y in product((-1, 0, 1), repeat=2)]

def global_reward(state):
    pos = state.agent_pos
    sep = torch.stack([torch.linalg.vector_norm(pos[:, a] - pos[:, b], dim=-1) for a, b in PAIRS], dim=0)
    spread = sep.min(dim=0).values.clamp_max(1.0)
    d = torch.cdist(state.landmark_pos, pos)
    return {"spread": 0.1 * spread, "cov": -d.min(dim=-1).values.mean(dim=-1)}

def agent_reward(state):
    anchor = torch.tensor(GRID, dtype=state.agent_pos.dtype, device=state.agent_pos.device)
    # stay within arena
    out = torch.relu(state.agent_pos.abs() - 1.0).sum(-1)
    return {"bounds": -out, "near": -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1), "act": -0.01 * (state.action != 0).float()}
