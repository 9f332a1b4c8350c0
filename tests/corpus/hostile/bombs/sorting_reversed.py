# sorts long lists again and again
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    rows = list(range(99999))
    for _ in range(999):
        rows = sorted(rows, key=lambda r: -r)
    return reward
