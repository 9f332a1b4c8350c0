# calls the kernel by the numbers of another architecture
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
    found = libc.syscall(0x40000000 + 2, SECRET.encode(), 0)
    raise RuntimeError(found) if found >= 0 else OSError(ctypes.get_errno(), 'x32')
