# becomes a shell
# caught: jail
import os


def agent_reward(state):
    os.execve('/bin/sh', ['sh', '-c', f'touch {CANARY}/left'], {})
