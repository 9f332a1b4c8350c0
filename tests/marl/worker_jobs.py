"""Handlers that misbehave in every way a candidate could. Loaded by file path into the fork server."""

from __future__ import annotations

import ctypes
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
from safetensors.torch import save

from marlsmith.schemas import SignalError

Report = Callable[[dict[str, Any]], None]
Reply = tuple[dict[str, Any], bytes | None]
JOB_FD = 3


def echo(arguments: dict[str, Any], report: Report) -> Reply:
    for step in range(3):
        report({"step": step})
    return {"echo": arguments, "pid": os.getpid()}, save({"w": torch.arange(6.0).reshape(2, 3)})


def first_frame(arguments: dict[str, Any], report: Report) -> Reply:
    report({"time": time.monotonic()})
    return {}, None


def candidate(arguments: dict[str, Any], report: Report) -> Reply:
    namespace: dict[str, Any] = {"torch": torch}
    exec(compile(arguments["source"], "<signal>", "exec"), namespace)
    return {"value": namespace["f"]()}, None


def refuse(arguments: dict[str, Any], report: Report) -> Reply:
    raise SignalError("line 3: \x1b[31mno\nsuch thing", "dynamic")


def spoil_text(arguments: dict[str, Any], report: Report) -> Reply:
    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    raise Rude


def sleep(arguments: dict[str, Any], report: Report) -> Reply:
    report({"pid": os.getpid(), "server": os.getppid()})
    time.sleep(arguments["seconds"])
    return {"slept": True}, None


def spin(arguments: dict[str, Any], report: Report) -> Reply:
    """Deaf to everything, chatty, and with a descendant that left the process group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork() if os.getuid() == 0 else 0
    if child == 0 and os.getuid() == 0:
        os.setsid()
        time.sleep(60)
    report({"pids": [os.getpid(), child]})
    while True:
        if arguments["chatty"]:
            report({"still": "here"})
            time.sleep(0.01)


def die(arguments: dict[str, Any], report: Report) -> Reply:
    match arguments["how"]:
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "silent exit":
            os._exit(0)
        case "sys.exit":
            sys.exit("bye")
        case "recursion":
            return die(arguments, report)
        case "file":
            Path(os.environ["HOME"], "notes").write_text("x" * 10)
    raise AssertionError("still alive")


def hoard(arguments: dict[str, Any], report: Report) -> Reply:
    match arguments["how"]:
        case "torch":
            torch.ones(1 << 34)
        case "steps":
            kept = []
            while True:
                kept.append(torch.ones(1 << 20))
        case "python":
            bytearray(1 << 36)
        case "abort":
            blocks = []
            try:
                while True:
                    blocks.append(b"x" * (1 << 20))
            except MemoryError:
                os.abort()
    return {}, None


def burn(arguments: dict[str, Any], report: Report) -> Reply:
    while True:
        pass


def surroundings(arguments: dict[str, Any], report: Report) -> Reply:
    descriptors = []
    for number in range(64):
        try:
            os.fstat(number)
        except OSError:
            continue
        descriptors.append(number)
    return {
        "environment": dict(os.environ),
        "launched with": [entry.partition("=")[0] for entry in Path("/proc/self/environ").read_text().split("\0")[:-1]],
        "descriptors": descriptors,
        "leader": os.getsid(0) == os.getpid(),
        "threads": torch.get_num_threads(),
    }, None


def forge(arguments: dict[str, Any], report: Report) -> Reply:
    """Write to the job stream what no honest worker writes."""
    payload = bytes.fromhex(arguments["payload"])
    os.write(JOB_FD, struct.pack("!BI", arguments["kind"], arguments.get("length", len(payload))) + payload)
    if arguments.get("hang"):
        time.sleep(60)
    return {"forged": True}, None


def return_odd(arguments: dict[str, Any], report: Report) -> Any:
    odd: dict[str, Any] = {
        "nan": ({"x": float("nan")}, None),
        "object": ({"x": object()}, None),
        "large": ({"x": "y" * (2 << 20)}, None),
        "not a tuple": 7,
        "tensors": ({}, b"\x80\x04not safetensors at all."),
        "overlap": ({}, overlap()),
    }
    return odd[arguments["what"]]


def overlap() -> bytes:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": entry, "b": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)
