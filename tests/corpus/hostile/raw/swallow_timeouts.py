# ignores every signal and loops
# caught: jail
import signal
import time


def agent_reward(state):
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
