# compiles by dynamo, which executes a compiler
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    fast = torch.compile(agent_reward)
    return reward
