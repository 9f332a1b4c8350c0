# task: mpe/simple_spread  scope: own
import torch

def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos)
    b, n = torch.where(d.amin(-1) < 0.1)
    r = -d.amin(-1)
    r[b, n] = 1.0
    F = torch.nn.functional
    padded = F.pad(d, (0, 1), value=2.0)
    gap = padded.diff(dim=-1).abs().mean(-1)
    return {"r": r, "gap": 0.01 * gap}

def global_reward(state):
    counts = torch.stack([torch.bincount(row, minlength=3) for row in torch.cdist(state.agent_pos, state.landmark_pos).argmin(-1)])
    return (counts > 0).float().mean(-1)
