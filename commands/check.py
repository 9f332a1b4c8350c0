"""`marlsmith check`: signal files are tried for a task, without a training."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from marlsmith.commands.files import LONGEST_PROBLEM, parse_signal, read_bytes
from marlsmith.commands.machine import cores
from marlsmith.commands.options import known_scope
from marlsmith.commands.references import reference, verify_external
from marlsmith.commands.terminal import progress_bar, require_jail, warn
from marlsmith.marl.executor import Executor
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import Scope, SignalError, TaskCard, printable

MANY_FILES = 20
LONGEST_NAME = 400

Finding = tuple[str | None, list[str]]
"""The stage that refused a file, and its problems."""


def check_files(
    files: Sequence[Path], *, task: str, task_options: Sequence[str], scope: str, unsafe_jail: bool, as_json: bool
) -> bool:
    """Says of each file whether it is accepted; returns whether all are."""
    task = reference(task, task_options)
    card = make_task(task).card
    allowed = known_scope(scope)
    contents = {file: read_bytes(file) for file in files}
    _warn_of_other_tasks(contents, card)
    verify_external(task)
    executor = LocalExecutor(cores(), unsafe_jail=unsafe_jail)
    accepted = 0
    try:
        if unsafe_jail:  # else what needs no worker to be refused is refused without one
            require_jail(executor)
        findings = _findings(executor, files, contents, task, allowed)
        quiet = len(files) < MANY_FILES or (as_json and sys.stdout.isatty())
        with progress_bar("checking", len(files), quiet) as move:
            for number, (file, finding) in enumerate(zip(files, findings, strict=True), start=1):
                accepted += not finding[1]
                print(_as_json(file, finding) if as_json else _line(file, finding), flush=True)
                if move is not None:
                    move(number)
    finally:
        executor.close()
    return accepted == len(files)


def _findings(
    executor: Executor, files: Sequence[Path], contents: Mapping[Path, bytes], task: str, scope: Scope
) -> Iterator[Finding]:
    """Of each file, in their order; as many are checked at a time as there are workers."""

    def one(file: Path) -> Finding:
        try:
            failures = executor.check(parse_signal(file, contents[file]), task, scope)
        except SignalError as error:
            return error.stage, [printable(problem, LONGEST_PROBLEM) for problem in error.problems]
        return (failures[0].stage if failures else None), [failure.told for failure in failures]

    with ThreadPoolExecutor(executor.workers) as pool:
        try:
            yield from pool.map(one, files)
        except BaseException:
            executor.close()  # or the pool would wait for every check that has begun
            raise


def _as_json(file: Path, finding: Finding) -> str:
    stage, problems = finding
    return json.dumps({"file": str(file), "accepted": not problems, "stage": stage, "problems": problems})


def _line(file: Path, finding: Finding) -> str:
    stage, problems = finding
    said = f"refused ({stage}): {'; '.join(problems)}" if problems else "accepted"
    return f"{printable(str(file), LONGEST_NAME)}: {said}"


def _warn_of_other_tasks(contents: Mapping[Path, bytes], card: TaskCard) -> None:
    """Printed candidates name the task that they were printed for."""
    strangers: dict[str, list[Path]] = {}
    for file, data in contents.items():
        header = re.match(rb'"""Learning signal for (.+), printed by marlsmith', data)
        if header is not None and (name := header[1].decode(errors="replace")) != card.name:
            strangers.setdefault(printable(name, 100), []).append(file)
    for name, files in strangers.items():
        others = f" and {len(files) - 1} more were" if len(files) > 1 else " was"
        warn(f"{files[0]}{others} printed for the task {name}, which is not {card.name}: is --task right?")
