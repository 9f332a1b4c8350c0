"""Every decision of a run in its order, each with what it was made from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from marlsmith.agents.generator import place_of
from marlsmith.agents.settings import NOBODY
from marlsmith.graph.methods import Method
from marlsmith.graph.naming import is_confirmation, slot_of
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.main_run_story import outcome
from marlsmith.graph.telling.speech import count, interval, listed, numbers, price
from marlsmith.graph.telling.trace import Event
from marlsmith.results.page.parts import Allowance, Folded, Table, Tone, number
from marlsmith.results.page.words import Exchange, Record
from marlsmith.results.past import PastRun
from marlsmith.schemas import Evaluation, UserError

REFUSERS = {"rules": "the rules of the method", "executor": "the checks", "validator": "the validator"}
ANSWERS = {"approved": "says yes to", "refused": "says no to", "edited": "puts a signal of their own in the place of"}
SEARCHED = {"refine": "goes on", "confirm": "confirms", "accept": "accepts", "keep": "keeps what there is"}


@dataclass(frozen=True)
class Point:
    """A part of a decision's grounds; `cited` are keys of the evidence and what stands there."""

    words: str
    cited: tuple[tuple[str, str], ...] = ()
    tone: Tone = ""


@dataclass(frozen=True)
class Decision:
    who: str
    words: str
    subject: str = ""
    """A candidate or a branch."""
    anchor: str = ""
    tone: Tone = ""
    points: tuple[Point, ...] = ()
    tables: tuple[Table, ...] = ()
    """What it was made from; those of `folded_tables` are behind a summary."""
    folded_tables: tuple[Table, ...] = ()
    folded: tuple[Folded, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True)
class Chapter:
    title: str
    decisions: tuple[Decision, ...]


@dataclass
class Chapters:
    """Takes a run's events one after the other; remembers only what later ones refer to."""

    run: PastRun
    record: Record
    allowance: Allowance
    title: str = "Before the first round"
    decisions: list[Decision] = field(default_factory=list)
    results: list[Event] = field(default_factory=list)
    under_way: dict[str, Event] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    proposals: dict[str, Event] = field(default_factory=dict)
    repaired: dict[tuple[int, int, int], Sequence[str]] = field(default_factory=dict)
    incumbent: str = NATIVE_ID
    stage: int = 1

    def __iter__(self) -> Iterator[Chapter]:
        for event in self.run.events:
            if (title := self._title(event)) is not None and title != self.title:
                yield from self._close()
                self.title = title
            if event["event"] not in ("tool_call", "tool_result", "progress"):
                self._flush()
            if (teller := getattr(self, f"_on_{event['event']}", None)) is not None:
                self.decisions += teller(event)
        yield from self._close()
        if self.under_way:
            words = f"under way, or cut off with its process: {', '.join(self.under_way)}"
            yield Chapter("Not ended", (Decision("tool", words, tone="caution"),))

    def _close(self) -> Iterator[Chapter]:
        self._flush()
        if self.decisions:
            yield Chapter(self.title, tuple(self.decisions))
        self.decisions = []

    def _title(self, event: Event) -> str | None:
        """Of the chapter that begins with this event, or goes on."""
        method, kind = self.run.settings.method, event["event"]
        if kind == "stage_started":
            return f"Stage {event['stage']} of {event['stages']}" if event["stages"] > 1 else None
        if kind in ("diagnosis", "allotted", "proposal", "repair", "warning"):
            within = method.at(event["stage"])
            staged = f"Stage {event['stage']}, round" if method.all_stages > 1 else "Round"
            return f"{staged} {event['round']} of {within.rounds}"
        if kind == "tool_call" and not method.at(self.stage).adapts and is_confirmation(event["branch"]):
            return "Confirmation on fresh seeds"
        return None

    # ------------------------------------------------------------ before a training

    def _on_run_started(self, event: Event) -> Iterator[Decision]:
        if event["resumed"]:
            yield Decision("run", "a process went on with the run")

    def _on_stage_started(self, event: Event) -> Iterator[Decision]:
        self.stage = event["stage"]
        if event.get("rests"):
            yield Decision("judge", f"nobody is asked for proposals: {event['rests']}")

    def _on_diagnosis(self, event: Event) -> Iterator[Decision]:
        diagnosis = event["diagnosis"]
        points = [
            Point(
                f"{finding['failure'].replace('_', ' ')}: {finding['advice']}",
                tuple((cited["key"], f"{cited['value']:.4g}") for cited in finding["evidence"]),
            )
            for finding in diagnosis["findings"]
        ]
        dropped = diagnosis.get("dropped", ())
        points += [Point(f"dropped, for it does not hold: {claim}", tone="caution") for claim in dropped]
        asked = self.record.take("critic", f"s{event['stage']}r{event['round']}")
        yield Decision("critic", diagnosis["summary"], points=tuple(points), exchanges=asked)

    def _on_allotted(self, event: Event) -> Iterator[Decision]:
        rows = tuple(
            (
                name,
                numbers(share["slots"]) if share["slots"] else "waits",
                "not tried yet" if share["index"] is None else f"{share['index']:.2f}",
                f"{share['rate']:.3g}",
                str(share["plays"]),
            )
            for name, share in event["shares"].items()
        )
        head = ("generator", "slots", "index", "gain a training", "slots before")
        table = Table("Who proposes for which slot", head, rows, frozenset({2, 3, 4}))
        yield Decision("generator", "slots by gain per cost", tables=(table,))

    def _on_proposal(self, event: Event) -> Iterator[Decision]:
        id, parents = event["candidate"], event["parents"]
        self.proposals[id] = event
        made = f"{event['kind']}{f' from {listed(parents)}' if parents else ''}, by {event['author']}"
        tokens = event.get("own_tokens") or 0
        points = [Point(event["summary"])] + [Point(price(tokens, event["own_money"]))] * bool(tokens)
        yield Decision(
            "person" if event["kind"] == "edit" else "generator",
            f"{made}: {event['rationale']}",
            subject=id,
            anchor=f"candidate-{id}",
            points=tuple(points),
            folded=tuple(self._codes(id, parents)),
            exchanges=self.record.take("generator", self._place(event)),
        )

    def _place(self, event: Event) -> str:
        """Where its author was asked for it. In a repair pass slots are counted among those to be repaired."""
        pass_ = event["stage"], event["round"], event["attempt"]
        rejected = self.repaired.get(pass_, ())
        known = [slot_of(id) for id in rejected]
        slot = known.index(slot_of(event["candidate"])) + 1 if slot_of(event["candidate"]) in known else 0
        if not rejected:
            _, _, digits = slot_of(event["candidate"]).rpartition("c")
            slot = int(digits) if digits.isdigit() else 0
        return place_of(*pass_, slot)

    def _codes(self, id: str, parents: Sequence[str]) -> Iterator[Folded]:
        """The difference to the parent, or to what the main run carried; the whole code in any case."""
        file, code = f"candidates/{id}.py", self._code(id)
        if code is None:
            yield Folded("code", note=f"{file} is missing from the run.")
            return
        yield self.allowance.text(f"code, {count(len(code.splitlines()), 'line')}", code, file)
        before = parents[0] if parents else self.incumbent
        old = self._code(before) if before != NATIVE_ID else None
        if old is not None:
            lines = list(difflib.unified_diff(old.splitlines(), code.splitlines(), lineterm="", n=3))[2:]
            title = f"changes to {before}" if lines else f"no change of code to {before}"
            yield self.allowance.difference(title, lines, file)

    def _code(self, id: str) -> str | None:
        if id not in self.run.candidates:
            return None
        try:
            return self.run.code(id)
        except (OSError, UserError):
            return None

    def _on_check(self, event: Event) -> Iterator[Decision]:
        id = event["candidate"]
        asked = self.record.take("validator", f"{id}/check")
        repairs = "the repair is " if self.proposals.get(id, {}).get("kind") == "repair" else ""
        if event["accepted"]:
            why = f": {'; '.join(event['reasons'])}" if event.get("reasons") else ""
            who = "check" if self.run.settings.roles.validator == NOBODY else "validator"
            yield Decision(who, f"{repairs}accepted for training{why}", id, exchanges=asked)
            return
        stage = f" ({event['stage']})" if event.get("stage") else ""
        who = "validator" if event["by"] == "validator" else "check"
        by = REFUSERS.get(event["by"] or "", "the checks")
        points = tuple(Point(problem) for problem in event["problems"])
        yield Decision(who, f"{repairs}refused by {by}{stage}", id, tone="bad", points=points, exchanges=asked)

    def _on_repair(self, event: Event) -> Iterator[Decision]:
        self.repaired[event["stage"], event["round"], event["attempt"]] = event["candidates"]
        asked = f"is asked to mend {listed(event['candidates'])} (repair {event['attempt']} of {event['repairs']})"
        yield Decision("generator", asked)

    def _on_role_tool(self, event: Event) -> Iterator[Decision]:
        words = f"{event['author']} tries {event['tool']} for {event['place']}: {event['result']}"
        yield Decision("tool", words, tone="quiet")

    # ------------------------------------------------------------ trainings and what they came to

    def _on_tool_call(self, event: Event) -> Iterator[Decision]:
        self.under_way[event["branch"]] = event
        yield from ()

    def _on_tool_result(self, event: Event) -> Iterator[Decision]:
        self.under_way.pop(event["branch"], None)
        self.evaluations[event["branch"]] = Evaluation.model_validate(event["evaluation"])
        self.results.append(event)
        yield from ()

    def _flush(self) -> None:
        """The trainings that ended since, as one table."""
        names = [event["branch"] for event in self.results]
        self.results.clear()
        if names:
            trained = count(len(names), "training")
            found = [self.evaluations[name] for name in names]
            steps = sum(evaluation.environment_steps for evaluation in found)
            words = f"{trained} by train_branch, {steps:,} environment steps in all"
            self.decisions.append(Decision("tool", words, tables=(_branches(found),)))

    def _on_judged(self, event: Event) -> Iterator[Decision]:
        verdict, method = event["verdict"], self.run.settings.method.at(event["stage"])
        if not method.adapts:
            ranking = (self._ranking(event),) if event["phase"] == "search" else ()
            words = f"{SEARCHED.get(verdict['decision'], verdict['decision'])}: {verdict['reason']}"
            yield Decision("judge", words, folded_tables=ranking)
            return
        tables = (_compared(event, method),) if event.get("compared") else ()
        yield Decision("judge", _gated(event), tables=tables)

    def _ranking(self, event: Event) -> Table:
        """All candidates so far, the best first."""
        found = [each for name, each in self.evaluations.items() if not is_confirmation(name)]
        found.sort(key=lambda each: (each.score is None, -(each.score or 0.0), each.candidate))
        rows = tuple(
            (
                each.candidate,
                number(each.score),
                interval(each.interval),
                "kept as a parent" if each.candidate in event["population"] else "failed" if each.error else "",
            )
            for each in found
        )
        return Table("Standing after this round", ("candidate", "score", "95% interval", ""), rows, frozenset({1}))

    # ------------------------------------------------------------ promotions

    def _on_promotion_review(self, event: Event) -> Iterator[Decision]:
        words = "approves the promotion" if event["approve"] else "vetoes the promotion"
        yield Decision(
            "validator", words, event["candidate"],
            tone="" if event["approve"] else "bad",
            points=tuple(map(Point, event["reasons"])),
            exchanges=self.record.take("validator", f"{event['candidate']}/promotion"),
        )  # fmt: skip

    def _on_approval(self, event: Event) -> Iterator[Decision]:
        id = event["candidate"]
        if event["status"] != "asked":
            edit = f", {event['edit']}" if event.get("edit") else ""
            why = f": {event['reason']}" if event.get("reason") else ""
            yield Decision("person", f"{ANSWERS.get(event['status'], event['status'])} {id}{edit}{why}", tone="caution")
            return
        seeds = tuple(_pairs(event.get("confirm") or event.get("search")))
        words = f"is asked whether to promote it: {event['verdict']['reason']}"
        yield Decision("person", words, id, tone="caution", tables=seeds)

    def _on_promoted(self, event: Event) -> Iterator[Decision]:
        self.incumbent = event["candidate"]
        gain = "" if event["gain"] is None else f", gain {event['gain']:+.3f}"
        yield Decision("judge", f"promoted into the main run{gain}", event["candidate"], tone="good")

    def _on_advanced(self, event: Event) -> Iterator[Decision]:
        under = "" if event["candidate"] == NATIVE_ID else f" under {event['candidate']}"
        score = (
            "it has no score" if event["score"] is None else f"{number(event['score'])} {interval(event['interval'])}"
        )
        words = f"at {event['steps']:,} steps{under}: {score}"
        if event["alarm"] is None:
            yield Decision("main run", words, tone="good" if under else "")
            return
        self.incumbent = event["candidate"]
        back = f"rolled back to stage {event['rolled_back_to']}: {event['alarm']}"
        yield Decision("main run", f"{back}; {words}", tone="bad")

    def _on_warning(self, event: Event) -> Iterator[Decision]:
        yield Decision("warning", event["message"], tone="caution")

    def _on_paused(self, event: Event) -> Iterator[Decision]:
        yield Decision("paused", event["reason"], tone="caution")


# ---------------------------------------------------------------- tables


def _branches(found: Sequence[Evaluation]) -> Table:
    rows = tuple(
        (
            each.branch,
            str(len(each.seeds)),
            f"{each.steps:,}",
            number(each.score),
            interval(each.interval),
            f"{each.seconds:.1f}",
            f"failed ({each.error.stage}): {each.error.told}" if each.error else "; ".join(each.warnings),
        )
        for each in found
    )
    tones: tuple[Tone, ...] = tuple("bad" if each.error else "caution" if each.warnings else "" for each in found)
    head = ("branch", "seeds", "steps", "score", "95% interval", "seconds", "what was noted")
    return _without_empty_notes(Table("Trainings", head, rows, frozenset({1, 2, 3, 5}), tones))


def _without_empty_notes(table: Table) -> Table:
    if any(row[-1] for row in table.rows):
        return table
    return replace(table, head=table.head[:-1], rows=tuple(row[:-1] for row in table.rows))


def _compared(event: Event, method: Method) -> Table:
    """Candidates against the control, the best bound first."""
    rows = sorted(event["compared"], key=lambda row: (row["lower_bound"] is None, -(row["lower_bound"] or 0.0)))
    cells = [("control", "", number(event["control"]), "", "", "", "")] if event["control"] is not None else []
    cells += [
        (
            row["candidate"],
            str(row["seeds"]),
            number(row["score"]),
            number(row["gain"], "+"),
            interval(row["interval"], "+"),
            number(row["lower_bound"], "+"),
            _outcome(row, event, method),
        )
        for row in rows
    ]
    head = ("candidate", "seeds", "score", "gain", "95% interval", "lower bound", "what came of it")
    return Table("Against the control, paired by seed", head, tuple(cells), frozenset({1, 2, 3, 5}))


def _outcome(row: Event, event: Event, method: Method) -> str:
    said = "goes on" if row["came"] == "racing" else outcome(row, event, method)[0]
    audited = ", trained on all the same to audit the race" if row["audited"] else ""
    return ": ".join(filter(None, (f"{said}{audited}", row["reason"])))


def _gated(event: Event) -> str:
    """What the judge of a main run decided, and why."""
    verdict, rows = event["verdict"], event.get("compared", ())
    decision, name, reason = verdict["decision"], verdict["candidate"], verdict["reason"]
    if decision == "race":
        on = [row["candidate"] for row in rows if row["came"] == "racing"]
        going = f"{listed(on)} {'go' if len(on) > 1 else 'goes'} on" if on else "none goes on"
        return f"the race after heat {event['heat']}: {going}. {reason}"
    if decision == "confirm":
        passed = [row["candidate"] for row in rows if row["came"] == "passed"]
        return f"{listed(passed) if passed else name} once more, on fresh random numbers and episodes: {reason}"
    if decision == "accept":
        return f"{name} is accepted: {reason}"
    then = "the round goes back" if decision == "refine" else "the main run goes on as it is"
    return f"{': '.join(filter(None, (name, reason)))}; {then}"


def _pairs(comparison: Event | None) -> Iterator[Table]:
    if comparison is None or not comparison.get("scores"):
        return
    pairs = zip(comparison["scores"], comparison["control_scores"], strict=False)
    rows = tuple((str(n), number(a), number(b), number(a - b, "+")) for n, (a, b) in enumerate(pairs, start=1))
    yield Table("Seed by seed", ("pair", "candidate", "control", "difference"), rows, frozenset({0, 1, 2, 3}))
