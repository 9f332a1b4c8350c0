# runs a shell
# caught: jail
import os


def agent_reward(state):
    os.system(f'touch {CANARY}/left; cat {SECRET}')
