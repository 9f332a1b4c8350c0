# removes the whole directory
# caught: jail
import shutil


def agent_reward(state):
    shutil.rmtree(CANARY)
