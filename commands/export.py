"""`marlsmith export`: a run's signal and policy, to use without marlsmith."""

from __future__ import annotations

from pathlib import Path


def export_run(run: Path, directory: Path, candidate: str | None) -> None:
    raise NotImplementedError
