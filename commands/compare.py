"""`marlsmith compare`: several runs side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from marlsmith.commands.outputs import PICTURES, Output, require_outputs
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.results.past import PastRun

if TYPE_CHECKING:
    from marlsmith.results.comparing.groups import Group


@dataclass(frozen=True)
class CompareOptions:
    by: Literal["run", "method"] = "run"
    plot: Path | None = None
    csv: Path | None = None
    marl_eval: Path | None = None
    as_json: bool = False

    def outputs(self) -> Iterator[Output]:
        for option, file, endings in (
            ("--plot", self.plot, PICTURES),
            ("--csv", self.csv, (".csv",)),
            ("--marl-eval", self.marl_eval, (".json",)),
        ):
            if file is not None:
                yield Output(option, file, endings)


def compare_runs(runs: Sequence[Path], options: CompareOptions) -> None:
    from marlsmith.results.comparing.groups import groups, record
    from marlsmith.results.comparing.table import tables

    require_outputs(list(options.outputs()))
    pasts = [PastRun.open(run) for run in runs]
    found = groups(pasts, options.by)
    _write_files(pasts, found, options)
    if options.as_json:
        print(json.dumps(record(found, options.by), ensure_ascii=False, allow_nan=False))
        return
    console = OutputConsole(highlight=False)
    for line in tables(found, options.by):
        console.print(line)


def _write_files(pasts: Sequence[PastRun], found: Sequence[Group], options: CompareOptions) -> None:
    """First, so that a comparison that is refused prints nothing; and first of them what may be refused."""
    if options.marl_eval is not None:
        from marlsmith.results.comparing.marl_eval import write_marl_eval

        write_marl_eval(found, options.marl_eval)
    if options.csv is not None:
        from marlsmith.results.comparing.tidy import write_csv

        write_csv(pasts, options.csv)
    if options.plot is not None:
        from marlsmith.results.comparing.picture import draw

        draw(found, options.plot)
