# ends with success and no result
# caught: jail
import os


def agent_reward(state):
    os._exit(0)
