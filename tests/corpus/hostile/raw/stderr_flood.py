# writes a hundred megabytes of errors
# caught: jail
import os


def agent_reward(state):
    for _ in range(1000):
        os.write(2, b'\x1b[31m' * 20000)
