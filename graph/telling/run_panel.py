"""What stands above the story of a run: what it will do, for how long, and by whom."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from marlsmith.agents.settings import NOBODY
from marlsmith.graph.methods import Method, RunSettings
from marlsmith.graph.telling import jail
from marlsmith.graph.telling.speech import count, rows_of
from marlsmith.graph.telling.trace import Event
from marlsmith.graph.telling.workload import Workload
from marlsmith.schemas import JailReport


def run_panel(event: Event) -> RenderableType:
    """Of a `run_started` event."""
    settings = RunSettings.model_validate(event["settings"])
    roles, told = settings.roles, _adapted(settings) if settings.method.adapts else _from_scratch(settings)
    critic = roles.critic if settings.method.diagnose else NOBODY
    players = f"generator {', '.join(roles.generators)}, critic {critic}, validator {roles.validator}"
    table = rows_of(
        [("task", f"{settings.task}, {settings.train.algorithm}"), *told, ("roles", players), ("run", event["run"])]
    )
    if event.get("jail") is not None:
        report = JailReport.model_validate(event["jail"])
        said = Text(jail.summary(report), jail.style(report))
        if settings.train.device != "cpu" and report.profile == "cpu":
            said.append("; with a GPU the jail is wider, and that was not tried", "yellow")
        table.add_row(Text("jail", "dim"), said)
    title = "marlsmith, resumed" if event["resumed"] else "marlsmith"
    return Panel(table, title=title, title_align="left", border_style="dim")


def _from_scratch(settings: RunSettings) -> Iterator[tuple[str, str]]:
    method = settings.method
    kept = f"population {method.population}, {_designs(method)}"
    yield "method", f"{settings.method_name}: {_rounds(method)}, {kept}"
    trained = f"{method.search_seeds} seeds x {settings.train.steps:,} steps a candidate"
    yield "training", f"{trained}; {_played(settings)}; {settings.workers} workers"


def _adapted(settings: RunSettings) -> Iterator[tuple[str, str]]:
    method = settings.method
    yield "method", f"{settings.method_name}: {_proposals(method)}"
    if (prelude := method.prelude) is not None:
        searched = f"{_rounds(prelude)} from scratch, {prelude.search_seeds} seeds x {prelude.branch_steps:,} steps"
        stages = "stage 1" if method.opening == 1 else f"stages 1 to {method.opening}"
        yield "before", f"{stages}: {searched} a candidate; the winner is what the main run begins with"
    heats = len(method.groups(range(method.search_seeds)))
    members = f"{count(method.search_seeds, 'member')} in {count(heats, 'heat')}"
    whole = Workload(settings).main // method.search_seeds
    fades = method.fade is not None and method.proposing_stages > 0
    fade = f"; the shaping fades from {round((method.fade or 0.0) * whole):,} on" if fades else ""
    workers = count(settings.workers, "worker")
    yield "main run", f"{members}, {whole:,} steps each, {method.branch_steps:,} a stage and a branch{fade}; {workers}"
    yield "gate", _gate(method)
    yield "scores", f"{_played(settings)}, and fresh ones for the main run after each stage"


def _proposals(method: Method) -> str:
    """How often candidates are asked for: the arms of a comparison differ in that."""
    stages = count(method.stages, "stage")
    if method.opening:  # stages are counted on
        stages += f" ({method.opening + 1} to {method.all_stages})"
    if method.proposing_stages == 0:
        return f"{stages}; nothing is proposed, the main run is trained without a signal"
    each = count(method.candidates, "candidate")
    asked = f"{count(method.rounds, 'round')} x {each}" if method.rounds > 1 or method.candidates > 1 else each
    when = f"{stages} x {asked}"
    if method.proposing_stages < method.stages:
        when = f"{stages}, {asked} in the first {count(method.proposing_stages, 'stage')} only"
    return f"{when}, {_designs(method)}"


def _gate(method: Method) -> str:
    if method.proposing_stages == 0:
        return "none is needed"
    if not method.gate:
        return "none: what is proposed is taken as it is, and nothing is validated"
    tests = f" / {method.candidates} (the candidates of a round share it)" if method.candidates > 1 else ""
    passed = f"the lower bound of the paired gain above {method.margin:g} at level {method.level:g}{tests}"
    person = ", and by a person" if method.approve else ""
    longer = f" over {count(method.foresight, 'stage')}" if method.foresight > 1 else ""
    return f"{passed}, then once more on fresh random numbers{longer}{person}"


def _rounds(method: Method) -> str:
    return f"{count(method.rounds, 'round')} x {method.candidates} candidates"


def _designs(method: Method) -> str:
    return f"evolves {method.evolve}, scope {method.scope}"


def _played(settings: RunSettings) -> str:
    return f"{settings.evaluation.episodes} evaluation episodes"
