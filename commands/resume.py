"""`marlsmith resume` and `marlsmith approve`: a run that stands still goes on."""

from __future__ import annotations

from pathlib import Path

from marlsmith.commands.follow import follow
from marlsmith.commands.local import Local
from marlsmith.graph.run import resume
from marlsmith.graph.run_directory import RunDirectory


def go_on(path: Path, answer: bool | None, *, unsafe_jail: bool, as_json: bool, plain: bool) -> None:
    """With the answer to its question, where it has one; what was told before stands in the live view again."""
    past = list(RunDirectory.open(path).events())
    outfitter = Local(unsafe_jail)
    follow(
        lambda stop: resume(path, outfitter, stop=stop, approve=answer), path, as_json=as_json, plain=plain, past=past
    )
