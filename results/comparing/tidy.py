"""A comparison as CSV: one row for each run, seed and point, of every training there was."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from marlsmith.results.comparing.files import writing
from marlsmith.results.comparing.rows import named, players
from marlsmith.results.past import PastRun

COLUMNS = (
    "run",
    "task",
    "method",
    "algorithm",
    "players",
    "run_seed",
    "branch",
    "candidate",
    "seed",
    "steps",
    "point",
    "score",
    "native_return",
    "shaped_return",
)
"""`steps` are those of one seed. `point` is `curve` (a few fixed episodes during training), `end` (the episodes that
decide), `lap` (an adapted main run after a stage, on fresh episodes) or `mean`: of a `curve` point over the seeds of
the branch, without a seed, and the only one that knows the returns. Runs of an earlier version have no other.
"""


def write_csv(pasts: Sequence[PastRun], file: Path) -> None:
    """Raises UserError where it cannot be written."""
    with writing(file), file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, COLUMNS)
        writer.writeheader()
        for name, past in named(pasts):
            about = _about(name, past)
            writer.writerows(about | row for row in _rows(past))


def _about(name: str, past: PastRun) -> dict[str, Any]:
    settings = past.settings
    return {
        "run": name,
        "task": settings.task,
        "method": settings.method_name,
        "algorithm": settings.train.algorithm,
        "players": players(settings),
        "run_seed": settings.seed,
    }


def _rows(past: PastRun) -> Iterator[dict[str, Any]]:
    members: Sequence[int] = ()
    for event in past.events:
        match event["event"]:
            case "stage_started":
                members = event["search_seeds"]
            case "tool_result":
                yield from _of_branch(past, event["branch"])
            case "advanced" if event["score"] is not None:
                about = {"branch": f"main-s{event['stage']}", "candidate": event["candidate"]}
                seeds = members or range(len(event["scores"]))
                for seed, score in zip(seeds, event["scores"], strict=False):
                    yield about | {"seed": seed, "steps": event["steps"], "point": "lap", "score": score}


def _of_branch(past: PastRun, branch: str) -> Iterator[dict[str, Any]]:
    found = past.evaluations[branch]
    about = {"branch": branch, "candidate": found.candidate}
    for point in found.curve:
        if point.scores:
            for seed, score in zip(found.seeds, point.scores, strict=True):
                yield about | {"seed": seed, "steps": point.steps, "point": "curve", "score": score}
        means = point.model_dump(include={"steps", "score", "native_return", "shaped_return"})
        yield about | means | {"point": "mean"}
    for seed, score in zip(found.seeds, found.scores, strict=False):
        steps = found.curve[-1].steps if found.curve else found.steps
        yield about | {"seed": seed, "steps": steps, "point": "end", "score": score}
