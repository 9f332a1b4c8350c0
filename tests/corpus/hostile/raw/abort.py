# aborts
# caught: jail
import os


def agent_reward(state):
    os.abort()
