"""`marlsmith compare`: several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def compare_runs(
    runs: Sequence[Path], plot: Path | None, csv: Path | None, marl_eval: Path | None, *, as_json: bool
) -> None:
    raise NotImplementedError
