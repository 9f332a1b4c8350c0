# fills memory and swallows the error, for ever
# caught: jail
import os


def agent_reward(state):
    blocks = []
    for _ in range(10**9):
        try:
            blocks.append(b'x' * (1 << 24))
        except MemoryError:
            blocks = blocks[:1]
            break
    raise MemoryError('at last')
