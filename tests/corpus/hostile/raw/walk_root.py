# walks the file system for keys
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError([f for f in os.walk('/root')][:3])
