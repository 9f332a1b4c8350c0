"""Frames on a stream socket between the orchestrator and its workers: kind, length, payload.

A worker runs code that nobody has read, so whatever arrives here is hostile until checked: kinds are a
closed set, lengths are capped before a byte is kept, JSON is the strict kind, tensors are never unpickled.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

HEADER = struct.Struct("!BI")
JSON_LIMIT = 1 << 20
TENSORS_LIMIT = 256 << 20
INTEGER_LIMIT = 1 << 63
SIZE_LIMIT = 1 << 31
"""Of one axis of a tensor: strides are products of sizes, and an empty tensor may claim any."""
CHUNK = 1 << 18


class FrameError(ValueError):
    """The other side sent what no honest worker sends."""


class Kind(IntEnum):
    JOB = 1  # orchestrator to worker: what to do
    STARTED = 2  # server: the worker exists
    PROGRESS = 3
    TENSORS = 4  # safetensors bytes, before the result that they belong to
    RESULT = 5
    FAILURE = 6
    EXIT = 7  # server: how the worker ended


@dataclass(frozen=True)
class Frame:
    kind: Kind
    payload: bytes

    def json(self) -> dict[str, Any]:
        return parse(self.payload)


def pack(value: dict[str, Any]) -> bytes:
    """Strict JSON. Raises FrameError for what JSON cannot say, or too much of it."""
    try:
        payload = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError(f"not plain JSON: {error}") from error
    if len(payload) > JSON_LIMIT:
        raise FrameError(f"{len(payload)} bytes of JSON; at most {JSON_LIMIT} are allowed")
    return payload


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FrameError(f"number out of range: {text[:40]}")
    return value


def _integer(text: str) -> int:
    value = int(text)
    if not -INTEGER_LIMIT <= value < INTEGER_LIMIT:
        raise FrameError(f"integer out of range: {text[:40]}")
    return value


def _constant(text: str) -> float:
    raise FrameError(f"{text} is not JSON")


def parse(payload: bytes) -> dict[str, Any]:
    """A JSON object of finite numbers and valid text. Raises FrameError for all else."""
    if len(payload) > JSON_LIMIT:
        raise FrameError(f"{len(payload)} bytes of JSON; at most {JSON_LIMIT} are allowed")
    try:
        text = payload.decode("utf-8")
        value = json.loads(text, parse_float=_finite, parse_int=_integer, parse_constant=_constant)
        if "\\u" in text:  # an escaped lone surrogate parses, and breaks whoever prints it
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not strict JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise FrameError(f"a JSON object is expected, not {type(value).__name__}")
    return value


def send(connection: socket.socket, kind: Kind, payload: bytes) -> None:
    limit = TENSORS_LIMIT if kind is Kind.TENSORS else JSON_LIMIT
    if len(payload) > limit:
        raise FrameError(f"{len(payload)} bytes in a {kind.name} frame; at most {limit} are allowed")
    connection.sendall(HEADER.pack(kind, len(payload)))
    connection.sendall(payload)


def receive_job(connection: socket.socket) -> tuple[dict[str, Any], bytes | None]:
    """A worker's first message, blocking: the job, and the tensors that it says come behind it."""
    reader = FrameReader()
    job: dict[str, Any] | None = None
    while data := connection.recv(CHUNK):
        for frame in reader.feed(data):
            if job is not None:
                return job, frame.payload
            job = frame.json()
            if not job["tensors"]:
                return job, None
    raise FrameError("the connection ended before a whole job")


class FrameReader:
    """Frames out of a byte stream that arrives in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while (header := self._header(start)) is not None:
            kind, length = header
            body = start + HEADER.size
            if len(self._buffer) < body + length:
                break
            frames.append(Frame(kind, bytes(self._buffer[body : body + length])))
            start = body + length
        del self._buffer[:start]
        return frames

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def _header(self, start: int) -> tuple[Kind, int] | None:
        if len(self._buffer) - start < HEADER.size:
            return None
        number, length = HEADER.unpack_from(self._buffer, start)
        try:
            kind = Kind(number)
        except ValueError:
            raise FrameError(f"unknown frame kind {number}") from None
        limit = TENSORS_LIMIT if kind is Kind.TENSORS else JSON_LIMIT
        if length > limit:
            raise FrameError(f"a {kind.name} frame of {length} bytes; at most {limit} are allowed")
        return kind, length


# ---------------------------------------------------------------- safetensors, by its published layout

ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


NAME = re.compile(r"[A-Za-z0-9_.:+\- ]{1,200}")


def check_tensors(data: bytes) -> None:
    """u64 header length, JSON header, then the tensors end to end: every byte accounted for, once."""
    if len(data) < 8:
        raise FrameError(f"safetensors of {len(data)} bytes have no header")
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, JSON_LIMIT):
        raise FrameError(f"safetensors header of {length} bytes in {len(data)} bytes")
    header = parse(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise FrameError("safetensors: metadata must map names to text")
    if not all(map(NAME.fullmatch, header)):
        raise FrameError("safetensors: a name that no tensor of ours has")
    end = 0
    for begin, stop in sorted(_extent(name, entry) for name, entry in header.items()):
        if begin != end:
            raise FrameError(f"safetensors: a gap or an overlap at byte {min(begin, end)}")
        end = stop
    if end != len(data) - 8 - length:
        raise FrameError(f"safetensors: {len(data) - 8 - length} bytes of tensors, the header tells of {end}")


def _extent(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(stop)]}:
            sizes = [size for size in shape if type(size) is int and 0 <= size < SIZE_LIMIT]
            if dtype in ITEM_BYTES and len(sizes) == len(shape) <= 16:
                count = math.prod(sizes)
                if begin >= 0 and stop - begin == count * ITEM_BYTES[dtype]:
                    return begin, stop
    raise FrameError(f"safetensors: the entry {name[:40]!r} contradicts itself")
