# leaves its directory
# caught: jail
import os


def agent_reward(state):
    os.chdir('/')
    raise RuntimeError(os.getcwd())
