# divides zero by zero where all stand on one spot
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    spread = (state.agent_pos - state.agent_pos.mean(1, keepdim=True)).norm(dim=-1)
    reward = reward * (spread / spread)
    return reward
