# renames the secret
# caught: jail
import os


def agent_reward(state):
    os.rename(SECRET, SECRET + '.bak')
