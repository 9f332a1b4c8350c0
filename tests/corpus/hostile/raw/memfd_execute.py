# makes a program in memory
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
    fd = call('memfd_create', b'x', 0)
    os.write(fd, b'#!/bin/true\n')
    raise RuntimeError(fd)
