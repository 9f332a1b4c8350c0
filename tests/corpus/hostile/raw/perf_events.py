# counts the machine's events
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
    record = ctypes.create_string_buffer(128)
    raise RuntimeError(call('perf_event_open', record, 0, -1, -1, 0))
