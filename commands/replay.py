"""`marlsmith run --replay`: a run again, from its settings and its record, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marlsmith.commands.follow import as_replayed, follow
from marlsmith.commands.local import Local
from marlsmith.commands.references import verify_external
from marlsmith.commands.run import default_directory
from marlsmith.graph.approving.approval import Answer
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import Stop, WaitingForApproval, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import Event

OWN_OPTIONS = frozenset({"replay", "out", "workers", "unsafe_jail", "as_json", "plain"})
"""What may be said beside --replay: nothing that the run's decisions depend on."""


@dataclass(frozen=True)
class ReplayOptions:
    run: Path
    out: Path | None
    workers: int | None
    unsafe_jail: bool


def replay_run(options: ReplayOptions, *, as_json: bool, plain: bool) -> None:
    """In a directory of its own. No key, no sign of life: the models may be long gone."""
    source = RunDirectory.open(options.run)
    settings = _settings(source, options)
    verify_external(settings.task)
    path = options.out or default_directory(settings.task, settings.method_name)
    follow(lambda stop: _events(source, settings, path, stop), path, as_json=as_json, plain=plain)


def _settings(source: RunDirectory, options: ReplayOptions) -> RunSettings:
    recorded = source.settings
    return recorded.model_copy(
        update={
            "roles": recorded.roles.model_copy(update={"replay": str(source.path)}),
            "workers": options.workers or recorded.workers,
            "unsafe_jail": options.unsafe_jail,
        }
    )


def _events(source: RunDirectory, settings: RunSettings, path: Path, stop: Stop) -> Iterator[Event]:
    """A question to a person is answered as it was then; where it was not, the replay waits as any run."""
    outfitter = Local(settings.unsafe_jail)
    events = start(settings, outfitter, path, stop=stop)
    while True:
        try:
            yield from as_replayed(events, settings.roles.replay, path)
        except WaitingForApproval as question:
            answer = source.kept(question.name, Answer)
            if answer is None:
                raise
            events = resume(path, outfitter, stop=stop, answer=answer)
        else:
            return
