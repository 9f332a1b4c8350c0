"""`marlsmith show`: the story of a run, told from its directory alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.text import Text

from marlsmith.commands import show_asked, show_candidate
from marlsmith.commands.outputs import Output, require_outputs
from marlsmith.commands.watch import Pace, awaited, watched
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.decisions import Decisions
from marlsmith.graph.telling.display import JsonTrace, OutputConsole, draw
from marlsmith.graph.telling.story import Story, answered, ending
from marlsmith.graph.telling.trace import Event
from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError, printable

LONGEST = 4096
"""Characters of a path, as systems have it."""


@dataclass(frozen=True)
class ShowOptions:
    """What is to be told of a run: its story where nothing else is said."""

    follow: bool = False
    decisions: bool = False
    candidate: str | None = None
    prompts: bool = False
    svg: Path | None = None
    as_json: bool = False

    def require_sense(self) -> None:
        """Refuses what cannot be had together, and a picture where none may be."""
        given = {
            "--follow": self.follow, "--decisions": self.decisions, "--candidate": self.candidate is not None,
            "--prompts": self.prompts, "--svg": self.svg is not None, "--json": self.as_json,
        }  # fmt: skip
        for option, why, others in (
            ("--candidate", "shows one candidate as it stands", ("--follow", "--decisions")),
            ("--prompts", "shows what has been sent so far", ("--follow", "--decisions")),
            ("--svg", "draws what stands there now", ("--follow", "--json")),
        ):
            if given[option] and (extra := [other for other in others if given[other]]):
                raise UserError(f"{option} {why}: leave out {' and '.join(extra)}")
        if self.svg is not None:
            require_outputs([Output("--svg", self.svg, (".svg",))])


class Teller(Protocol):
    def lines(self, event: Event) -> Iterable[RenderableType]: ...


def show_run(run: Path, options: ShowOptions) -> None:
    options.require_sense()
    if options.follow:
        _follow(awaited(run, _say), run, options)
        return
    past = PastRun.open(run)
    if options.candidate is not None:
        show_candidate.require(past, options.candidate)
    if options.as_json:
        for record in _records(past, options):
            _print_json(record)
    elif options.svg is not None:
        draw(_lines(past, options), options.svg)
    else:
        _print(_lines(past, options))
        if not (options.prompts or options.candidate):
            _print_ending(past.events, run)


def _lines(past: PastRun, options: ShowOptions) -> Iterator[RenderableType]:
    if options.candidate is not None:
        yield from show_candidate.sheet(past, options.candidate)
    if options.prompts:
        yield from show_asked.told(past, show_asked.exchanges(past, options.candidate), options.candidate)
    if options.candidate is None and not options.prompts:
        teller = _teller(past.events, options)
        yield from (line for event in past.events for line in teller.lines(event))


def _teller(events: Iterable[Event], options: ShowOptions) -> Teller:
    return Decisions() if options.decisions else Story(again=True, answered=answered(events))


def _records(past: PastRun, options: ShowOptions) -> Iterator[dict[str, Any]]:
    """One for each event, decision or exchange; of a candidate one, that holds its exchanges if they are wanted."""
    asked = map(show_asked.record, show_asked.exchanges(past, options.candidate)) if options.prompts else iter(())
    if options.candidate is not None:
        yield show_candidate.record(past, options.candidate) | ({"prompts": list(asked)} if options.prompts else {})
    elif options.prompts:
        yield from asked
    elif options.decisions:
        yield from _decisions(past.events)
    else:
        yield from past.events


def _decisions(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    teller = Decisions()
    return (asdict(decision) for event in events for decision in teller.of(event))


# ---------------------------------------------------------------- following


def _follow(directory: RunDirectory, run: Path, options: ShowOptions) -> None:
    """Ctrl-C ends the telling and leaves the run alone."""
    if options.as_json:
        events = watched(directory)
        for record in _decisions(events) if options.decisions else events:
            _print_json(record)
        return
    told = list(directory.events())  # its questions that have their answer are told short
    teller, console, pace = _teller(told, options), OutputConsole(highlight=False), Pace()
    heard: list[Event] = []
    with _status(console) as say:
        for event in watched(directory, lambda: say(pace.words())):
            pace.take(event)
            heard.append(event)
            for line in teller.lines(event):
                console.print(line)
    _print_ending(heard, run)


@contextmanager
def _status(console: Console) -> Iterator[Any]:
    """A line below the story, on a terminal; yields what changes it."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda words: None
        return
    with console.status(Text("", "dim"), spinner="dots") as status:
        yield lambda words: status.update(Text(words, "dim"))


# ---------------------------------------------------------------- printing


def _print(lines: Iterable[RenderableType]) -> None:
    console = OutputConsole(highlight=False)
    for line in lines:
        console.print(line)


def _print_ending(events: Iterable[Event], run: Path) -> None:
    if (words := ending(list(events), run)) is not None:
        OutputConsole(highlight=False).print(Text(words), soft_wrap=True)


def _say(sentence: str) -> None:
    print(f"marlsmith: {printable(sentence, LONGEST)}", file=sys.stderr, flush=True)


def _print_json(record: dict[str, Any]) -> None:
    JsonTrace().tell(record)
