# task: mpe/simple_spread  scope: own
import torch

EDGES = torch.tensor([0.1, 0.25, 0.5, 1.0])
VALUES = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0])


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1).contiguous()
    return VALUES[torch.bucketize(d, EDGES)]