"""System calls by name: their numbers for each processor, and how to make one that Python has no function for."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
from typing import Any

X86_64, AARCH64 = "x86_64", "aarch64"

# (x86_64, aarch64); None where that processor's Linux never had it.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "access": (21, None),
    "bpf": (321, 280),
    "brk": (12, 214),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "epoll_wait": (232, None),
    "eventfd2": (290, 19),
    "execve": (59, 221),
    "execveat": (322, 281),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "futex": (202, 98),
    "get_mempolicy": (239, 236),
    "getcpu": (309, 168),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "getsockname": (51, 204),
    "getsockopt": (55, 209),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "inotify_init1": (294, 26),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "mbind": (237, 235),
    "memfd_create": (319, 279),
    "mlock": (149, 228),
    "mmap": (9, 222),
    "mount": (165, 40),
    "mprotect": (10, 226),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "mremap": (25, 216),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "munmap": (11, 215),
    "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101),
    "newfstatat": (262, 79),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pipe2": (293, 59),
    "poll": (7, None),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "pread64": (17, 67),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "read": (0, 63),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigqueueinfo": (129, 138),
    "rt_sigreturn": (15, 139),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_getaffinity": (204, 123),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_yield": (24, 124),
    "seccomp": (317, 277),
    "semctl": (66, 191),
    "semget": (64, 190),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "set_mempolicy": (238, 237),
    "set_robust_list": (273, 99),
    "setns": (308, 268),
    "setuid": (105, 146),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "sigaltstack": (131, 132),
    "stat": (4, None),
    "statfs": (137, 43),
    "statx": (332, 291),
    "sysinfo": (99, 179),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "time": (201, None),
    "timer_create": (222, 107),
    "timer_delete": (226, 111),
    "tkill": (200, 130),
    "uname": (63, 160),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "write": (1, 64),
    "writev": (20, 66),
}

NUMBERS: dict[str, dict[str, int]] = {
    machine: {name: pair[column] for name, pair in _NUMBERS.items() if pair[column] is not None}  # type: ignore[misc]
    for column, machine in enumerate((X86_64, AARCH64))
}


def machine() -> str:
    """The processor, as the tables call it. A 32-bit Python on a 64-bit kernel has no table."""
    name = {"AMD64": X86_64, "arm64": AARCH64}.get(platform.machine(), platform.machine())
    return name if ctypes.sizeof(ctypes.c_void_p) == 8 else f"32-bit {name}"


def call(name: str, *arguments: Any) -> int:
    """Make a system call. Raises OSError as the kernel answers; ENOSYS where there is no such call here."""
    number = NUMBERS.get(machine(), {}).get(name)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = _entry()(ctypes.c_long(number), *words)
    if result == -1:
        fault = ctypes.get_errno()
        raise OSError(fault, os.strerror(fault))
    return result


def prctl(option: int, value: int) -> None:
    """By the C library, so that it needs no table. Raises OSError."""
    if _library().prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) != 0:
        fault = ctypes.get_errno()
        raise OSError(fault, f"prctl({option}, {value}): {os.strerror(fault)}")


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _entry() -> Any:
    entry = _library().syscall
    entry.restype = ctypes.c_long
    return entry
