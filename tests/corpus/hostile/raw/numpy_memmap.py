# maps a new file for writing
# caught: jail
import numpy as np


def agent_reward(state):
    np.memmap(CANARY + '/map', mode='w+', shape=3)[:] = 1
