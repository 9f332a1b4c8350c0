# kills the fork server
# caught: jail
import os
import signal


def agent_reward(state):
    os.kill(os.getppid(), signal.SIGKILL)
