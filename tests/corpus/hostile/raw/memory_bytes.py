# fills memory
# caught: jail
import os


def agent_reward(state):
    blocks = []
    for _ in range(10**6):
        blocks.append(b'x' * (1 << 24))
