# closes all descriptors
# caught: jail
import os


def agent_reward(state):
    os.closerange(0, 64)
