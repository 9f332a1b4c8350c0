"""The forbidden acts by name: what a locked-down worker tries, and what its answer must contain.

Both sides read this table, so an act that is missing in an answer is seen. They are tried in this order:
the last one, where it comes through, changes what the worker may do.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from marlsmith.schemas import ProbeGroup

REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS})
"""What a refusal looks like: of rules, or of a kernel without that call. Other answers come from behind the door."""


@dataclass(frozen=True)
class Act:
    name: str
    group: ProbeGroup


_GROUPS: dict[ProbeGroup, tuple[str, ...]] = {
    "descriptors": (
        "hold other descriptors than its own",
        "copy a descriptor",
        "change who owns a descriptor",
        "pass a descriptor on",
        "receive a descriptor",
    ),
    "environment": ("see other variables than those allowed",),
    "network": (
        "connect by TCP",
        "listen by TCP",
        "send by UDP",
        "connect to a unix socket by its path",
        "connect to a unix socket by its abstract name",
        "make a netlink socket",
        "make a pair of sockets",
    ),
    "read": (
        "open a file by open",
        "open a file by openat",
        "open a file by openat2",
        "open /etc/passwd",
        "open the environment of its parent",
        "open the memory of its parent",
        "list a directory",
        "change its directory",
        "make a handle of a file",
        "watch a directory",
    ),
    "metadata": (
        "stat a file",
        "stat a file by statx",
        "ask for access to a file",
        "read a symbolic link",
    ),
    "write": (
        "create a file",
        "append to a file",
        "truncate a file",
        "remove a file",
        "rename a file",
        "change the mode of a file",
        "change the times of a file",
        "make a directory",
        "make a symbolic link",
        "make a hard link",
        "make a named pipe",
    ),
    "exec": (
        "execute a program by execve",
        "execute a program by execveat",
        "execute a program by posix_spawn",
        "fork",
        "fork by clone",
        "fork by clone3",
    ),
    "processes": (
        "open a process",
        "take a descriptor of a process",
        "trace a process",
        "read the memory of a process",
        "write the memory of a process",
        "limit a process",
        "slow a process down",
        "choose the processors of a process",
        "choose the scheduler of a process",
        "compare with a process",
        "read the clock of a process",
        "open the process at the other end",
    ),
    "limits": (
        "raise the memory limit",
        "raise the CPU limit",
        "raise the limit of written bytes",
        "handle the signal of a timer",
        "start a thread",
    ),
    "signals": (
        "signal its parent",
        "signal every process",
        "signal a process by a descriptor",
        "signal a process by kill",
        "signal a process by tkill",
        "signal a process by tgkill",
        "signal a process by rt_sigqueueinfo",
        "signal a process by rt_tgsigqueueinfo",
    ),
    "kernel": (
        "set up io_uring",
        "load a BPF map",
        "count performance events",
        "handle page faults",
        "use the keyring",
        "mount a file system",
        "enter a namespace",
        "make a memory file",
        "make shared memory",
        "make semaphores",
        "make a message queue",
        "open a POSIX message queue",
        "change its personality",
        "change its user",
        "change its root",
        "type into the terminal",
        "read the log of the kernel",
        "make a timer",
        "make a pipe",
        "change its process attributes",
        "add a landlock rule",
        "add a system call filter",
        "leave its namespace",
    ),
}

ACTS: tuple[Act, ...] = tuple(Act(name, group) for group, names in _GROUPS.items() for name in names)

# The victims' files, each for one act, so that what has changed says who did it.
SECRET, LINK = "secret", "link"
CHANGED = {
    "appended": "append to a file",
    "truncated": "truncate a file",
    "removed": "remove a file",
    "renamed": "rename a file",
    "mode": "change the mode of a file",
    "times": "change the times of a file",
}
MADE = {
    "created": "create a file",
    "new name": "rename a file",
    "directory": "make a directory",
    "symbolic": "make a symbolic link",
    "hard": "make a hard link",
    "pipe": "make a named pipe",
}
