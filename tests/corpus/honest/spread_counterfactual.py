# task: mpe/simple_spread  scope: own
import torch


def team_value(agents, landmarks):
    return -torch.cdist(landmarks, agents).amin(-1).sum(-1)


def agent_reward(state):
    """Difference rewards: what would the team be without me?"""
    whole = team_value(state.agent_pos, state.landmark_pos)
    n = state.agent_pos.shape[1]
    without = [
        team_value(state.agent_pos[:, [j for j in range(n) if j != i]], state.landmark_pos) for i in range(n)
    ]
    return whole.unsqueeze(-1) - torch.stack(without, dim=-1)
