"""`marlsmith resume` and `marlsmith approve`: a run that stands still goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from marlsmith.agents.asking.accounting.prices import require_prices
from marlsmith.agents.config import limited
from marlsmith.commands.files import read_signal
from marlsmith.commands.follow import as_replayed, follow
from marlsmith.commands.local import Local
from marlsmith.graph.approving.approval import LONGEST_REASON, Answer
from marlsmith.graph.run import resume
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.results.tracking.tracker import require_trackers
from marlsmith.schemas import UserError, printable


def go_on(
    path: Path,
    answer: Answer | None,
    budget: Sequence[str],
    *,
    unsafe_jail: bool,
    as_json: bool,
    plain: bool,
    trackers: Sequence[str] = (),
) -> None:
    """With the answer to its question, where it has one; what was told before stands in the live view again."""
    require_trackers(trackers)
    directory = RunDirectory.open(path)
    if budget:
        _limit(directory, budget)
    past = list(directory.events())
    source = directory.settings.roles.replay
    outfitter = Local(unsafe_jail)
    follow(
        lambda stop: as_replayed(resume(path, outfitter, stop=stop, answer=answer), source, path),
        path,
        as_json=as_json,
        plain=plain,
        past=past,
        trackers=trackers,
    )


def answer_from(*, yes: bool, no: bool, edit: Path | None, reason: str) -> Answer:
    """What the command line says, a signal's file read. Raises UserError."""
    given = [option for option, said in (("--yes", yes), ("--no", no), ("--edit", edit is not None)) if said]
    if len(given) != 1:
        fault = f"{' and '.join(given)} exclude each other" if given else "the answer is missing"
        raise UserError(f"{fault}: say one of --yes, --no or --edit FILE")
    reason = printable(reason.strip(), LONGEST_REASON)
    if edit is not None:
        return Answer(decision="edit", reason=reason, signal=read_signal(edit))
    return Answer(decision="yes" if yes else "no", reason=reason)


def _limit(directory: RunDirectory, budget: Sequence[str]) -> None:
    """The new limits hold for this resume and every later one."""
    roles = directory.settings.roles
    roles = roles.model_copy(update={"budget": limited(roles.budget, budget)})
    require_prices(roles)
    with directory.lock():
        directory.limit(roles.budget)
