# task: mpe/simple_spread  scope: own
import torch

DEBUG = False


def agent_reward(state):
    d = torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    if DEBUG:
        print("mean distance", d.mean().item(), f"shape {d.shape}")
    print(f"[reward] rows={len(d)} {d.shape[1]:>3d}")
    return -d