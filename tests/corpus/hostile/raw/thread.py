# leaves a thread behind
# caught: jail
import threading
import time


def agent_reward(state):
    threading.Thread(target=time.sleep, args=(60,)).start()
