# leaves a daemon behind
# caught: jail
import os
import time


def agent_reward(state):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
