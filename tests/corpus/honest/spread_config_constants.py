# task: mpe/simple_spread  scope: own
import torch

CONFIG = {
    "collision": {"radius": 0.3, "weight": 1.0},
    "cover": {"radius": 0.1, "weight": 3.0},
}
ALPHA = 0.5
EPS = 1e-6


def agent_reward(state):
    c = CONFIG["collision"]
    d = torch.cdist(state.agent_pos, state.agent_pos)
    hits = (d < c["radius"]).float().sum(-1) - 1.0
    return -c["weight"] * hits.clamp(min=0.0)


def global_reward(state):
    c = CONFIG["cover"]
    d = torch.cdist(state.landmark_pos, state.agent_pos).amin(-1) + EPS
    return c["weight"] * (d < c["radius"]).float().mean(-1) - d.mean(-1)