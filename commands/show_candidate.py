"""`marlsmith show --candidate ID`: all that a run tells of one candidate."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of, heat_branch
from marlsmith.graph.telling.decisions import Decision, Decisions, line
from marlsmith.graph.telling.speech import bar, interval, money, rows_of
from marlsmith.graph.telling.story import mean_gain
from marlsmith.graph.telling.trace import Event
from marlsmith.results.past import PastRun
from marlsmith.schemas import Evaluation, UserError, plain, printable, visible

WORDS = 2000
MOST_NAMED = 12
THEME = "ansi_dark"


def require(past: PastRun, id: str) -> Event:
    """Its proposal. Raises UserError, which names some candidates that there are."""
    proposals = {event["candidate"]: event for event in past.of("proposal")}
    if id in proposals:
        return proposals[id]
    close = difflib.get_close_matches(id, proposals, n=3, cutoff=0.5)
    named = [*close, *(known for known in proposals if known not in close)][:MOST_NAMED]
    there = f"there are {', '.join(named)}" if named else "it has none yet"
    more = f" and {len(proposals) - len(named)} more" if len(proposals) > len(named) else ""
    raise UserError(f"{past.path} has no candidate {printable(id, 80)!r}: {there}{more}")


def record(past: PastRun, id: str) -> dict[str, Any]:
    """For programs: one object."""
    proposal, parent = require(past, id), _parent(past, id)
    return {
        "candidate": id,
        "proposal": proposal,
        "signal": plain(past.candidates[id].signal),
        "code": past.code(id),
        "parent": parent,
        "diff": None if parent is None else _difference(past, id, parent),
        "checks": [event for event in past.of("check") if event["candidate"] == id],
        "branches": [plain(found) | {"gain": _gain(past, found)} for found in _branches(past, id).values()],
        "decisions": [asdict(decision) for decision in _decisions(past, id)],
    }


def sheet(past: PastRun, id: str) -> Iterator[RenderableType]:
    proposal = require(past, id)
    yield Panel(_origin(proposal), title=printable(id, 60), title_align="left", border_style="cyan")
    branches = _branches(past, id)
    yield from _section("what was decided about it", _told(past, id))
    yield from _section("branches", [_table(past, branches)] if branches else [Text("It was never trained.", "dim")])
    if scored := [found for found in branches.values() if found.score is not None]:
        last = scored[-1]
        yield from _section(f"reward terms, {last.branch}", [_terms(last)] if last.terms else [])
        yield from _section(f"behaviour, {last.branch}", [_behaviour(past, last)] if last.behaviour else [])
    yield from _section("code", _code(past, id))
    if (parent := _parent(past, id)) is not None:
        yield from _section(f"what differs from {parent}", _shown_difference(past, id, parent))


def _section(title: str, lines: Iterable[RenderableType]) -> Iterator[RenderableType]:
    found = list(lines)
    if found:
        yield Text()
        yield Rule(Text(printable(title, 120), "bold"), style="dim", align="left")
        yield from found


def _origin(proposal: Event) -> Table:
    parents = f", from {', '.join(proposal['parents'])}" if proposal["parents"] else ""
    rows = [
        ("proposed", f"in stage {proposal['stage']}, round {proposal['round']}, by {proposal['author']}"),
        ("kind", f"{proposal['kind']}{parents}"),
        ("why", proposal["rationale"]),
        ("signal", proposal["summary"]),
    ]
    if tokens := proposal.get("own_tokens"):
        paid = "" if proposal["own_money"] is None else f", money {money(proposal['own_money'])}"
        rows.append(("cost", f"{tokens:,} tokens{paid}"))
    return rows_of([(name, printable(words, WORDS)) for name, words in rows])


# ---------------------------------------------------------------- decisions


def _decisions(past: PastRun, id: str) -> list[Decision]:
    """That are about it, without its own proposal."""
    teller = Decisions()
    found = (decision for event in past.events for decision in teller.of(event))
    return [each for each in found if each.about == id and each.role != "generator"]


def _told(past: PastRun, id: str) -> Iterator[RenderableType]:
    yield from map(line, _decisions(past, id))
    kept = [event for event in past.of("judged") if event["phase"] == "search" and id in event["population"]]
    if kept:
        rounds = ", ".join(f"s{event['stage']}r{event['round']}" for event in kept)
        yield Text(f"kept as a parent after {rounds}", "dim")
    if heirs := [event["candidate"] for event in past.of("proposal") if id in event["parents"]]:
        yield Text(printable(f"proposed from it: {', '.join(heirs)}", WORDS), "dim")


# ---------------------------------------------------------------- branches


def _branches(past: PastRun, id: str) -> dict[str, Evaluation]:
    return {name: found for name, found in past.evaluations.items() if found.candidate == id}


def _control(past: PastRun, found: Evaluation) -> Evaluation | None:
    """What changed nothing under the same seeds, where there was such a branch."""
    proposal, heat = require(past, found.candidate), _heat(past, found.branch)
    stage, adapts = proposal["stage"], past.settings.method.at(proposal["stage"]).adapts
    confirmed = found.branch == heat_branch(confirm_branch(found.candidate), heat)
    edit = edit_of(found.candidate)
    again = confirm_control(stage, proposal["round"], adapts=adapts, edit=edit)
    return past.evaluations.get(heat_branch(again if confirmed else control_branch(stage), heat))


def _heat(past: PastRun, branch: str) -> int:
    calls = (event for event in past.of("tool_call") if event["branch"] == branch)
    return int(next((event["arguments"].get("heat", 0) for event in calls), 0))


def _gain(past: PastRun, found: Evaluation) -> float | None:
    control = _control(past, found)
    return None if control is None else mean_gain(control, found)


def _table(past: PastRun, branches: Mapping[str, Evaluation]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("branch", "seeds", "steps", "score", "95% interval", "", "gain", "seconds"):
        left = name in {"branch", "95% interval", ""}
        table.add_column(name, justify="left" if left else "right")
    for name, found in branches.items():
        about = (Text(name), str(len(found.seeds)), f"{found.steps:,}")
        if found.error is not None:
            said = Text(f"failed ({found.error.stage}): {found.error.told}", "red")
            table.add_row(*about, "", said, "", "", f"{found.seconds:.1f}")
            continue
        gain, score = _gain(past, found), found.score or 0.0
        shown = Text(bar(score, 10), "green")
        gained = "" if gain is None else f"{gain:+.3f}"
        table.add_row(*about, f"{score:.3f}", Text(interval(found.interval)), shown, gained, f"{found.seconds:.1f}")
    warnings = [f"{name}: {warning}" for name, found in branches.items() for warning in found.warnings]
    if warnings:
        table.caption = Text("\n".join(printable(warning, WORDS) for warning in warnings), "yellow")
        table.caption_justify = "left"
    return table


def _terms(found: Evaluation) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("term", "share", "", "mean", "spread"):
        table.add_column(name, justify="left" if name in {"term", ""} else "right")
    for name, term in sorted(found.terms.items(), key=lambda each: -each[1].share):
        share = Text(bar(term.share, 16), "cyan")
        table.add_row(Text(printable(name, 80)), f"{term.share:.0%}", share, f"{term.mean:.3g}", f"{term.spread:.3g}")
    return table


def _behaviour(past: PastRun, found: Evaluation) -> Table:
    """Beside the control's, under the same seeds."""
    control = _control(past, found)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("", "candidate", "control"):
        table.add_column(name, justify="right" if name else "left")
    rows = [
        (found.metrics, control.metrics if control else {}),
        (found.behaviour, control.behaviour if control else {}),
    ]
    for own, others in rows:
        for name, value in own.items():
            other = f"{others[name]:.3g}" if name in others else ""
            table.add_row(Text(printable(name.replace("_", " "), 80)), f"{value:.3g}", Text(other, "dim"))
    return table


# ---------------------------------------------------------------- code


def _parent(past: PastRun, id: str) -> str | None:
    """The first of those that stand in this run."""
    return next((parent for parent in require(past, id)["parents"] if parent in past.candidates), None)


def _code(past: PastRun, id: str) -> Iterator[RenderableType]:
    yield Syntax(visible(past.code(id)), "python", theme=THEME, background_color="default", word_wrap=True)
    yield Text(f"whole: {past.path / 'candidates' / id}.py", "dim", overflow="fold")


def _difference(past: PastRun, id: str, parent: str) -> str:
    before, after = (visible(past.code(each)).splitlines() for each in (parent, id))
    return "\n".join(difflib.unified_diff(before, after, parent, id, lineterm=""))


def _shown_difference(past: PastRun, id: str, parent: str) -> Iterator[RenderableType]:
    if difference := _difference(past, id, parent):
        yield Syntax(difference, "diff", theme=THEME, background_color="default", word_wrap=True)
    else:
        yield Text("nothing: the code is the same", "dim")
