# adds to the secret
# caught: jail
import os


def agent_reward(state):
    open(SECRET, 'a').write('changed')
