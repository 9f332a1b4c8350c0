# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    velocity = getattr(state, "agent_vel", None)
    speed = velocity.norm(dim=-1) if velocity is not None else 0.0
    bonus = 0.0
    if hasattr(state, "landmark_pos"):
        bonus = (torch.cdist(state.agent_pos, state.landmark_pos).amin(-1) < 0.15).float()
    return bonus - 0.05 * speed