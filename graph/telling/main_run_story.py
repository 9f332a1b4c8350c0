"""The story of a main run that is adapted: its heats and races, the gate, and what it is after each stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from marlsmith.graph.methods import Method
from marlsmith.graph.naming import heat_branch
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.speech import bar, count, detail, interval, listed, says
from marlsmith.graph.telling.trace import Event
from marlsmith.schemas import Evaluation, Verdict

OUTCOMES = {
    "dropped": ("dropped in the race", "dim"),
    "failed": ("failed", "red"),
    "passed": ("passes the gate", "bold green"),
    "confirmed": ("confirmed", "bold green"),
    "refused": ("refused", ""),
    "taken": ("taken as it is", "bold yellow"),
    "left": ("left", "dim"),
}


def heading(event: Event, whole: int, lap: Event | None) -> str:
    """Of a stage: where the main run stands as it begins."""
    named = f"stage {event['stage']} of {event['stages']}"
    if lap is None:
        return named
    score = "" if lap["score"] is None else f", score {lap['score']:.2f}"
    return f"{named}, main run at {lap['steps']:,} of {whole:,} steps{_under(lap['candidate'])}{score}"


def heats(branch: str, calls: Sequence[Event], found: Sequence[Evaluation]) -> RenderableType:
    """One line of trainings that were done in heats: the call and its result."""
    from marlsmith.marl.statistics import bootstrap_interval, iqm  # numpy, which `show` does without where it fails

    last, seeds = found[-1], count(sum(len(each.seeds) for each in found), "seed")
    alone = len(found) == 1
    named = heat_branch(branch, calls[-1]["heat"]) if alone else f"{branch}, h1-h{len(found)}"
    call, longer = calls[-1], ""
    if call["candidate"] == NATIVE_ID or call["fork"] is not None:  # not of the stage's length
        longer = f", {call['steps']:,} steps{', without a signal' * (call['candidate'] == NATIVE_ID)}"
    called = f"{call['tool']}({named}, {seeds}{longer})"
    failed = next((each for each in found if each.error is not None), None)
    if failed is not None and failed.error is not None:
        return says("tool", f"{called} failed ({failed.error.stage}): {failed.error.told}", style="red")
    scores = [score for each in found for score in each.scores]
    spread = interval(last.interval if alone else bootstrap_interval(scores))
    return says("tool", f"{called}: {iqm(scores):.3f} {spread}, {sum(each.seconds for each in found):.1f} s")


# ---------------------------------------------------------------- the judge


def judged(event: Event, method: Method, waiting: str | None) -> Iterable[RenderableType]:
    """`waiting`: of a person's signal, in whose place it is tried."""
    verdict = Verdict.model_validate(event["verdict"])
    if verdict.decision == "race":
        yield from _race(event, method) if method.gate else [says("judge", verdict.reason)]
        return
    if method.gate and event.get("compared"):
        yield Padding(_table(event, method), (0, 0, 0, 2))
    yield says("judge", _decision(event, verdict, method, waiting))


def _race(event: Event, method: Method) -> Iterable[RenderableType]:
    on = [row["candidate"] for row in event.get("compared", ()) if row["came"] == "racing"]
    heat, heats = event["heat"], len(method.groups(range(method.search_seeds)))
    going = f"{listed(on)} {'go' if len(on) > 1 else 'goes'} on" if on else "none has a gain"
    yield says("judge", f"the race after heat {heat} of {heats}: {going}")
    for row in event.get("compared", ()):
        if row["came"] == "dropped":
            audit = "; trained on all the same, to audit the race" if row["audited"] else ""
            yield detail(f"{row['candidate']} is dropped: {row['reason']}{audit}")
        elif row["came"] == "failed":
            yield detail(f"{row['candidate']} is out: {row['reason']}")


def _table(event: Event, method: Method) -> Table:
    """All candidates of the round, the best bound first, under the control."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("candidate", "seeds", "score", "gain", "95% interval", "bound", "what came of it"):
        table.add_column(name, justify="left" if name in {"candidate", "95% interval", "what came of it"} else "right")
    if event["control"] is not None:
        table.add_row("control", "", f"{event['control']:.3f}", "", "", "", "", style="dim")
    for row in sorted(event.get("compared", ()), key=_rank):
        words, style = outcome(row, event, method)
        numbers = (_number(row["score"]), _number(row["gain"], "+"), interval(row["interval"], "+"))
        audited = " (audited)" if row["audited"] and row["came"] != "dropped" else ""
        cells = (row["candidate"], str(row["seeds"]), *numbers, _number(row["lower_bound"], "+"), words + audited)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table


def outcome(row: Event, event: Event, method: Method) -> tuple[str, str]:
    """What came of a candidate in a comparison, and its style: of two that gained as surely one is promoted."""
    words, style = OUTCOMES.get(row["came"], (row["came"], ""))
    bounds = (row["lower_bound"], event["verdict"]["lower_bound"])
    chosen = event["phase"] == "confirm" and event["verdict"]["decision"] == "accept"
    if row["came"] == "refused" and chosen and None not in bounds and method.margin < bounds[0] <= bounds[1]:
        words = f"gained too, behind {event['verdict']['candidate']}"
    return words, style


def _rank(row: Event) -> tuple[bool, float, str]:
    trained_whole = row["came"] not in ("dropped", "failed") and row["lower_bound"] is not None
    value = row["lower_bound"] if trained_whole else row["gain"]
    return (not trained_whole, -value if value is not None else 0.0, row["candidate"])


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{round(value, 3) + 0.0:{sign}.3f}"  # a gain of nothing has no sign of loss


def _decision(event: Event, verdict: Verdict, method: Method, waiting: str | None) -> str:
    confirms, name, reason = event["phase"] == "confirm", verdict.candidate, verdict.reason
    rows = event.get("compared", ())
    if verdict.decision == "accept":
        if verdict.level is None:
            return f"{name} is {reason}"
        return f"{name} is confirmed on fresh random numbers and episodes: {reason}"
    if verdict.decision == "confirm":
        passed = [row["candidate"] for row in rows if row["came"] == "passed"]
        several = len(passed) > 1
        best = f"; of the best, {name}: {reason}" if several else f": {reason}"
        goes = "pass the gate and are trained" if several else "passes the gate and is trained"
        return f"{listed(passed)} {goes} once more, on fresh random numbers and episodes{best}"
    if rows and all(row["came"] == "dropped" for row in rows):
        said = f"the race has dropped {'all candidates' if len(rows) > 1 else 'the only candidate'}"
    elif confirms:
        said = f"{name} does not hold on fresh random numbers and episodes: {reason}"
    elif event.get("edit") is not None and verdict.level is not None:
        tests = round(method.level / verdict.level)
        said = f"{name} does not pass the gate: {reason} (level {method.level:g} / {tests}: it is one candidate more)"
    elif name is not None and verdict.level is not None:
        said = f"nothing passes the gate; the highest bound is that of {name}: {reason}"
    else:
        said = reason
    if waiting is not None and verdict.decision == "keep":
        return f"{said}; the person is asked about {waiting} again"
    then = "the round goes back" if verdict.decision == "refine" else "the main run goes on as it is"
    return f"{said}; {then}"


# ---------------------------------------------------------------- the main run


def lap(event: Event, begins: bool) -> Iterable[RenderableType]:
    """Of an `advanced` event."""
    if event["alarm"] is not None:
        yield _rollback(event)
        return
    score = "it has no score" if event["score"] is None else f"{event['score']:.3f} {interval(event['interval'])}"
    shown = "" if event["score"] is None else f" {bar(event['score'], 20)}"
    where = "untrained" if begins else f"at {event['steps']:,} steps"
    yield says("main run", f"{where}{_under(event['candidate'])}: {score}{shown}", style="bold")


def _rollback(event: Event) -> RenderableType:
    said = Text(f"{event['alarm']}.", "bold red")
    back = f"Networks, optimiser and replay are those of stage {event['rolled_back_to']} again"
    then = f", where the score was {event['score']:.3f}" if event["score"] is not None else ""
    said.append(f"\n{back}{then}; the clock goes on at {event['steps']:,} steps{_under(event['candidate'])}.", "bold")
    return Panel(said, title="the main run is rolled back", title_align="left", border_style="bold red")


def _under(candidate: str) -> str:
    return "" if candidate == NATIVE_ID else f" under {candidate}"
