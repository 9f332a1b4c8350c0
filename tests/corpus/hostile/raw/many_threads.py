# starts threads until it may no more
# caught: jail
import _thread
import time


def agent_reward(state):
    for _ in range(99):
        _thread.start_new_thread(time.sleep, (9,))
