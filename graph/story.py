"""What a person sees of a run, in words: who decides what and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from marlsmith.agents.settings import MANUAL, NOBODY, OFFLINE
from marlsmith.graph import jail
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.trace import Event
from marlsmith.schemas import Evaluation, JailReport, Verdict, printable

ROLE_STYLES = {"critic": "magenta", "generator": "cyan", "validator": "yellow", "tool": "blue", "judge": "green"}
WORDS = 400
"""Characters of a role's words in the trace; the run directory has them whole."""


class Story:
    """Turns events into lines for people. Remembers only what later lines refer to."""

    def __init__(self, again: bool = False) -> None:
        """`again`: whoever reads it has asked for it, and need not be told how to."""
        self.again = again
        self.settings: RunSettings | None = None
        self.evaluations: dict[str, Evaluation] = {}
        self.proposals: dict[str, Event] = {}
        self.told: set[str] = set()

    def recall(self, past: Iterable[Event]) -> None:
        """Takes in what was told before, without telling it again; the round under way will be named anew."""
        for event in past:
            for _ in self.lines(event):
                pass
        self.told.clear()

    def lines(self, event: Event) -> Iterable[RenderableType]:
        teller = getattr(self, f"_{event['event']}", None)
        return teller(event) if teller is not None else ()

    def _run_started(self, event: Event) -> Iterable[RenderableType]:
        settings = self.settings = RunSettings.model_validate(event["settings"])
        method, roles = settings.method, settings.roles
        seeds = f"{method.search_seeds} seeds x {settings.train.steps:,} steps a candidate"
        rounds = f"{method.rounds} round{'s' if method.rounds > 1 else ''} x {method.candidates} candidates"
        rows = (
            ("task", f"{settings.task}, {settings.train.algorithm}"),
            (
                "method",
                f"{settings.method_name}: {rounds}, population {method.population}, evolves {method.evolve}, "
                f"scope {method.scope}",
            ),
            ("training", f"{seeds}; {settings.evaluation.episodes} evaluation episodes; {settings.workers} workers"),
            ("roles", f"generator {', '.join(roles.generators)}, critic {roles.critic}, validator {roles.validator}"),
            ("run", event["run"]),
        )
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, "dim"), Text(value))
        if event.get("jail") is not None:
            report = JailReport.model_validate(event["jail"])
            said = Text(jail.summary(report), jail.style(report))
            if settings.train.device != "cpu" and report.profile == "cpu":
                said.append("; with a GPU the jail is wider, and that was not tried", "yellow")
            table.add_row(Text("jail", "dim"), said)
        title = "marlsmith, resumed" if event["resumed"] else "marlsmith"
        yield Panel(table, title=title, title_align="left", border_style="dim")

    def _stage_started(self, event: Event) -> Iterable[RenderableType]:
        if event["stages"] > 1:
            yield Rule(f"stage {event['stage']} of {event['stages']}", style="bold")

    def _round(self, event: Event) -> Iterable[RenderableType]:
        name = f"round {event['round']}"
        if name not in self.told and self.settings is not None:
            self.told.add(name)
            yield Text()
            yield Rule(Text(f"{name} of {self.settings.method.rounds}", "bold"), style="dim", align="left")

    def _diagnosis(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        diagnosis = event["diagnosis"]
        yield _says("critic", diagnosis["summary"])
        for finding in diagnosis["findings"]:
            cited = ", ".join(f"{c['key']} = {c['value']:.3g}" for c in finding["evidence"])
            yield _detail(f"{finding['failure'].replace('_', ' ')} ({cited}): {finding['advice']}")
        for claim in diagnosis.get("dropped", ()):
            yield _says("critic", f"dropped, for it does not hold: {claim}", style="yellow")

    def _allotted(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        given = [(name, share) for name, share in event["shares"].items() if share["slots"]]
        left_out = [name for name, share in event["shares"].items() if not share["slots"]]
        said = [f"{name} {_numbers(share['slots'])} ({_standing_of(share)})" for name, share in given]
        waiting = f"; {', '.join(left_out)} waits" if left_out else ""
        yield _says("generator", f"slots by gain per cost: {'; '.join(said)}{waiting}")

    def _proposal(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        self.proposals[event["candidate"]] = event
        parents = f" from {', '.join(event['parents'])}" if event["parents"] else ""
        author = f"{event['author']}, " if self._several() else ""
        yield _says("generator", f"{author}{event['kind']}{parents}: {event['rationale']}", event["candidate"])
        yield _detail(event["summary"])
        if tokens := event.get("own_tokens"):  # of a model: nobody else is paid for
            yield _detail(_price(tokens, event["own_money"]))

    def _check(self, event: Event) -> Iterable[RenderableType]:
        proposal = self.proposals.get(event["candidate"], {})
        mended = f"the repair of {', '.join(proposal['parents'])} is " if proposal.get("kind") == "repair" else ""
        if event["accepted"]:
            why = f": {'; '.join(event['reasons'])}" if event.get("reasons") else ""
            reviewed = self.settings is None or self.settings.roles.validator != NOBODY
            yield _says("validator" if reviewed else "check", f"{mended}accepted for training{why}", event["candidate"])
            return
        stage = event.get("stage")
        checks = f"the {stage} check" if stage in {"static", "dynamic"} else f"the checks{f' ({stage})' * bool(stage)}"
        by = {"rules": "the method's rules", "executor": checks, "validator": "the validator"}[event["by"]]
        repairs = self.settings.method.repairs if self.settings is not None else 0
        dropped = " and dropped" if proposal.get("attempt", 0) >= repairs else ""
        said = f"{mended}refused by {by}{dropped}: {'; '.join(event['problems'])}"
        yield _says("validator" if event["by"] == "validator" else "check", said, event["candidate"], "red")

    def _repair(self, event: Event) -> Iterable[RenderableType]:
        count = f" (repair {event['attempt']} of {event['repairs']})" if event["repairs"] > 1 else ""
        yield _says("generator", f"is asked to mend {', '.join(event['candidates'])}{count}")

    def _role_tool(self, event: Event) -> Iterable[RenderableType]:
        yield _says("tool", f"{event['author']} tries {event['tool']} for {event['place']}: {event['result']}")

    def _tool_call(self, event: Event) -> Iterable[RenderableType]:
        arguments = event["arguments"]
        seeds = len(arguments.get("seeds", ()))
        said = f"{event['tool']}({event['branch']}, {seeds} seeds, {arguments.get('steps', 0):,} steps)"
        yield _says("tool", said)

    def _tool_result(self, event: Event) -> Iterable[RenderableType]:
        evaluation = Evaluation.model_validate(event["evaluation"])
        self.evaluations[event["branch"]] = evaluation
        if evaluation.error is not None:
            error = evaluation.error
            yield _says("tool", f"{event['branch']} failed ({error.stage}): {error.told}", style="red")
        else:
            interval = _interval(evaluation.interval)
            said = f"{event['branch']} scores {evaluation.score:.3f} {interval} after {evaluation.seconds:.1f} s"
            yield _says("tool", said)
        for warning in evaluation.warnings:
            yield _says("warning", f"{event['branch']}: {warning}", style="yellow")

    def _judged(self, event: Event) -> Iterable[RenderableType]:
        verdict = Verdict.model_validate(event["verdict"])
        if event["phase"] == "search" and not self._adapts(event["stage"]):
            yield Padding(self._table(event), (0, 0, 0, 2))
        words = {
            "race": "goes on with the race",
            "refine": "goes on",
            "confirm": "confirms",
            "accept": "accepts",
            "keep": "keeps what there is",
        }
        yield _says("judge", f"{words[verdict.decision]}: {verdict.reason}")

    def _table(self, event: Event) -> Table:
        """All candidates of the stage so far, best first, the control for comparison."""
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for name in ("candidate", "score", "95% interval", "", "gain"):
            table.add_column(name, justify="right" if name in {"score", "gain"} else "left")
        control = self.evaluations.get(f"control-s{event['stage']}")
        rows = [e for branch, e in self.evaluations.items() if not branch.endswith("-confirm")]
        for evaluation in sorted(rows, key=lambda e: (e.score is None, -(e.score or 0.0), e.candidate)):
            kept = evaluation.candidate in event["population"]
            label = Text(evaluation.candidate + (" *" if kept else ""), style="bold" if kept else "")
            if evaluation.score is None:
                stage = evaluation.error.stage if evaluation.error is not None else ""
                table.add_row(label, Text("failed", "red"), Text(stage, "red"), "", "")
                continue
            gain = "" if control is None or control.score is None else f"{evaluation.score - control.score:+.3f}"
            bar = Text(_bar(evaluation.score, 20), "green" if kept else "dim")
            table.add_row(label, f"{evaluation.score:.3f}", Text(_interval(evaluation.interval)), bar, gain)
        if event["population"]:
            table.caption = Text("* kept as a parent", "dim")
            table.caption_justify = "left"
        return table

    def _promotion_review(self, event: Event) -> Iterable[RenderableType]:
        words = "approves the promotion" if event["approve"] else "vetoes the promotion"
        why = f": {'; '.join(event['reasons'])}" if event["reasons"] else ""
        yield _says("validator", f"{words}{why}", event["candidate"], "" if event["approve"] else "red")

    def _approval(self, event: Event) -> Iterable[RenderableType]:
        verdict = event["verdict"]
        said = {"asked": "asks a person to approve", "approved": "approved", "refused": "refused"}[event["status"]]
        yield _says("judge", f"{said}: {event['candidate']}, {verdict['reason']}", style="bold yellow")

    def _promoted(self, event: Event) -> Iterable[RenderableType]:
        gain = "" if event["gain"] is None else f", gain {event['gain']:+.3f}"
        yield _says(
            "judge", f"promoted {event['candidate']} into the main run{gain}", style="bold"
        )

    def _advanced(self, event: Event) -> Iterable[RenderableType]:
        score = "no score" if event["score"] is None else f"{event['score']:.3f} {_interval(event['interval'])}"
        bar = "" if event["score"] is None else f" {_bar(event['score'], 20)}"
        carries = "" if event["candidate"] == "native" else f" under {event['candidate']}"
        if event["alarm"] is not None:
            back = f"rolled back to how it was after stage {event['rolled_back_to']}: {event['alarm']}"
            yield _says("main run", back, style="bold yellow")
        yield _says("main run", f"{event['steps']:,} steps{carries}, on fresh episodes {score}{bar}", style="bold")

    def _adapts(self, stage: int) -> bool:
        return self.settings is not None and self.settings.method.at(stage).adapts

    def _warning(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        yield _says("warning", event["message"], style="yellow")

    def _paused(self, event: Event) -> Iterable[RenderableType]:
        yield _says("paused", event["reason"], style="yellow")

    def _several(self) -> bool:
        return self.settings is not None and len(self.settings.roles.generators) > 1

    def _finished(self, event: Event) -> Iterable[RenderableType]:
        yield Text()
        yield Panel(Group(*_outcome(event, self.again)), title="result", title_align="left", border_style="green")


def _outcome(event: Event, again: bool) -> Iterable[RenderableType]:
    """The answer first: native against best on fresh seeds, then who played, where things are, what to type next."""
    native, best, gain = event["native"], event["best"], event["gain"]
    if best is None or native is None:
        yield Text(f"No signal could be compared with the native one: {event['reason']}.", "bold yellow")
    else:
        table = Table.grid(padding=(0, 2))
        for name, standing, style in (("native", native, "dim"), (best["candidate"], best, "bold green")):
            bar = Text(_bar(standing["score"], 40), style)
            table.add_row(Text(name, style), bar, f"{standing['score']:.3f}", Text(_interval(standing["interval"])))
        seeds = "fresh seeds" if event["phase"] == "confirm" else "seeds of the search, which flatter the best"
        yield Text(f"Score on {len(best['scores'])} {seeds}; interquartile mean and 95% interval", "dim")
        yield table
        metrics = ", ".join(f"{k} {native['metrics'][k]:.3g} -> {v:.3g}" for k, v in best["metrics"].items())
        yield Text(metrics, "dim")
        word = "promoted" if event["promoted"] else "not promoted"
        spread = f" {_interval(gain['interval'], '+')}" if gain else ""
        mean = f"mean paired gain {gain['mean']:+.3f}, 95% interval{spread}; " if gain else ""
        yield Text(f"{mean}{word}: {event['reason']}.", "bold" if event["promoted"] else "bold yellow")
    if (found := event.get("jail")) is not None and (stamp := jail.standing(**found)) is not None:
        yield Text(stamp, "yellow" if found["sound"] else "bold red")
    if (effect := event.get("validator")) is not None and (effect["refused"] or effect["vetoed"]):
        yield Text(
            f"validator refused {_count(effect['refused'], 'candidate')}, which saved "
            f"{effect['steps_saved']:,} environment steps, and vetoed {_count(effect['vetoed'], 'promotion')}",
            "dim",
        )
    run = event["run"]
    steps, price = f"{event['environment_steps']:,} environment steps", _price(event["tokens"], event.get("money"))
    yield Text(f"{event['seconds']:.0f} s, {steps}, {price}", "dim")
    yield from _players(event.get("roles", ()))
    yield Text()
    if event["promoted"]:
        yield Text(f"signal  {run}/main/signal.py\npolicy  {run}/main/checkpoint.safetensors")
    elif best is not None:
        yield Text(f"best    {run}/candidates/{best['candidate']}.py")
    if not again:
        yield Text(f"next    marlsmith show {run}")


def _players(players: Sequence[Event]) -> Iterable[RenderableType]:
    """Who played which role and what that took; nothing where all were offline."""
    if all(player["name"] == OFFLINE for player in players):
        return
    table = Table.grid(padding=(0, 2))
    for player in players:
        table.add_row(
            *(Text(printable(words, WORDS), "dim") for words in (player["role"], _who(player), _took(player)))
        )
    yield Text()
    yield table


def _who(player: Event) -> str:
    if player["model"] is None:
        return "a person" if player["name"] == MANUAL else str(player["name"])
    named = f"{player['name']}, " if player["name"] not in (None, player["model"]) else ""
    return f"{named}{player['model']} at {urlsplit(player['address']).netloc}"


def _took(player: Event) -> str:
    """Nothing of those who are not paid."""
    if player["model"] is None:
        return ""
    parts = {"cached": player["cached_tokens"], "reasoning": player["reasoning_tokens"]}
    of_them = ", ".join(f"{count:,} {name}" for name, count in parts.items() if count)
    said = f"{_count(player['calls'], 'call')}, {player['failed']:,} failed; {player['tokens']:,} tokens"
    said += f" ({of_them})" if of_them else ""
    if player["money"] is not None:
        said += f"; {_money(player['money'])} {player['currency'] or 'in the currency of its price'}"
    return said


def ending(events: Sequence[Event], run: Path) -> str | None:
    """What to type where the story so far is not the whole."""
    last = events[-1] if events else None
    if last is not None and last["event"] == "finished":
        return None
    if last is not None and last["event"] == "approval" and last["status"] == "asked":
        return f"next    marlsmith approve {run} --yes, or --no"
    if last is not None and last["event"] == "paused":
        return f"next    marlsmith resume {run}"
    return f"The run has not ended. Where no process is at work on it: marlsmith resume {run}"


def _price(tokens: int, money: float | None) -> str:
    return f"{tokens:,} tokens" + (f", money {_money(money)}" if money is not None else "")


def _money(amount: float) -> str:
    """Four digits, never as 4e-05."""
    return f"{Decimal(f'{amount:.4g}'):f}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _numbers(slots: Sequence[int]) -> str:
    return f"slot{'s' if len(slots) > 1 else ''} {', '.join(map(str, slots))}"


def _standing_of(share: Event) -> str:
    """Why a generator got its slots: its index, and what it rests on."""
    if share["index"] is None:
        return "not tried yet"
    return f"index {share['index']:.2f}, gain {share['rate']:.3g} a training in {_count(share['plays'], 'slot')}"


def _says(role: str, words: str, subject: str = "", style: str = "") -> RenderableType:
    """One line of the trace: who, about what, in their words. From outside, hence never as markup."""
    row = Table.grid(padding=(0, 1))
    row.add_column(width=9)
    row.add_column(ratio=1, overflow="fold")
    said = Text(style=style)
    if subject:
        said.append(f"{subject} ", "bold")
    said.append(printable(words, WORDS))
    row.add_row(Text(role, ROLE_STYLES.get(role, "yellow")), said)
    return row


def _detail(words: str) -> RenderableType:
    return Padding(Text(printable(words, WORDS), "dim"), (0, 0, 0, 12))


def _interval(interval: Any, sign: str = "") -> str:
    return "" if not interval else f"[{interval[0]:{sign}.3f}, {interval[1]:{sign}.3f}]"


def _bar(score: float, width: int) -> str:
    """A score from 0 to 1 as a bar of eighths; what lies outside is cut to it."""
    eighths = round(min(1.0, max(0.0, score)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("" if rest == 0 else " ▏▎▍▌▋▊▉"[rest])
