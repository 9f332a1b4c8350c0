"""All that the page says of a run, as records: the answer first, then what it rests on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any

from rich.console import Console
from rich.text import Text

from marlsmith.graph.naming import control_branch
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.speech import interval
from marlsmith.graph.telling.story import Story, answered, ending
from marlsmith.graph.telling.trace import Event
from marlsmith.results.page import trust
from marlsmith.results.page.decisions import Chapter, Chapters
from marlsmith.results.page.lineage import Kin, family
from marlsmith.results.page.parts import Allowance, Folded, Pair, Table, Tone, number
from marlsmith.results.page.words import Exchange, Record
from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError

WORDS_ALLOWED = 1_300_000
STORY_WIDTH = 100


@dataclass(frozen=True)
class Standing:
    """How one of the two did, seed by seed."""

    name: str
    score: float
    interval: tuple[float, float] | None
    scores: tuple[float, ...]

    @property
    def said(self) -> str:
        return f"{number(self.score)} {interval(self.interval)}".strip()


@dataclass(frozen=True)
class Answer:
    sentence: str
    tone: Tone
    why: str
    """Promoted or not, and why."""
    stages: tuple[str, ...] = ()
    """Where nothing was promoted in several stages: why, stage by stage."""
    standings: tuple[Standing, ...] = ()
    """Native first."""
    gain: str = ""
    metrics: Table | None = None
    cautions: tuple[str, ...] = ()
    files: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Notice:
    """Of a run that has not ended: how it stands, and what to type."""

    words: str
    command: str


@dataclass(frozen=True)
class Account:
    name: str
    task: str
    method: str
    score: str
    """What the score is called among the task's metrics."""
    notice: Notice | None
    answer: Answer
    asked: tuple[Pair, ...]
    manifest: Folded
    family: tuple[Kin, ...]
    chapters: tuple[Chapter, ...]
    told: tuple[tuple[str, Folded], ...]
    """What roles are told again and again, once, by anchor."""
    left: tuple[Exchange, ...]
    """Questions that no decision came of."""
    terms: Table | None
    costs: tuple[Pair, ...]
    by_role: Table | None
    trust: tuple[Pair, ...]
    acts: Table | None
    warnings: tuple[str, ...]
    stamp: str | None
    story: str
    hidden: tuple[str, ...]
    """Addresses that no word of the page may hold."""


def account(run: PastRun) -> Account:
    """Pure: the same directory gives the same account."""
    text, manifest = trust.read_manifest(run)
    record = Record(run, Allowance(WORDS_ALLOWED))
    chapters = tuple(Chapters(run, record, Allowance()))
    left = record.rest()
    costs, by_role = trust.costs(run)
    kin = family(run)
    return Account(
        name=run.name,
        task=run.settings.task,
        method=run.settings.method_name,
        score=score_name(run),
        notice=_notice(run),
        answer=_answer(run, kin),
        asked=trust.asked(run, manifest),
        manifest=Folded("run.toml: every setting", text=text),
        family=kin,
        chapters=chapters,
        told=tuple(record.standing.values()),
        left=left,
        terms=_terms(run, kin),
        costs=costs,
        by_role=by_role,
        trust=trust.trust(run),
        acts=trust.acts(manifest),
        warnings=trust.warnings(run),
        stamp=trust.stamp(run),
        story=story(run),
        hidden=trust.addresses(run),
    )


def story(run: PastRun, width: int = STORY_WIDTH) -> str:
    """Word for word what `marlsmith show` prints."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    told = Story(again=True, answered=answered(run.events))
    with console.capture() as captured:
        for event in run.events:
            for line in told.lines(event):
                console.print(line)
        if (words := ending(run.events, run.path)) is not None:
            console.print(Text(words), soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def score_name(run: PastRun) -> str:
    """The metric that is the score in every training; where several are, the task says which, and loads torch."""
    scored = [each for each in run.evaluations.values() if each.score is not None]
    same = ({name for name, value in each.metrics.items() if value == each.score} for each in scored)
    names = reduce(set.intersection, same) if scored else set[str]()
    if len(names) == 1:
        return names.pop()
    with suppress(UserError):
        if not run.is_of_others:
            from marlsmith.marl.tasks import make_task

            return make_task(run.settings.task).card.score
    return "score"


# ---------------------------------------------------------------- how it stands


def _notice(run: PastRun) -> Notice | None:
    if run.finished is not None:
        return None
    last: Event = run.events[-1] if run.events else {"event": "none"}
    words = ending(run.events, run.path) or ""
    if last["event"] == "approval" and last["status"] == "asked":
        said = f"This run waits for a person: is {last['candidate']} to be promoted?"
        return Notice(said, words.removeprefix("next").strip())
    resume = f"marlsmith resume {run.path}"
    if last["event"] == "paused":
        return Notice(f"This run is paused: {last['reason']}", resume)
    return Notice("This run has not ended: it is under way, or its process was ended.", resume)


# ---------------------------------------------------------------- the answer


def _answer(run: PastRun, kin: Sequence[Kin]) -> Answer:
    finished = run.finished
    if finished is None:
        return _so_far(run, kin)
    native, best, gain = (finished[name] for name in ("native", "best", "gain"))
    adapted = finished.get("main") is not None
    standings = tuple(_standings(native, best, adapted))
    promoted = bool(finished["promoted"])
    return Answer(
        sentence=_sentence(run, standings, promoted),
        tone="good" if promoted and gain is not None and gain["mean"] > 0 else "caution",
        why=f"{'Promoted' if promoted else 'Not promoted'}: {finished['reason']}.",
        stages=() if promoted else tuple(_stages(run)),
        standings=standings,
        gain=f"{gain['mean']:+.3f}, 95% interval {interval(gain['interval'], '+')}" if gain is not None else "",
        metrics=_metrics(native, best),
        cautions=tuple(_cautions(run, finished)),
        files=tuple(_files(run, finished)),
    )


def _stages(run: PastRun) -> Iterator[str]:
    """The judge's last word in each stage, and why some asked nobody; nothing where there was one stage."""
    begun = run.of("stage_started")
    last = {event["stage"]: event["verdict"]["reason"] for event in run.of("judged")}
    for event in begun if len(begun) > 1 else ():
        said = event.get("rests") or last.get(event["stage"])
        if said:
            yield f"stage {event['stage']}: {said}"


def _standings(native: Event | None, best: Event | None, adapted: bool) -> Iterator[Standing]:
    if native is not None:
        name = "without a signal" if adapted else "native"
        yield Standing(name, native["score"], _ends(native["interval"]), tuple(native["scores"]))
    if best is not None:
        name = f"main run, {best['candidate']}" if adapted else best["candidate"]
        yield Standing(name, best["score"], _ends(best["interval"]), tuple(best["scores"]))


def _ends(ends: Sequence[float] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None


def _sentence(run: PastRun, standings: Sequence[Standing], promoted: bool) -> str:
    finished, score = run.finished or {}, score_name(run)
    adapted = finished.get("main") is not None
    if not standings:
        return f"There is no answer: {finished['reason']}."
    if adapted and not promoted:
        return (
            f"No signal earned its way in: the main run is the plain training, and ends at {score} {standings[0].said}."
        )
    if finished["native"] is None or finished["best"] is None:
        only = standings[0]
        if adapted:
            return f"The main run ends at {score} {only.said}; nothing is there to compare it with."
        return f"No signal could be compared with the native task, which reaches {score} {only.said}."
    native, best = standings
    seeds = len(best.scores)
    where = f"on {seeds} seeds of the search"
    if adapted:
        where = f"over {seeds} members on fresh episodes"
    elif finished["phase"] == "confirm":
        where = f"on {seeds} fresh seeds"
    against = "the same training without a signal" if adapted else "the native task"
    who = f"The main run under {finished['best']['candidate']}" if adapted else best.name
    return f"{who} reaches {score} {best.said}, {against} {native.said}, {where}."


def _metrics(native: Event | None, best: Event | None) -> Table | None:
    if native is None or best is None:
        return None
    rows = tuple(
        (name, f"{native['metrics'][name]:.3g}", f"{value:.3g}")
        for name, value in best["metrics"].items()
        if name in native["metrics"]
    )
    return Table("Every metric of the task", ("metric", "native", "best"), rows, frozenset({1, 2}))


def _cautions(run: PastRun, finished: Event) -> Iterator[str]:
    method = run.settings.method
    if finished.get("main") is None:
        if finished["phase"] == "search" and finished["best"] is not None:
            yield "These are the seeds that chose the best, which they flatter."
    elif finished["promoted"]:
        if finished["native"] is None:
            yield "It was not compared with the same training without a signal."
        if not method.gate:
            yield "Nothing was validated: this method has no gate and takes what is proposed."
    gain = finished["gain"]
    if gain is not None and gain["interval"] and gain["interval"][0] <= 0 <= gain["interval"][1]:
        bound = "on branches" if finished.get("main") is not None else "on fresh seeds"
        decided = f"; it was promoted because its one-sided bound {bound} decides" if finished["promoted"] else ""
        yield f"The two-sided interval of the gain holds 0: a difference is not shown{decided}."
    if method.scope == "team":
        yield "Scope team: features may read other agents' observations, which breaks decentralised execution."


def _files(run: PastRun, finished: Event) -> Iterator[Pair]:
    found = {"signal": "main/signal.py", "policy": "main/checkpoint.safetensors"} if finished["promoted"] else {}
    if not found and finished["best"] is not None:
        found = {"best": f"candidates/{finished['best']['candidate']}.py"}
    yield from ((name, path) for name, path in found.items() if (run.path / path).is_file())


def _so_far(run: PastRun, kin: Sequence[Kin]) -> Answer:
    scored = [each for each in kin if each.score is not None]
    if not scored:
        return Answer("There is no answer yet: no candidate has been trained.", "quiet", "Not decided yet.")
    best = max(scored, key=lambda each: each.score or 0.0)
    control = run.whole(control_branch(best.stage))
    beside = f", {NATIVE_ID} {number(control.score)}" if control is not None and control.score is not None else ""
    words = f"There is no answer yet. So far the best is {best.id} with {score_name(run)} {number(best.score)}{beside}."
    flattered = "These are the seeds that choose the best, which they flatter."
    return Answer(words, "quiet", "Not decided yet.", cautions=(flattered,))


# ---------------------------------------------------------------- reward terms


def _terms(run: PastRun, kin: Sequence[Kin]) -> Table | None:
    """Of each candidate's training, over its last tenth."""
    rows: list[tuple[str, ...]] = []
    for each in kin:
        found = run.whole(each.id)
        named: Mapping[str, Any] = found.terms if found is not None else {}
        rows += [
            (each.id, name, f"{term.mean:.3g}", f"{term.spread:.3g}", f"{term.share:.0%}")
            for name, term in sorted(named.items(), key=lambda item: -item[1].share)
        ]
    if not rows:
        return None
    head = ("candidate", "term", "mean", "spread", "share")
    caption = "Reward terms in the last tenth of each training, before weighting by alpha"
    return Table(caption, head, tuple(rows), frozenset({2, 3, 4}))
