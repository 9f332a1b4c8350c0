# task: mpe/simple_spread  scope: own
import torch

K = 2


def agent_reward(state):
    if (n := state.landmark_pos.shape[1]) >= K:
        d = torch.cdist(state.agent_pos, state.landmark_pos).kthvalue(K if n > K else 1, dim=-1).values
    else:
        d = torch.cdist(state.agent_pos, state.landmark_pos)[..., 0]
    return -d if n else d