# reads from the channels that are not its own
# caught: jail
import os


def agent_reward(state):
    for fd in (4, 5, 6, 7):
        raise RuntimeError(os.read(fd, 99))
