# writes into the fork server's memory
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
    text = ctypes.create_string_buffer(8)
    part = (ctypes.c_uint64 * 2)(ctypes.addressof(text), 8)
    n = call('process_vm_writev', os.getppid(), part, 1, part, 1, 0)
    raise RuntimeError(f'{n} bytes')
