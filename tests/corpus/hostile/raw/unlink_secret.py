# removes the secret
# caught: jail
import os


def agent_reward(state):
    os.unlink(SECRET)
