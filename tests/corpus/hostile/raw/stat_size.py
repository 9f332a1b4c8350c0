# tells the secret's size
# caught: jail
import os


def agent_reward(state):
    raise RuntimeError(f'size {os.stat(SECRET).st_size}')
