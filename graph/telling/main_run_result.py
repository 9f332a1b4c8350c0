"""What an adapted main run came to: against the same training without a signal, stage by stage, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from marlsmith.graph.methods import Method, RunSettings
from marlsmith.graph.naming import heat_branch, lap_branch
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.speech import bar, count, interval, rows_of, standings
from marlsmith.graph.telling.trace import Event

NEXT_TO_NOTHING = 0.05
"""Of a score."""


@dataclass(frozen=True)
class Beside:
    """What was trained beside the main run."""

    before: int
    """Environment steps of a search from scratch that came first."""
    best: float
    """The highest score of a branch."""


def main_run_result(event: Event, settings: RunSettings | None, beside: Beside) -> Iterator[RenderableType]:
    """`settings` are None where the story does not reach back to its beginning."""
    method = settings.method if settings is not None else Method(adapts=True)
    yield from _answer(event, method, beside)
    yield Text()
    yield _laps(event["main"]["laps"])
    apart = "Each stage is played on fresh episodes of its own: its last score need not be the one at the top."
    yield Text(apart, "dim")
    yield Text()
    yield rows_of(list(_numbers(event, method, beside)))


def _answer(event: Event, method: Method, beside: Beside) -> Iterator[RenderableType]:
    native, best, gain = event["native"], event["best"], event["gain"]
    standing = best or native
    if standing is None:
        yield Text(f"The main run has no score at its end: {event['reason']}.", "bold red")
        return
    besides = " and the same training without a signal" if best is not None and native is not None else ""
    yield Text(f"The main run{besides} on {_episodes(standing)}", "dim")
    rows = {} if native is None else {"without a signal": native}
    yield standings(rows if best is None else {**rows, f"main run, {best['candidate']}": best})
    if best is not None and native is not None:
        yield Text(", ".join(f"{k} {native['metrics'][k]:.3g} -> {v:.3g}" for k, v in best["metrics"].items()), "dim")
    if gain is not None:
        yield Text(f"mean paired gain {gain['mean']:+.3f}, 95% interval {interval(gain['interval'], '+')}", "bold")
    if not event["promoted"]:
        why = "No signal earned its way in" if method.gate else "No signal was taken up"
        yield Text(f"{why}: the main run is the training without a signal, step for step.", "bold yellow")
        if method.proposing_stages and _saw_nothing(event["main"]["laps"], beside):
            seen = f"Branches of {method.branch_steps:,} steps saw next to no success"
            yield Text(f"{seen}: try longer ones (--branch-steps).", "yellow")
    elif besides == "":
        yield Text("It was not compared with the same training without a signal.", "bold yellow")
    if event["promoted"] and not method.gate:
        yield Text("Nothing was validated: this method has no gate and takes what is proposed.", "bold yellow")


def _saw_nothing(laps: Sequence[Event], beside: Beside) -> bool:
    return all(lap["score"] == 0 for lap in laps) and 0 <= beside.best < NEXT_TO_NOTHING


def _episodes(standing: Event) -> str:
    members = count(len(standing["scores"]), "member")
    return f"fresh episodes; interquartile mean of {members} and 95% interval"


def _laps(laps: Sequence[Event]) -> Table:
    """The main run's score over its stages: a curve that lies on its side."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("after stage", "steps", "under", "score", "95% interval", ""):
        table.add_column(name, justify="right" if name in {"after stage", "steps", "score"} else "left")
    before = None
    for lap in laps:
        back, changed = lap["rolled_back_to"], lap["candidate"] != before and lap["candidate"] != NATIVE_ID
        shown = Text("it has no score") if lap["score"] is None else Text(bar(lap["score"], 16), "green")
        if back is not None:
            shown.append(f" back to {back}", "bold red")
        score = "" if lap["score"] is None else f"{lap['score']:.3f}"
        under = Text(lap["candidate"], "bold green" if changed else "")
        table.add_row(str(lap["stage"]), f"{lap['steps']:,}", under, score, Text(interval(lap["interval"])), shown)
        before = lap["candidate"]
    return table


def _numbers(event: Event, method: Method, beside: Beside) -> Iterator[tuple[str, str]]:
    main = event["main"]
    if method.prelude is not None:
        first = main["laps"][0]["candidate"]
        began = "nothing was promoted" if first == NATIVE_ID else f"{first} was promoted"
        yield "before", f"the search from scratch: {began}; {beside.before:,} of the steps beside the main run"
    ends = f"peak {main['peak']:.3f}, final {main['final']:.3f}, area under the curve {main['area']:.3f}"
    yield "main run", ends
    if method.gate:
        yield "promoted", _promoted(main["laps"])
        yield "race", _race(main)
        yield "branches", _competence(main, method)
    steps = f"{main['main_steps']:,} environment steps of the main run, {main['search_steps']:,} beside it"
    yield "cost", steps


def _promoted(laps: Sequence[Event]) -> str:
    first = laps[0]["candidate"]
    before_it = [f"{first} by the search before it"] if first != NATIVE_ID else []
    found = [
        f"{now['candidate']} after stage {now['stage']}"
        for before, now in pairwise(laps)
        if now["candidate"] not in (before["candidate"], NATIVE_ID) and now["rolled_back_to"] is None
    ]
    return ", ".join(before_it + found) or "nothing"


def _race(main: Event) -> str:
    if not main["dropped"]:
        return "nothing was stopped early"
    stopped = count(main["dropped"] - main["audited"], "candidate")
    stopped = f"{stopped} stopped early, which saved {main['steps_saved']:,} environment steps"
    if not main["audited"]:
        return f"{stopped}; none was trained on to audit the race"
    missed = f"{main['missed'] or 'none'} of which passed the gate after all"
    return f"{stopped}; {main['audited']} more trained on to audit it, {missed}"


def _competence(main: Event, method: Method) -> str:
    over = f"gains at one horizon against one about twice as long, {count(main['pairs'], 'candidate')}"
    if main["competence"] is None:
        return f"{over}: too few or too much alike for a rank correlation"
    found = f"{over}: rank correlation {main['competence']:+.2f}"
    return f"{found}; at {method.competence:g} or below the gate abstains"


# ---------------------------------------------------------------- where things are


def files(event: Event) -> Mapping[str, str]:
    """The signal that the main run carries, where it carries one, and its networks by heat."""
    run, laps = Path(event["run"]), event["main"]["laps"]
    found = {}
    if (candidate := laps[-1]["candidate"]) != NATIVE_ID:
        carried = run / "main" / "signal.py"
        found["signal"] = str(carried if carried.exists() else run / "candidates" / f"{candidate}.py")
    first, *others = (run / "main" / f"{name}.safetensors" for name in _networks(laps, run))
    found["policy"] = ", ".join([str(first), *(path.name for path in others)])
    return found


def _networks(laps: Sequence[Event], run: Path) -> list[str]:
    """After a rollback those of the stage that it went back to."""
    by_stage = {lap["stage"]: lap for lap in laps}
    last = laps[-1]
    while last["rolled_back_to"] is not None:
        last = by_stage[last["rolled_back_to"]]
    name = lap_branch(last["stage"])
    heats = len(list((run / "main").glob(f"{name}-h*.safetensors")))
    return [heat_branch(name, heat) for heat in range(1, max(1, heats) + 1)]
