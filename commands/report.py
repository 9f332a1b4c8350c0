"""`marlsmith report`: a run as one page."""

from __future__ import annotations

from pathlib import Path


def write_report(run: Path, out: Path | None, *, animation: bool) -> None:
    raise NotImplementedError
