# kills another process
# caught: jail
import os
import signal


def agent_reward(state):
    os.kill(VICTIM, signal.SIGKILL)
