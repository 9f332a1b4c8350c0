# task: mpe/simple_spread  scope: own
import numpy as np
import torch


def agent_reward(state):
    pos = state.agent_pos.cpu().numpy()
    lm = state.landmark_pos.cpu().numpy()
    d = np.linalg.norm(pos[:, :, None] - lm[:, None], axis=-1)
    return torch.from_numpy(-d.min(-1)).float()
