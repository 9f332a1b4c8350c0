"""`marlsmith export`: a run's signal and policy, to use without marlsmith."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from marlsmith.graph.telling.speech import count
from marlsmith.results.exporting.write import export


def export_run(run: Path, directory: Path, candidate: str | None, *, trusted: bool) -> None:
    """`trusted`: a task of others may be started, to see what its environment gives."""
    made = export(run, directory, candidate, trusted=trusted)
    standing = "promoted" if made.promoted else "not promoted: read its README before you trust it"
    seeds = count(len(made.policy_seeds), "seed")
    policy = f"policy of {seeds}" if made.policy_seeds else "no policy: the run kept no networks of it"
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{made.candidate} ({standing}), {policy}", markup=False)
    console.print(f"signal  {made.directory}/learning_signal.py", markup=False)
    console.print(f"wrapper {made.directory}/signal_env.py", markup=False)
    if made.policy_seeds:
        console.print(f"policy  {made.directory}/policy.py", markup=False)
    console.print(f"read    {made.directory}/README.md", markup=False)
