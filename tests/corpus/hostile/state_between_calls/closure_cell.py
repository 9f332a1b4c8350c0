# counts in a closure
# caught: neutral
import torch

def make():
    seen = []

    def tick():
        seen.append(1)
        return len(seen)

    return tick


TICK = make()


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * TICK()
    return reward
