# task: mpe/simple_spread  scope: own
import torch


def global_reward(state):
    centred = state.agent_pos - state.agent_pos.mean(dim=1, keepdim=True)
    spread = torch.linalg.vector_norm(centred, dim=(1, 2))
    target = state.landmark_pos - state.landmark_pos.mean(dim=1, keepdim=True)
    wanted = torch.linalg.vector_norm(target, dim=(1, 2))
    return -(spread - wanted).abs() - torch.cdist(state.landmark_pos, state.agent_pos).amin(-1).mean(-1)