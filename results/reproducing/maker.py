"""On which machine and by which code a number was made."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from marlsmith.schemas import Record, printable

ROOT = Path(__file__).resolve().parents[2]


class Maker(Record):
    date: str = ""
    processor: str
    cores: int
    version: str
    commit: str | None = None
    """None where the code is no checkout."""

    @classmethod
    def here(cls, cores: int) -> Maker:
        return cls(processor=_processor(), cores=cores, version=version("marlsmith"), commit=_commit())

    def now(self) -> Maker:
        return self.model_copy(update={"date": datetime.now(UTC).date().isoformat()})


def described(makers: Iterable[Maker]) -> str:
    """All who made a table, in a line: dates, machines, code."""
    known = list(makers)
    if not known:
        return "nobody wrote down where it was made"
    dates = sorted({maker.date for maker in known})
    machines = sorted({f"{maker.cores} cores of {maker.processor}" for maker in known})
    codes = sorted({f"marlsmith {m.version}" + (f" ({m.commit})" if m.commit else "") for m in known})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{when}; {' and '.join(machines)}; {' and '.join(codes)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        named = next(line.partition(":")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        named = platform.processor() or platform.machine()
    return printable(named, 80)


def _commit() -> str | None:
    """With a word where the checkout holds something else than that commit."""
    if not (ROOT / ".git").exists():
        return None
    commit, changes = _git("rev-parse", "--short=10", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return None if commit is None else commit + (" with changes" if changes else "")


def _git(*words: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=20, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
