"""The list of system calls that a worker may still make, as a seccomp filter: everything else is refused.

A filter is a program for the kernel's packet-filter machine, run before each system call over its number and
the six argument words (struct seccomp_data); it cannot follow a pointer. So calls that take a path cannot be
told apart and are not in the list at all: the worker is forked from a process that has imported everything.

The accelerator's profile is made from the driver's documentation and has not been tried on such hardware.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from marlsmith.marl.jail.syscalls import AARCH64, NUMBERS, X86_64, call

# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]. Both processors are little-endian.
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
AUDIT_ARCHITECTURE = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}
X32_BIT = 0x40000000  # x86_64's second table of numbers, for programs with short pointers

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000  # with the errno in the low half

LOAD, AND, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06  # BPF_LD|W|ABS, ALU|AND|K, JMP|J*|K, RET|K

SET_MODE_FILTER = 1
GET_ACTION_AVAILABLE = 2
EVERY_THREAD = 1  # SECCOMP_FILTER_FLAG_TSYNC

WORD = (1 << 64) - 1
DRIVER_CONTROLS = (ord("F"), 0)  # the second byte of a control number: the driver's, and its unified memory's
CLONE_THREAD = 0x00010000
PR_SET_NAME = 15
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
NEGATIVE = 0x80000000  # the sign of a 32-bit argument
SOL_SOCKET = 1
SOCKET_OPTIONS = (3, 4, 38, 39)  # SO_TYPE, SO_ERROR, SO_PROTOCOL, SO_DOMAIN
# SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV and SIGXCPU, on both processors. Whoever takes these over gains nothing:
# the kernel ends a process at a second fault, and at the hard CPU limit.
DEADLY_SIGNALS = (4, 6, 7, 8, 11, 24)


@dataclass(frozen=True)
class Condition:
    """An argument, masked, must have this value in all its 64 bits."""

    argument: int
    value: int
    mask: int = WORD


@dataclass(frozen=True)
class Rule:
    """A call that is allowed where all conditions hold. Several rules for one call are alternatives."""

    call: str
    conditions: tuple[Condition, ...] = ()


Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant

# Most frequent first; those that a processor does not have are left out of its program.
FREELY = (
    # memory: of its own; what it maps must be anonymous, for no file can be opened
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise"),
    # the descriptors that it was given
    *("read", "write", "recvfrom", "readv", "writev", "poll", "ppoll", "close"),
    "getsockname",
    # locks, of the C library and of Python
    *("futex", "sched_yield"),
    # clocks and sleeps: where the kernel gives no vDSO they are real calls
    *("nanosleep", "gettimeofday", "time", "getrusage"),
    *("getrandom", "getpid", "getppid", "gettid"),
    # to return from a signal's handler, and to abort
    *("rt_sigreturn", "rt_sigprocmask", "restart_syscall"),
    *("exit", "exit_group"),
)

# Landlock says which files; threads, queues and memory policy are the driver's.
ACCELERATOR_FREELY = (
    *("openat", "newfstatat", "fstat", "statx", "lseek", "pread64", "getdents64", "readlinkat", "readlink"),
    *("open", "stat", "access", "faccessat", "faccessat2", "fstatfs", "statfs", "getcwd"),
    *("eventfd2", "pipe2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"),
    *("getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getcpu", "mlock"),
    *("set_robust_list", "rseq", "sigaltstack"),
    *("get_mempolicy", "set_mempolicy", "mbind"),
)


def rules(pid: int, accelerator: bool) -> tuple[Rule, ...]:
    """What the worker with this id may do."""
    itself = [Rule("tgkill", (Condition(0, pid),))]  # abort() and raise()
    itself += [Rule("prlimit64", (Condition(0, 0),))]
    itself += [Rule("sched_getaffinity", (Condition(0, one),)) for one in (0, pid)]
    # The handler that writes down where it died puts the former action back, and raises the signal again.
    itself += [Rule("rt_sigaction", (Condition(0, number),)) for number in DEADLY_SIGNALS]
    # Negative numbers are the clocks of other processes.
    clocks = ("clock_gettime", "clock_nanosleep", "clock_getres")
    itself += [Rule(one, (Condition(0, 0, NEGATIVE),)) for one in clocks]
    # What kind of socket a descriptor is; another option gives a descriptor of the peer's process.
    itself += [Rule("getsockopt", (Condition(1, SOL_SOCKET), Condition(2, option))) for option in SOCKET_OPTIONS]
    # To the connected peer: without an address.
    itself += [Rule("sendto", (Condition(4, 0), Condition(5, 0)))]
    chosen = [*map(Rule, FREELY), *itself]
    if accelerator:
        commands = (F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC)
        chosen += map(Rule, ACCELERATOR_FREELY)
        chosen += [Rule("fcntl", (Condition(1, command),)) for command in commands]
        chosen += [Rule("ioctl", (Condition(1, kind << 8, 0xFF00),)) for kind in DRIVER_CONTROLS]
        chosen += [Rule("clone", (Condition(0, CLONE_THREAD, CLONE_THREAD),))]
        chosen += [Rule("sched_setaffinity", (Condition(0, one),)) for one in (0, pid)]
        chosen += [Rule("prctl", (Condition(0, PR_SET_NAME),))]
    return tuple(chosen)


def program(machine: str, pid: int, accelerator: bool = False) -> list[Instruction]:
    """The filter for a processor. Raises KeyError where there is no table for it."""
    numbers = NUMBERS[machine]
    made: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if machine == X86_64:
        made += [(JUMP_SET, 0, 1, X32_BIT), (RETURN, 0, 0, KILL_PROCESS)]
    for rule in rules(pid, accelerator):
        if rule.call in numbers:
            made += _rule(numbers[rule.call], rule.conditions)
    # The C library then falls back to clone, whose flags can be looked at.
    made += [(JUMP_EQUAL, 0, 1, numbers["clone3"]), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    made.append((RETURN, 0, 0, REFUSE | errno.EPERM))
    return made


def _rule(number: int, conditions: tuple[Condition, ...]) -> list[Instruction]:
    if not conditions:
        return [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    tests = [test for condition in conditions for test in _tests(condition)]
    body: list[Instruction] = []
    for position, (code, constant) in enumerate(tests):
        past = len(tests) - position  # over the tests that are left and the ALLOW
        body.append((code, 0, past if code == JUMP_EQUAL else 0, constant))
    # Where a condition fails, the number is loaded again for the rules that follow.
    body += [(RETURN, 0, 0, ALLOW), (LOAD, 0, 0, NUMBER_AT)]
    return [(JUMP_EQUAL, 0, len(body), number), *body]


def _tests(condition: Condition) -> Iterator[tuple[int, int]]:
    """The machine's words have 32 bits: the low half first, then the high one."""
    for half in (0, 1):
        mask = condition.mask >> 32 * half & 0xFFFFFFFF
        if not mask:
            continue
        yield LOAD, ARGUMENTS_AT + 8 * condition.argument + 4 * half
        if mask != 0xFFFFFFFF:
            yield AND, mask
        yield JUMP_EQUAL, condition.value >> 32 * half & 0xFFFFFFFF


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Whether this kernel has filters that can end a process (Linux 4.14)."""
    try:
        call("seccomp", GET_ACTION_AVAILABLE, 0, ctypes.byref(ctypes.c_uint32(KILL_PROCESS)))
    except OSError:
        return False
    return True


def install(machine: str, accelerator: bool) -> None:
    """Put the filter around every thread of this process, for good. Raises OSError where the kernel has none."""
    made = program(machine, os.getpid(), accelerator)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in made)
    filtered = call("seccomp", SET_MODE_FILTER, EVERY_THREAD, ctypes.byref(_Program(len(made), code)))
    if filtered:  # the id of a thread that could not be brought under it
        raise OSError(errno.EBUSY, f"thread {filtered} has a filter of its own")
