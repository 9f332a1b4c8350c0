"""Signal files of people and models, read with care: any of them may be something else."""

from __future__ import annotations

from pathlib import Path

from marlsmith.marl.signals import files
from marlsmith.schemas import Signal, SignalError, UserError, printable

LONGEST_PROBLEM = 300
MOST_BYTES = 1_000_000
"""Of a signal's file; those of people and models have some thousands."""


def read_signal(file: Path) -> Signal:
    """Raises UserError, whatever is wrong with the file."""
    try:
        return parse_signal(file, read_bytes(file))
    except SignalError as error:
        reason = printable(str(error), LONGEST_PROBLEM)
        raise UserError(f"{file} is refused ({error.stage}): {reason}") from None


def read_bytes(file: Path) -> bytes:
    """At most one more than a signal may have. Raises UserError."""
    try:
        if file.is_dir():
            raise UserError(f"{file} is a directory: name the files in it, as in {file}/*.py")
        if file.is_fifo() and not file.is_relative_to("/dev"):  # a shell's own pipes are /dev/stdin and /dev/fd/63
            raise UserError(f"{file} is a pipe, which may never end: name a file")
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise UserError(f"cannot read {file} ({reason}): name a file that can be read") from None


def parse_signal(file: Path, data: bytes) -> Signal:
    """What the file says, by the ending of its name. Raises SignalError."""
    if len(data) > MOST_BYTES:
        raise SignalError(f"has more than {MOST_BYTES:,} bytes, which no signal needs: is it the right file?")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise SignalError("is not UTF-8 text: save it as UTF-8") from None
    return files.read_signal(file.name, text)
