"""Weights & Biases: one of its runs for each run, known again by an id that stays.

Without an account it keeps a run on disk where WANDB_MODE=offline says so.
All of a run is told each time, in the order of its events, and each row has its number: what the service has already
is left out, and what is kept offline is whole in each of its directories.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path

import wandb

from marlsmith.results.past import PastRun
from marlsmith.results.tracking.rows import AXES, Numbers, Row, Settings, Text
from marlsmith.schemas import UserError

PROJECT = "marlsmith"
SECONDS_TO_BEGIN, SECONDS_TO_END = 30.0, 60.0
"""A service that does not answer holds nobody up for longer; what it did not take lies on disk."""


def require_account() -> None:
    """wandb itself would ask at the terminal, in the middle of a run."""
    if not _stays_here() and not wandb.login(prompt=False, verify=False):
        raise UserError("wandb has no account here: `wandb login`, or keep it on disk with WANDB_MODE=offline")


def _stays_here() -> bool:
    """As WANDB_MODE says, or what `wandb offline` wrote."""
    return wandb.setup(wandb.Settings(silent=True)).settings.mode not in ("online", "shared")


class Wandb:
    def __init__(self, run: PastRun) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=identity(run),
            name=run.name,
            dir=str(run.path),
            resume="allow",
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                finish_timeout=0 if _stays_here() else SECONDS_TO_END,  # the disk is waited for only without
                init_timeout=SECONDS_TO_BEGIN,
                silent=True,
                x_disable_stats=True,
            ),
        )
        self._first = self._run.step
        self._row = 0
        for axis in sorted(set(AXES.values())):
            self._run.define_metric(axis, hidden=True)
        for group, axis in AXES.items():
            self._run.define_metric(f"{group}/*", step_metric=axis)

    @property
    def where(self) -> str:
        if self._run.offline:
            return f"wandb sync {shlex.quote(str(Path(self._run.dir).parent))}"
        return self._run.url or "wandb keeps nothing: WANDB_MODE says so"

    def keep(self, row: Row) -> None:
        match row:
            case Numbers(line, axis, at, values):
                if self._row >= self._first:
                    named = {f"{name}/{line}" if line else name: value for name, value in values.items()}
                    self._run.log({**named, axis: at}, step=self._row)
                self._row += 1
            case Text(name, text):
                self._run.summary[name] = text
            case Settings(values):
                self._run.config.update(dict(values), allow_val_change=True)

    def flush(self) -> None:
        """It sends what it has by itself."""

    def close(self) -> None:
        self._run.finish()
        wandb.teardown()  # its process writes the last of it to disk as it ends


def identity(run: PastRun) -> str:
    """The same for the same run, wherever its directory is moved and whatever a resume changes."""
    grounds = [run.created.isoformat(), run.events[0]["settings"]]
    return hashlib.sha256(json.dumps(grounds, sort_keys=True).encode()).hexdigest()[:16]
