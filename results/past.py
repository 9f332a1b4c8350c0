"""A run as its directory tells it, for people: the one reader of all that shows, compares or exports runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import Event, Finished, RunStarted, ToolResult
from marlsmith.schemas import Candidate, Evaluation, Record, UserError

LARGEST_CODE = 1_000_000
"""Bytes of a candidate's file; those that were accepted have at most 30,000 a part."""
SOUND: dict[str, type[Record]] = {"run_started": RunStarted, "tool_result": ToolResult, "finished": Finished}
"""Events whose numbers are reckoned with."""


@dataclass(frozen=True)
class PastRun:
    """Of a run that has ended, rests, or is under way: what it had told when it was opened."""

    directory: RunDirectory
    events: tuple[Event, ...]

    @classmethod
    def open(cls, path: Path) -> PastRun:
        """Raises UserError where `path` is no run, or is damaged."""
        directory = RunDirectory.open(path)
        events = tuple(directory.events())
        _require_sound(directory.path, events)
        return cls(directory, events)

    @property
    def path(self) -> Path:
        return self.directory.path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def settings(self) -> RunSettings:
        return self.directory.settings

    @cached_property
    def created(self) -> datetime:
        """When the run was made."""
        file = self.path / "run.toml"
        try:
            return datetime.fromisoformat(tomllib.loads(file.read_text(encoding="utf-8"))["created"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file} is damaged: it does not say when the run was made") from error

    @property
    def is_of_others(self) -> bool:
        """Whether its task is a program that would be imported and started, on no other word than the run's."""
        from marlsmith.marl.tasks.reference import TaskReference, is_external  # torch

        return is_external(TaskReference.parse(self.settings.task).name)

    @property
    def finished(self) -> Event | None:
        """The last event of a run that has ended."""
        last = self.events[-1] if self.events else None
        return last if last is not None and last["event"] == "finished" else None

    def require_finished(self) -> Event:
        if (finished := self.finished) is None:
            raise UserError(f"{self.path} has not ended: go on with it by `marlsmith resume {self.path}`")
        return finished

    def of(self, kind: str) -> list[Event]:
        """All events of a kind, in their order."""
        return [event for event in self.events if event["event"] == kind]

    @cached_property
    def evaluations(self) -> Mapping[str, Evaluation]:
        """By branch, in the order in which they came."""
        return {event["branch"]: Evaluation.model_validate(event["evaluation"]) for event in self.of("tool_result")}

    def whole(self, branch: str) -> Evaluation | None:
        """Of a branch over all its heats, as far as it was trained; None where it was not."""
        if (found := self.evaluations.get(branch)) is not None:
            return found
        return self.directory.evaluation(branch) if re.fullmatch(r"[a-z0-9_-]+", branch) else None

    @cached_property
    def candidates(self) -> Mapping[str, Candidate]:
        """By id, in the order in which they were proposed."""
        found = {event["candidate"]: self.directory.candidate(event["candidate"]) for event in self.of("proposal")}
        for id, candidate in found.items():  # files are found by it: it must be what a candidate may be called
            if id != candidate.id:
                raise UserError(f"{self.path / 'events.jsonl'} is damaged (candidate {id[:80]!a}): restore it")
        return found

    def code(self, id: str) -> str:
        """Of a candidate, as Python; what a config says, printed as code.

        Raises UserError where something else lies in its place: a run may come from anybody, and what a link leads
        to is none of it.
        """
        file = self.path / "candidates" / f"{id}.py"
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise UserError(f"{file} is damaged: it is no plain file")
        with file.open("rb") as opened:
            return opened.read(LARGEST_CODE).decode("utf-8", errors="replace")


def _require_sound(run: Path, events: Sequence[Event]) -> None:
    """Raises UserError where a run of somebody else tells what no run of ours does."""
    for number, event in enumerate(events, start=1):
        if (kind := SOUND.get(event["event"])) is None:
            continue
        told = {name: value for name, value in event.items() if name in kind.model_fields}
        try:
            kind.model_validate(told)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise UserError(
                f"{run / 'events.jsonl'} is damaged in line {number} ({where}: {fault['msg']}): restore it"
            ) from None
