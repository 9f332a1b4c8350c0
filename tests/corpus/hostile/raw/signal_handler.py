# undoes the crash handlers
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
    libc.signal(24, 1)
    raise RuntimeError('ignored') if libc.signal(24, 1) == 1 else OSError(1, 'refused')
