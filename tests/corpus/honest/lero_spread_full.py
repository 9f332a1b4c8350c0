# task: mpe/simple_spread  scope: team
import numpy as np
import torch

SCOPE = "team"


def agent_reward(self, agent, world):
    d = [np.linalg.norm(agent.state.p_pos - l.state.p_pos) for l in world.landmarks]
    return -np.min(d) + (1.0 if np.min(d) < 0.1 else 0.0)


def global_reward(self, world):
    claims = np.zeros(len(world.landmarks))
    for a in world.agents:
        d = [np.sum((a.state.p_pos - l.state.p_pos) ** 2) for l in world.landmarks]
        claims[np.argmin(d)] += 1
    return float(np.count_nonzero(claims)) - float(np.maximum(claims - 1, 0).sum())


def stateEnhance(obs):
    distances = obs[..., 4:10].reshape(obs.shape[0], obs.shape[1], 3, 2).norm(dim=-1)
    team = distances.amin(dim=1, keepdim=True).expand_as(distances)
    return torch.cat([distances, (distances <= team).float()], dim=-1)