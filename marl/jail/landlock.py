"""Landlock: rules of the kernel over files, TCP, abstract sockets and signals, which a process puts on itself.

The worker on a CPU may open nothing. With an accelerator, the driver's files and the system's libraries may be
read; that profile is made from the driver's documentation and has not been tried on such hardware.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from marlsmith.marl.jail.syscalls import call

VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIRECTORY, TRUNCATE, DEVICE_CONTROL = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
FILE_RIGHTS = WRITE_FILE | READ_FILE | 1 | TRUNCATE | DEVICE_CONTROL  # those that a rule for a file may name
# Every right that the version knows, the first thirteen from the start.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
TCP_RIGHTS = {4: 0b11}  # bind, connect
SCOPES = {6: 0b11}  # abstract unix sockets, signals

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/cuda*", "/etc/ld.so.cache")
READABLE = (*LIBRARIES, "/proc/driver/nvidia", "/proc/cpuinfo", "/sys/devices/system/cpu", "/sys/devices/system/node")
DEVICES = ("/dev/nvidia*",)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's landlock version, 0 where it has none."""
    try:
        return call("landlock_create_ruleset", None, 0, VERSION)
    except OSError:
        return 0


def restrict(accelerator: bool) -> int:
    """Restrict this thread and its children for good; returns the version in force, 0 where there is none.

    Needs no_new_privs. Threads that exist already keep their rights.
    """
    abi = version()
    if not abi:
        return 0
    ruleset = _Ruleset(_known(RIGHTS, abi), _known(TCP_RIGHTS, abi), _known(SCOPES, abi))
    size = 8 * (1 + (abi >= 4) + (abi >= 6))  # the structure has grown with the versions
    try:
        descriptor = call("landlock_create_ruleset", ctypes.byref(ruleset), size, 0)
        try:
            for path, rights in _allowed() if accelerator else ():
                _allow(descriptor, path, rights & ruleset.files)
            call("landlock_restrict_self", descriptor, 0)
        finally:
            os.close(descriptor)
    except OSError:
        return 0
    return abi


def _known(rights: dict[int, int], abi: int) -> int:
    return max((value for since, value in rights.items() if since <= abi), default=0)


def _allowed() -> Iterator[tuple[str, int]]:
    read = READ_FILE | READ_DIRECTORY
    for pattern in READABLE:
        yield from ((path, read) for path in glob.glob(pattern))
    # CUDA's libraries come as packages beside torch, and load piece by piece.
    packages = Path(sys.modules["torch"].__file__ or "").parents[1] if "torch" in sys.modules else None
    for name in ("torch", "nvidia", "triton"):
        if packages is not None and (packages / name).is_dir():
            yield str(packages / name), read
    for pattern in DEVICES:
        yield from ((path, read | WRITE_FILE | DEVICE_CONTROL) for path in glob.glob(pattern))


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= FILE_RIGHTS
        call("landlock_add_rule", ruleset, PATH_BENEATH, ctypes.byref(_PathRule(rights, descriptor)), 0)
    finally:
        os.close(descriptor)
