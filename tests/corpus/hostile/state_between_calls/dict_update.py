# keeps a sum by update
# caught: static
import torch

MEMO = {'total': 0.0}


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    MEMO.update(total=MEMO['total'] + float(reward.mean()))
    reward = reward + MEMO['total']
    return reward
