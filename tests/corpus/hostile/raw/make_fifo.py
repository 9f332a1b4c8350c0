# makes a named pipe
# caught: jail
import os


def agent_reward(state):
    os.mkfifo(os.path.join(CANARY, 'pipe'))
