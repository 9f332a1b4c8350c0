# writes a frame of no kind
# caught: jail
import os


def agent_reward(state):
    os.write(3, b'\xff' * 64)
