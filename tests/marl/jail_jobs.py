"""Handlers that attack from inside a worker: bombs, floods, forged replies, the search for secrets.

Loaded by file path into the fork server. What needs a file is opened here at import, before any lock-down.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from marlsmith.marl import jobs
from marlsmith.marl.algorithms import find_algorithm
from marlsmith.marl.checkpoint import pack, unpack

Report = Callable[[dict[str, Any]], None]
Reply = tuple[dict[str, Any], bytes | None]
JOB_FD = 3
LIBC = ctypes.CDLL(None, use_errno=True)
FRAME = struct.Struct("!BI")
PROGRESS, RESULT = 3, 5


def run_source(arguments: dict[str, Any], report: Report) -> Reply:
    """Code that nobody checked, with all of Python at hand: `f()` is called."""
    report({"pid": os.getpid(), "server": os.getppid(), "time": time.monotonic()})
    namespace: dict[str, Any] = {"torch": torch, "os": os, "sys": sys, "time": time, "signal": signal, "ctypes": ctypes}
    exec(compile(arguments["source"], "<signal>", "exec"), namespace)
    namespace["f"]()
    return {"survived": True}, None


def stream(arguments: dict[str, Any], report: Report) -> Reply:
    """Writes any bytes to the job's connection, then ends in one of several ways."""
    data = memoryview(bytes.fromhex(arguments["data"]))
    while data:
        data = data[os.write(JOB_FD, data) :]
    match arguments["end"]:
        case "exit":
            os._exit(0)
        case "code":
            os._exit(7)
        case "raise":
            raise ValueError("\x1b[31mred\x00")
        case "hang":
            time.sleep(60)
    return {"honest": True}, None


def forged(arguments: dict[str, Any], report: Report) -> Reply:
    """Stands where a training should: its whole reply comes in the candidate's name."""
    spec = json.loads(arguments["request"]["candidate"])
    return stream({"data": spec["data"], "end": "exit"}, report)


def spoilt(arguments: dict[str, Any], report: Report) -> Reply:
    """An honest training whose checkpoint is tampered with before it is sent; how, the candidate's name says."""
    value, data = jobs.train(arguments, report)
    assert data is not None
    tensors, about = unpack(data)
    prefix = find_algorithm(arguments["request"]["train"]["algorithm"]).policy
    mine = [name for name in tensors if name.startswith(prefix)]
    for name in mine:
        match arguments["request"]["candidate"]:
            case "nan" | "inf" as number:
                tensors[name].view(-1)[0] = float(number)
            case "huge":
                tensors[name].mul_(1e30)
            case "doubles":
                tensors[name] = tensors[name].double()
            case "reshaped":
                tensors[name] = tensors[name].reshape(-1)
            case "empty":
                tensors[name] = tensors[name].new_zeros(0, 1 << 40)
            case "missing":
                del tensors[name]
            case "renamed":
                tensors[f"{prefix}/../../{name}"] = tensors.pop(name)
            case "more":
                tensors[f"{name} and more"] = torch.ones(3)
            case "another's":
                about["candidate"] = "winner"
    return value, pack(tensors.items(), about)


def flood(arguments: dict[str, Any], report: Report) -> Reply:
    """Output without end, by the way that is asked for."""
    match arguments["how"]:
        case "progress":
            for number in itertools.count():
                report({"number": number})
        case "empty frames":
            frames = FRAME.pack(PROGRESS, 2) + b"{}"
            while True:
                os.write(JOB_FD, frames * 1000)
        case "large progress":
            while True:
                report({"text": "x" * 1_000_000})
        case "stderr":
            while True:
                with contextlib.suppress(BlockingIOError):
                    os.write(2, b'File "<signal>", line 7 in f\n' * 1000)
        case "stdout":
            while True:
                os.write(1, b"x" * 100_000)
        case "large result":
            return {"text": "x" * (2 << 20)}, None
        case "deep result":
            value: dict[str, Any] = {}
            for _ in range(5000):
                value = {"x": value}
            return value, None
        case "large tensors":
            return {}, bytes(300 << 20)
        case "half a frame":
            os.write(JOB_FD, FRAME.pack(RESULT, 1000) + b'{"x": "')
            time.sleep(60)
    return {}, None


# ---------------------------------------------------------------- secrets


def argument_block() -> list[str]:
    """What stands at the top of the process's first stack: arguments and environment as they were at its start."""
    place = ctypes.c_void_p.in_dll(LIBC, "program_invocation_name").value
    found: list[str] = []
    while place is not None and (text := ctypes.string_at(place)):  # an empty word ends the block
        found.append(text.decode(errors="replace"))
        place += len(text) + 1
    return found


def attempt(act: Callable[[], bytes]) -> str:
    """What came of it: the start of what was read, or how it was refused."""
    try:
        return f"read {act()[:100_000]!r}"
    except OSError as error:
        return f"refused {error.errno}"


def pull(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 100_000)
    finally:
        os.close(descriptor)


def search(arguments: dict[str, Any], report: Report) -> Reply:
    """Everything that an intruder would look through for a key."""
    report({"pid": os.getpid(), "server": os.getppid()})
    time.sleep(arguments["linger"])  # meanwhile the test looks at this process from outside
    LIBC.getenv.restype = ctypes.c_char_p
    paths = [f"/proc/{who}/{what}" for who in ("self", os.getpid(), *arguments["processes"])
             for what in ("environ", "cmdline", "mem", "maps", "fd/3", "cwd", "root/etc/passwd")]  # fmt: skip
    return {
        "environment": dict(os.environ),
        "c library": [name for name in arguments["names"] if LIBC.getenv(name.encode()) is not None],
        "block": argument_block(),
        "arguments": [*sys.argv, *sys.orig_argv],
        "opened": {path: attempt(lambda path=path: pull(path)) for path in [*paths, *arguments["paths"]]},  # type: ignore[misc]
        "listed": attempt(lambda: repr(os.listdir("/proc")).encode()),
        "linked": attempt(lambda: os.readlink("/proc/self/exe").encode()),
        # Only ever a file that the test made for it: without a jail this writes.
        "written": attempt(lambda: str(Path(arguments["victim"]).write_text("x")).encode()),
    }, None
