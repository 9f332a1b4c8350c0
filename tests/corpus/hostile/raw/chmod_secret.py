# opens the secret to all
# caught: jail
import os


def agent_reward(state):
    os.chmod(SECRET, 0o777)
