# changes the secret's times
# caught: jail
import os


def agent_reward(state):
    os.utime(SECRET, (1, 1))
