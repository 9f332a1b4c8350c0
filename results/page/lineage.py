"""The family of candidates: what each was made from and what came of it, and where a picture of it puts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

from marlsmith.graph.naming import confirm_branch, control_branch
from marlsmith.graph.telling.main_run_story import outcome
from marlsmith.graph.telling.speech import interval
from marlsmith.graph.telling.trace import Event
from marlsmith.results.page.decisions import REFUSERS
from marlsmith.results.page.parts import Table, Tone, number
from marlsmith.results.past import PastRun
from marlsmith.schemas import Evaluation, paired_scores

Standing = Literal["promoted", "kept", "tried", "dropped", "refused", "failed", "open"]
"""What a candidate came to. `kept`: as a parent; `dropped`: in the race; `refused`: before it was trained."""
TONES: Mapping[Standing, Tone] = {
    "promoted": "good", "kept": "", "tried": "", "dropped": "quiet", "refused": "bad", "failed": "bad", "open": "quiet"
}  # fmt: skip
MARKS: Mapping[Standing, str] = {
    "promoted": "★", "kept": "●", "tried": "", "dropped": "○", "refused": "✕", "failed": "✕", "open": "…"
}  # fmt: skip
"""Beside the colour, for those who do not see it."""


@dataclass(frozen=True)
class Kin:
    """A candidate among its kin."""

    id: str
    stage: int
    round: int
    kind: str
    parents: tuple[str, ...]
    author: str
    score: float | None
    interval: tuple[float, float] | None
    gain: float | None
    """The mean paired difference to the control, over the seeds of the search."""
    confirmed: float | None
    """Its score once more, on what had chosen nothing."""
    standing: Standing
    came: str
    """In words."""

    @property
    def mark(self) -> str:
        return MARKS[self.standing]

    @property
    def short(self) -> str:
        """For its box: the score and the confirmed one, or why there is none."""
        scores = (number(score) for score in (self.score, self.confirmed) if score is not None)
        return "→".join(scores) or self.standing


def family(run: PastRun) -> tuple[Kin, ...]:
    """In the order in which they were proposed."""
    return _Family(run).kin()


class _Family:
    def __init__(self, run: PastRun) -> None:
        self.run = run
        self.checks = {event["candidate"]: event for event in run.of("check")}
        self.promoted = [event["candidate"] for event in run.of("promoted")]
        self.kept = {id for event in run.of("judged") for id in event["population"]}
        self.judged = run.of("judged")
        self.began = {event["candidate"] for event in run.of("tool_call")}

    def kin(self) -> tuple[Kin, ...]:
        return tuple(map(self._one, self.run.of("proposal")))

    @cached_property
    def searched(self) -> Mapping[str, tuple[Event, Event]]:
        """Where a main run is adapted, the judge's last word on each candidate in the search, and where it fell.

        A confirmation is longer: its numbers do not belong beside those of the search.
        """
        return _rows(event for event in self.judged if event["phase"] == "search")

    @cached_property
    def confirmed(self) -> Mapping[str, tuple[Event, Event]]:
        """The same of the confirmations."""
        return _rows(event for event in self.judged if event["phase"] == "confirm")

    def _one(self, event: Event) -> Kin:
        id, stage = event["candidate"], event["stage"]
        found = self.run.whole(id)
        standing, came = self._came(id, found)
        score = found.score if found is not None else None
        return Kin(
            id=id,
            stage=stage,
            round=event["round"],
            kind=event["kind"],
            parents=tuple(event["parents"]),
            author=event["author"],
            score=score,
            interval=found.interval if found is not None else None,
            gain=self.searched[id][0]["gain"] if id in self.searched else self._gain(stage, found),
            confirmed=self._confirmed(id),
            standing=standing,
            came=came,
        )

    def _gain(self, stage: int, found: Evaluation | None) -> float | None:
        control = self.run.whole(control_branch(stage))
        pairs = paired_scores(control, found) if control is not None and found is not None else []
        return fmean(score - native for score, native in pairs) if pairs else None

    def _confirmed(self, id: str) -> float | None:
        if id in self.confirmed:
            score: float | None = self.confirmed[id][0]["score"]
            return score
        again = self.run.whole(confirm_branch(id))
        return again.score if again is not None else None

    def _came(self, id: str, found: Evaluation | None) -> tuple[Standing, str]:
        score = self._confirmed(id)
        at = f" at {number(score)}{self._confirmed_gain(id)}" if score is not None else ""
        if id in self.promoted:
            return "promoted", f"promoted, confirmed{at}" if at else "promoted"
        check = self.checks.get(id)
        if check is not None and not check["accepted"]:
            return "refused", f"refused by {REFUSERS.get(check['by'], 'the checks')}: {'; '.join(check['problems'])}"
        if found is not None and found.error is not None:
            return "failed", f"failed ({found.error.stage}): {found.error.told}"
        if id in self.confirmed:
            words = f"passes the gate; in the confirmation {self._outcome(*self.confirmed[id])}"
            return "kept", f"{words},{at}" if at else words
        if id in self.searched:
            row, event = self.searched[id]
            words = "refused by the gate" if row["came"] == "refused" else self._outcome(row, event)
            return "dropped" if row["came"] == "dropped" else "tried", words
        if found is None:
            return "open", "training begun" if id in self.began else "not trained"
        if self.run.whole(confirm_branch(id)) is not None:
            return "kept", f"trained again on fresh seeds{at}, not promoted"
        return ("kept", "kept as a parent") if id in self.kept else ("tried", "tried")

    def _outcome(self, row: Event, event: Event) -> str:
        words, _ = outcome(row, event, self.run.settings.method.at(event["stage"]))
        return "in the race" if row["came"] == "racing" else words

    def _confirmed_gain(self, id: str) -> str:
        if id not in self.confirmed or (gain := self.confirmed[id][0]["gain"]) is None:
            return ""
        return f", gain {number(gain, '+')} {interval(self.confirmed[id][0]['interval'], '+')}".rstrip()


def _rows(judged: Iterable[Event]) -> Mapping[str, tuple[Event, Event]]:
    return {row["candidate"]: (row, event) for event in judged for row in event.get("compared", ())}


def table(family: Sequence[Kin]) -> Table:
    """The same as the picture, to be read."""
    rows = tuple(
        (
            kin.id,
            f"{kin.stage}.{kin.round}",
            kin.kind,
            ", ".join(kin.parents) or "none",
            number(kin.score),
            interval(kin.interval),
            number(kin.gain, "+"),
            f"{kin.mark} {kin.came}".strip(),
        )
        for kin in family
    )
    head = ("candidate", "stage.round", "kind", "parents", "score", "95% interval", "gain", "what came of it")
    tones = tuple(TONES[kin.standing] for kin in family)
    return Table("Every candidate, in the order of its proposal", head, rows, frozenset({4, 6}), tones)


# ---------------------------------------------------------------- the picture

WIDTH, HEIGHT, GAP_X, GAP_Y, TOP = 98, 46, 12, 40, 18
"""Of a candidate's box and the space between two, so that three of them fit on a phone."""
MOST_IN_A_ROW = 6


@dataclass(frozen=True)
class Box:
    kin: Kin
    x: int
    y: int


@dataclass(frozen=True)
class Label:
    words: str
    y: int


@dataclass(frozen=True)
class Drawing:
    """Rounds from the top down, so that it grows as the page does; lines lead from parents to children."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    labels: tuple[Label, ...]
    lines: tuple[tuple[str, bool], ...]
    """Paths, and whether they lead to what was promoted."""


def drawing(family: Sequence[Kin]) -> Drawing:
    rounds: dict[tuple[int, int], list[Kin]] = defaultdict(list)
    for kin in family:
        rounds[kin.stage, kin.round].append(kin)
    boxes: list[Box] = []
    labels: list[Label] = []
    y = 0
    stages = len({stage for stage, _ in rounds}) > 1
    for (stage, round), members in rounds.items():
        labels.append(Label(f"stage {stage}, round {round}" if stages else f"round {round}", y + TOP - 6))
        y += TOP
        for first in range(0, len(members), MOST_IN_A_ROW):
            row = members[first : first + MOST_IN_A_ROW]
            boxes += [Box(kin, 1 + place * (WIDTH + GAP_X), y) for place, kin in enumerate(row)]
            y += HEIGHT + GAP_Y // 2
        y += GAP_Y // 2
    width = max((box.x + WIDTH for box in boxes), default=0) + 1
    return Drawing(width, max(0, y - GAP_Y), tuple(boxes), tuple(labels), tuple(_lines(boxes)))


def _lines(boxes: Sequence[Box]) -> Iterator[tuple[str, bool]]:
    places = {box.kin.id: box for box in boxes}
    chosen = _ancestry(places)
    for box in boxes:
        for parent in box.kin.parents:
            above = places.get(parent)
            if above is not None and above.y < box.y:
                yield _curve(above, box), (parent, box.kin.id) in chosen


def _curve(above: Box, below: Box) -> str:
    x0, y0 = above.x + WIDTH // 2, above.y + HEIGHT
    x1, y1 = below.x + WIDTH // 2, below.y
    bend = min(GAP_Y, y1 - y0) * 3 // 4
    return f"M{x0} {y0}C{x0} {y0 + bend} {x1} {y1 - bend} {x1} {y1}"


def _ancestry(places: Mapping[str, Box]) -> set[tuple[str, str]]:
    """The lines along which the promoted came to be."""
    left = [id for id, box in places.items() if box.kin.standing == "promoted"]
    found: set[tuple[str, str]] = set()
    while left:
        child = left.pop()
        for parent in places[child].kin.parents:
            if parent in places and (parent, child) not in found:
                found.add((parent, child))
                left.append(parent)
    return found
