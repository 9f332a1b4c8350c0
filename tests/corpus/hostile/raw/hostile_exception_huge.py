# raises an error whose text is huge
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError('x' * 10**8)
