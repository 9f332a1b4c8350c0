# makes a process by clone
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
    pid = call('clone', 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    raise RuntimeError(f'child {pid}')
