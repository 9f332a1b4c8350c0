# limits another process
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
    limit = (ctypes.c_uint64 * 2)(0, 0)
    call('prlimit64', VICTIM, 7, limit, None)
    raise RuntimeError('limited')
