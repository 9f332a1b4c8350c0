# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    n_agents = state.agent_pos.shape[1]
    n_landmarks = state.landmark_pos.shape[1]
    rewards = []
    for i in range(n_agents):
        best = None
        for j in range(n_landmarks):
            d = (state.agent_pos[:, i] - state.landmark_pos[:, j]).pow(2).sum(-1).sqrt()
            best = d if best is None else torch.minimum(best, d)
        rewards.append(-best)
    return torch.stack(rewards, dim=1)