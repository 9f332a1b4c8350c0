"""What a table comes to: told on standard output, and written beside its runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from marlsmith.graph.methods import RunSettings
from marlsmith.graph.seeds import confirm_seeds
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.results.past import PastRun
from marlsmith.results.reproducing import checking, table, written
from marlsmith.results.reproducing.drive import Table
from marlsmith.results.reproducing.maker import described
from marlsmith.results.reproducing.plan import Cell, label
from marlsmith.schemas import UserError

Tell = Callable[[str], None]


def write_table2(of: Table, command: str, *, as_json: bool, tell: Tell) -> None:
    from marlsmith.results.reproducing.pictures import draw_evolution, draw_table

    runs = of.finished()
    found, missing = table.entries(runs)
    searched = {(cell.column, cell.scope): table.evolution(run) for cell, run in runs.items() if cell.row == "lero"}
    evolved = {place: rounds for place, rounds in searched.items() if rounds}
    named = {f"{column} ({scope})": rounds for (column, scope), rounds in evolved.items()}
    made, settings = _made(of, runs), [f"`{command}`", *_settings(runs)]
    text = written.markdown(found, missing, made, settings, named)
    files = {"table2.md": text, "table2.csv": written.table_csv(found)}
    if as_json:
        entries = [written.plain(entry) for entry in found]
        gaps = [{"cell": gap.cell.name, "reason": gap.reason} for gap in missing]
        print(json.dumps({"event": "table", "entries": entries, "missing": gaps, "made": made, "settings": settings}))
    else:
        console = _console()
        console.print(written.grid(found))
        console.print(written.LEGEND, markup=False)
        for gap in missing:
            console.print(f"{gap.cell.words}: no number on fresh seeds ({gap.reason})", markup=False)
    _write(of.directory, files)
    with _writing(of.directory):
        if found:
            draw_table(found, made, of.directory / "table2.svg")
        if evolved:
            draw_evolution(evolved, made, of.directory / "evolution.svg")
    drawn = [name for name in ("table2.svg", "evolution.svg") if (of.directory / name).exists()]
    tell(_summary(of, [*files, *drawn]))


def write_checks(of: Table, command: str, *, as_json: bool, tell: Tell) -> None:
    runs = of.finished()
    found = checking.outcomes(runs)
    made, settings = _made(of, runs), [f"`{command}`", *_settings(runs)]
    text = checking.markdown(found, made, settings)
    if as_json:
        outcomes = [asdict(one) for one in found]
        print(json.dumps({"event": "checks", "outcomes": outcomes, "made": made, "settings": settings}))
    else:
        _console().print(Markdown(text))
    rows = json.dumps([asdict(one) for one in found], indent=1) + "\n"
    _write(of.directory, {"checks.md": text, "checks.json": rows})
    tell(_summary(of, ["checks.md", "checks.json"]))


def _summary(of: Table, files: list[str]) -> str:
    done, whole = len(of.finished()), len(of.orders)
    unfinished = f"{done} of {whole} runs have finished; " if done < whole else ""
    return f"{unfinished}{', '.join(files)} in {of.directory}"


def _made(of: Table, runs: dict[Cell, PastRun]) -> str:
    made = of.made()
    return described(made[cell.name] for cell in runs if cell.name in made)


def _settings(runs: dict[Cell, PastRun]) -> Iterator[str]:
    """What all runs have in common, for whoever reads the table or would make it again."""
    searches = [run.settings for run in runs.values() if not run.settings.method.adapts]
    if not searches:
        return
    first = searches[0]
    method, episodes = first.method, first.evaluation.episodes
    yield f"{first.train.steps:,} environment steps of a seed, {method.search_seeds} seeds of a candidate in a search"
    fresh = confirm_seeds(first.seed, 1, method.confirm_seeds)
    yield f"fresh seeds {fresh[0]} to {fresh[-1]} in each row (of run seed {first.seed}); {episodes} episodes a seed"
    yield ", ".join(dict.fromkeys(_method(settings) for settings in searches))
    yield from dict.fromkeys(_roles(settings) for settings in searches)
    yield from dict.fromkeys(_training(settings) for settings in searches)


def _method(settings: RunSettings) -> str:
    method = settings.method
    return f"{label(settings.method_name, None)} {method.rounds} x {method.candidates} candidates"


def _roles(settings: RunSettings) -> str:
    roles = settings.roles
    return f"generator {', '.join(roles.generators)}, critic {roles.critic}, validator {roles.validator}"


def _training(settings: RunSettings) -> str:
    train = settings.train
    told = {"gamma": train.gamma, "learning rate": train.learning_rate, "environments": train.environments}
    if train.algorithm in ("vdn", "qmix"):
        told |= {"updates": train.updates, "batch": train.batch}
    return f"{settings.task}, {train.algorithm}: {', '.join(f'{name} {value:g}' for name, value in told.items())}"


def _console() -> Console:
    return OutputConsole(highlight=False)


def _write(directory: Path, files: dict[str, str]) -> None:
    with _writing(directory):
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write into {directory} ({(error.strerror or 'fault').lower()}): allow it, then say --finished"
        ) from None
