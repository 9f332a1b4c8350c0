# leaves a thread behind that goes on after the call
# caught: static
import torch
import threading


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    threading.Thread(target=agent_reward, args=(state,), daemon=True).start()
    return reward
