# task: mpe/simple_spread  scope: own
import numpy as np
import torch

CORNERS = torch.from_numpy(np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=np.float32))


def agent_reward(state):
    corner = torch.cdist(state.agent_pos, CORNERS.expand(state.agent_pos.shape[0], 4, 2)).amin(-1)
    near = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return 0.05 * np.log1p(1.0) * corner - near