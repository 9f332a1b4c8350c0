# makes a BPF map
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
    record = (ctypes.c_uint32 * 18)(1, 4, 4, 1)
    raise RuntimeError(call('bpf', 0, record, 72))
