# spawns a program
# caught: jail
import os


def agent_reward(state):
    os.posix_spawn('/bin/touch', ['touch', CANARY + '/left'], {})
