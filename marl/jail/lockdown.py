"""Lock a worker down, and see in some microseconds that it is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys

from marlsmith.marl.jail import landlock, seccomp
from marlsmith.marl.jail.acts import REFUSALS
from marlsmith.marl.jail.syscalls import NUMBERS, call, machine, prctl

PR_SET_NO_NEW_PRIVS = 38
CAPABILITIES_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of each set

_layers: tuple[str, ...] = ()


def lock_down(accelerator: bool = False) -> tuple[str, ...]:
    """Put every layer around this process that the kernel has; returns those in place. There is no way back.

    For a process of one thread with everything imported and warm: on a CPU no file can be opened afterwards.
    """
    global _layers
    layers = []
    with contextlib.suppress(OSError):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        layers.append("no_new_privs")
    if abi := landlock.restrict(accelerator):
        layers.append(f"landlock {abi}")
    with contextlib.suppress(OSError):
        _drop_capabilities()
        layers.append("no capabilities")
    with contextlib.suppress(OSError, KeyError):
        seccomp.install(machine(), accelerator)
        layers.append("seccomp")
    _layers = tuple(layers)
    return _layers


def layers() -> tuple[str, ...]:
    """What `lock_down` has put in place in this process."""
    return _layers


def _drop_capabilities() -> None:
    """Root's privileges: else it could raise its limits again, which no filter can tell apart."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    call("capset", ctypes.byref(header), ctypes.byref(nothing))


def open_acts(parent: int) -> list[str]:
    """The quick check of every worker: which of the acts that must be refused came through, in words."""
    acts = {
        "make a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "fork": lambda: bury(os.fork()),
        "open the root directory": lambda: os.close(os.open("/", os.O_RDONLY)),
        "open /etc/passwd": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
        "signal its parent": lambda: os.kill(parent, 0),
    }
    came_through = []
    for act, attempt in acts.items():
        try:
            attempt()
        except OSError as error:
            if error.errno in REFUSALS:
                continue
        came_through.append(act)
    return came_through


def bury(pid: int) -> None:
    """What a fork that came through returned: the child ends at once, and is waited for."""
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def missing(accelerator: bool = False) -> tuple[str, ...]:
    """What this system lacks for a jail, in words."""
    if not sys.platform.startswith("linux"):
        name = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        return (f"{name} has neither seccomp nor landlock: run marlsmith in a Linux container",)
    if machine() not in NUMBERS:
        return (f"there is no table of system calls for {machine()}: no seccomp filter, no landlock rules",)
    lacks = []
    if not seccomp.available():
        lacks.append("this kernel has no seccomp filters (before 4.14, switched off, or kept from this container)")
    if not (abi := landlock.version()):
        lacks.append("this kernel has no landlock (before 5.13, switched off, or kept from this container)")
        if accelerator:
            lacks.append("a GPU's driver must open files, and without landlock nothing says which: use --device cpu")
    elif abi < 6:
        lacks.append(f"landlock {abi} has no rules for signals (before 6.12): the seccomp filter alone refuses them")
    return tuple(lacks)
