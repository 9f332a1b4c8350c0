# task: mpe/simple_spread  scope: own
import torch

def agent_reward(state):
    before = torch.cdist(state.prev.agent_pos, state.landmark_pos)
    after = torch.cdist(state.agent_pos, state.landmark_pos)
    target = before.argmin(-1, keepdim=True)
    return (before.gather(-1, target) - after.gather(-1, target)).squeeze(-1) * 10