# makes a directory
# caught: jail
import os


def agent_reward(state):
    os.mkdir(os.path.join(CANARY, 'd'))
