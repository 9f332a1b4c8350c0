"""`marlsmith track`: runs that exist, told to a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from marlsmith.results.past import PastRun
from marlsmith.results.tracking.telling import retell
from marlsmith.results.tracking.tracker import require_trackers
from marlsmith.schemas import printable

LONGEST = 4096
"""Characters of a path, as systems have it."""


def track_runs(paths: Sequence[Path], trackers: Sequence[str]) -> None:
    """All of them are read before the first is told. For each: where to look."""
    names = list(dict.fromkeys(trackers))
    require_trackers(names)
    runs = [PastRun.open(path) for path in paths]
    for run in runs:
        for name in names:
            print(printable(retell(run, name), LONGEST))
