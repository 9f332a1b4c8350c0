"""Runs the cells of a table one after another, each a run directory: what has finished is not run again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.settings import Budget, Limits
from marlsmith.graph.context import Outfitter
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.naming import is_confirmation
from marlsmith.graph.run import Stop, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import Event
from marlsmith.results.past import PastRun
from marlsmith.results.reproducing.maker import Maker
from marlsmith.results.reproducing.plan import Cell, What, named
from marlsmith.results.reproducing.sharing import Sharing, Trainings
from marlsmith.schemas import UserError, printable

MADE = "made.json"
_FREE = ("workers", "branch_seconds", "unsafe_jail")
_FREE_OF_ROLES = ("budget", "prompts", "prompts_version", "manual_seconds")
"""What may differ when a table is gone on with: it changes no number, or is written anew."""


class OtherSettings(UserError):
    """A cell that is there was run with other settings; says which, and leaves open what to do."""


@dataclass(frozen=True)
class Order:
    """A cell and all that its run depends on."""

    cell: Cell
    settings: RunSettings


def begun(what: What, directory: Path) -> dict[Cell, PastRun]:
    """The runs of a table that a directory holds, finished or not, whatever they were made with."""
    places = sorted(file.parent for file in directory.glob("*/run.toml"))
    cells = named(what, [place.name for place in places])
    return {cell: PastRun.open(directory / cell.name) for cell in cells}


class Table:
    """The runs of a table under one directory, done or still to do."""

    def __init__(self, directory: Path, orders: Sequence[Order], budget: Budget, *, shares: bool) -> None:
        """`shares`: a training that two cells have in common is done once. Raises OtherSettings."""
        self.directory, self.orders, self._budget, self._shares = directory, tuple(orders), budget, shares
        for order in self.orders:
            if (self.place(order.cell) / "run.toml").exists():
                _require_same(RunDirectory.open(self.place(order.cell)), order.settings)

    def place(self, cell: Cell) -> Path:
        return self.directory / cell.name

    def past(self, cell: Cell) -> PastRun | None:
        """Its run, where that has begun."""
        return PastRun.open(self.place(cell)) if (self.place(cell) / "run.toml").exists() else None

    def finished(self) -> dict[Cell, PastRun]:
        """In the order of the table."""
        runs = ((order.cell, self.past(order.cell)) for order in self.orders)
        return {cell: run for cell, run in runs if run is not None and run.finished is not None}

    def drive(self, outfitter: Outfitter, stop: Stop, maker: Maker) -> Iterator[tuple[Cell, Event]]:
        """What is left, cell by cell, with all events of each. Raises what `graph.run.start` raises."""
        done, trainings = self.finished(), Trainings()
        if self._shares:
            for run in done.values():
                trainings.learn(run)
            outfitter = Sharing(outfitter, trainings)
        made = self.made()
        for order in self.orders:
            if order.cell not in done:
                for event in self._events(order, outfitter, stop):
                    yield order.cell, event
            if order.cell.name not in made:  # or a kill came before this
                _forget_searched(self.place(order.cell))
                self._stamp(order.cell, maker)

    def _events(self, order: Order, outfitter: Outfitter, stop: Stop) -> Iterator[Event]:
        place, budget = self.place(order.cell), self._left_for(order.cell)
        if not (place / "run.toml").exists():
            roles = order.settings.roles.model_copy(update={"budget": budget})
            return start(order.settings.model_copy(update={"roles": roles}), outfitter, place, stop=stop)
        directory = RunDirectory.open(place)
        if directory.settings.roles.budget != budget:
            with directory.lock():
                directory.limit(budget)
        return resume(place, outfitter, stop=stop)

    # ------------------------------------------------------------ what it may cost

    def _left_for(self, cell: Cell) -> Budget:
        """The budget is of the whole table: what all other cells have spent is gone."""
        spent = [line for order in self.orders if order.cell != cell for line in self._paid(order.cell)]
        left = {"run": _less(self._budget.run, spent)}
        for role in ("generator", "critic", "validator"):
            left[role] = _less(getattr(self._budget, role), [line for line in spent if line["role"] == role])
        return Budget(**left)

    def _paid(self, cell: Cell) -> list[book.Line]:
        lines = book.Index(book.read(self.place(cell) / book.FILE)).lines()
        return [line for line in lines if book.usage_of(line) is not None]

    # ------------------------------------------------------------ by whom it was made

    def made(self) -> dict[str, Maker]:
        """By cell: on which machine, by which version, and when."""
        try:
            told: Mapping[str, object] = json.loads((self.directory / MADE).read_text(encoding="utf-8"))
            return {name: Maker.model_validate(said) for name, said in told.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise UserError(f"{self.directory / MADE} is damaged: delete it, then nobody knows who ran what") from error

    def _stamp(self, cell: Cell, maker: Maker) -> None:
        told = {name: said.model_dump(mode="json") for name, said in {**self.made(), cell.name: maker.now()}.items()}
        temporary = self.directory / f".{MADE}.tmp"
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.directory / MADE)


def _less(limits: Limits, spent: Sequence[book.Line]) -> Limits:
    usages = [usage for line in spent if (usage := book.usage_of(line)) is not None]
    gone: dict[str, float] = {
        "calls": len(usages),
        "tokens": sum(usage.tokens for usage in usages),
        "money": sum(line.get("money") or 0.0 for line in spent),
    }
    said = {name: limit for name, limit in limits if limit is not None}
    return Limits(**{name: max(0, limit - gone[name]) for name, limit in said.items()})


def _forget_searched(place: Path) -> None:
    """The networks of candidates that the search only looked at: with replay, a table of them takes tens of GB."""
    run = PastRun.open(place)
    if not run.settings.method.adapts:
        run.directory.forget_checkpoints(branch for branch in run.evaluations if not is_confirmation(branch))


def _require_same(directory: RunDirectory, settings: RunSettings) -> None:
    before, now = _compared(directory.settings), _compared(settings)
    for name in before:
        if before[name] != now[name]:
            was, said = (printable(str(each[name]), 60) for each in (before, now))
            raise OtherSettings(f"{directory.path} was run with {name} {was}, and now it would be {said}")


def _compared(settings: RunSettings) -> dict[str, object]:
    """Flat, so that the difference can be named: `train.steps`."""
    plain = settings.model_dump(mode="json")
    for name in _FREE:
        del plain[name]
    for name in _FREE_OF_ROLES:
        del plain["roles"][name]
    return dict(_flat(plain, ""))


def _flat(value: object, name: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key, item in value.items():
        yield from _flat(item, f"{name}.{key}" if name else str(key))
