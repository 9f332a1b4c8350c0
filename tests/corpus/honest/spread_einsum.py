# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    w = torch.softmax(-torch.cdist(state.agent_pos, state.landmark_pos), dim=-1)
    aim = torch.einsum("bnm,bmd->bnd", w, state.landmark_pos) - state.agent_pos
    heading = torch.einsum("bnd,bnd->bn", aim, state.agent_vel)
    return heading - aim.norm(dim=-1)