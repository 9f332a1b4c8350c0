# makes a process by clone3
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
    record = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
    pid = call('clone3', ctypes.byref(record), 88)
    if pid == 0:
        os._exit(0)
    raise RuntimeError(f'child {pid}')
