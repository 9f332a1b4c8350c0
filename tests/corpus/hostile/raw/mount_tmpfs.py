# mounts over the canary
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
    call('mount', b'none', CANARY.encode(), b'tmpfs', 0, None)
    raise RuntimeError('mounted')
