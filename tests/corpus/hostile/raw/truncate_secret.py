# empties the secret
# caught: jail
import os


def agent_reward(state):
    os.truncate(SECRET, 0)
