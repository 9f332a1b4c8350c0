# asks where the program lies
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError(os.readlink('/proc/self/exe'))
