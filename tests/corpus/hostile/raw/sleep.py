# sleeps
# caught: jail
import time


def agent_reward(state):
    time.sleep(60)
