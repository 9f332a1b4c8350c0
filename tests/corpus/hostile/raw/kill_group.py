# kills the fork server's group
# caught: jail
import os
import signal


def agent_reward(state):
    os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
