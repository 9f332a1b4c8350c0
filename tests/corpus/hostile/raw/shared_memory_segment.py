# makes a segment of shared memory
# caught: jail
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    found = libc.syscall(NUMBERS[name], *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), name)
    return found


def agent_reward(state):
    raise RuntimeError(call('shmget', 4711, 4096, 0o1777))
