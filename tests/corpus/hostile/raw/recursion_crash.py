# overflows the C stack
# caught: jail
import sys


def agent_reward(state):
    sys.setrecursionlimit(10**9)
    agent_reward(state)
