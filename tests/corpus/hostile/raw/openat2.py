# opens the secret by openat2
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
    how = (ctypes.c_uint64 * 3)(0, 0, 0)
    fd = call('openat2', -100, SECRET.encode(), ctypes.byref(how), 24)
    raise RuntimeError(os.read(fd, 99))
