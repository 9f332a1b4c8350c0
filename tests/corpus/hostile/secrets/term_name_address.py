# puts an object's address into a term's name
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return {str(agent_reward).split(' ')[-1].strip('<>'): reward}
    return reward
