# reads the secret by os.open
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError(os.read(os.open(SECRET, os.O_RDONLY), 999))
