# task: mpe/simple_speaker_listener  scope: own
import torch
import torch.nn.functional as F


def agent_reward(state):
    goal = state.goal[:, 1].clamp_min(0)
    said = (state.message[:, 0] * 4.0).float()
    loss = F.cross_entropy(said, goal, reduction="none")
    way = state.reward[:, 1]
    return torch.stack((-loss, way), -1)