"""`marlsmith track`: runs that exist, told to a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def track_runs(runs: Sequence[Path], trackers: Sequence[str]) -> None:
    raise NotImplementedError
