# says its own environment
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError(str(dict(os.environ)))
