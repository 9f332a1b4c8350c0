# leaves a child behind
# caught: jail
import os
import time


def agent_reward(state):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
