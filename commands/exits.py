"""How a command ends that does not simply succeed. The command line needs this for --help as well: nothing heavy."""

from __future__ import annotations

import os

USAGE, WAITING, PAUSED, KILLED = 2, 10, 75, 130


class Halted(Exception):
    """A run stands still and can be gone on with: a sentence that says how, and the exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def close_stdout() -> None:
    """Python flushes at its end, into a pipe that nobody reads any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
