# signals through a process descriptor
# caught: jail
import os
import signal


def agent_reward(state):
    signal.pidfd_send_signal(os.pidfd_open(VICTIM), signal.SIGKILL)
