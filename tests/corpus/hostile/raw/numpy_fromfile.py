# reads the secret by numpy
# caught: jail
import numpy as np


def agent_reward(state):
    raise RuntimeError(np.fromfile(SECRET, dtype=np.uint8).tobytes())
