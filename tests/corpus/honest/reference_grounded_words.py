# task: mpe/simple_reference  scope: own
import torch


def agent_reward(state):
    """Word k means landmark k."""
    partner_goal = state.goal.flip(1)
    said = state.message[..., :3]
    right = said.gather(-1, partner_goal.unsqueeze(-1)).squeeze(-1)
    wrong = state.message[..., 3:].sum(-1)
    return right - wrong


def global_reward(state):
    target = torch.gather(state.landmark_pos, 1, state.goal[..., None].repeat(1, 1, 2))
    return -torch.linalg.norm(state.agent_pos - target, dim=-1).mean(-1)