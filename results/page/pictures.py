"""Which trainings the page draws. matplotlib is loaded here, and so only where a page is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of
from marlsmith.graph.state import NATIVE_ID
from marlsmith.results.page import plots
from marlsmith.results.page.lineage import Kin
from marlsmith.results.page.plots import Line, Style
from marlsmith.results.past import PastRun
from marlsmith.schemas import Evaluation


@dataclass(frozen=True)
class Picture:
    title: str
    words: str
    svg: str


def learning(run: PastRun, kin: Sequence[Kin], score: str) -> tuple[Picture, ...]:
    """The main run where there is one; the comparison on fresh seeds; the search, stage by stage."""
    return (*_main_run(run, score), *_fresh(run, score), *_search(run, kin, score))


def terms(run: PastRun, kin: Sequence[Kin]) -> str:
    """Shares of the reward's terms; empty where no candidate has any."""
    trained = [found for each in kin if (found := run.whole(each.id)) is not None]
    return plots.terms(trained) if any(found.terms for found in trained) else ""


def _main_run(run: PastRun, score: str) -> Iterator[Picture]:
    advanced, finished = run.of("advanced"), run.finished
    if advanced:
        promoted = bool(finished is not None and finished["promoted"])
        plain = finished["native"] if finished is not None and promoted else None
        words = "After each stage it is played on fresh episodes of its own, by which nothing is chosen."
        yield Picture("The main run", words, plots.laps(advanced, run.of("promoted"), plain, score))


def _fresh(run: PastRun, score: str) -> Iterator[Picture]:
    """Of what the answer names."""
    finished = run.finished
    if finished is None or finished.get("main") is not None or finished["phase"] != "confirm":
        return
    if finished["best"] is None or finished["native"] is None:
        return
    best = finished["best"]["candidate"]
    stages = [event["stage"] for event in run.of("proposal") if event["candidate"] == best]
    control = confirm_control(stages[-1], 0, adapts=False, edit=edit_of(best)) if stages else ""
    lines = [*_line(run.whole(control), NATIVE_ID, "native"), *_line(run.whole(confirm_branch(best)), best, "best")]
    if lines:
        words = "Interquartile mean and 95% interval over seeds, in greedy play on a few episodes that decide nothing."
        yield Picture("On fresh seeds", words, plots.curves(lines, score))


def _search(run: PastRun, kin: Sequence[Kin], score: str) -> Iterator[Picture]:
    stages = sorted({each.stage for each in kin})
    for stage in stages:
        scored = [each for each in kin if each.stage == stage and each.score is not None]
        best = max(scored, key=lambda each: (each.standing == "promoted", each.score or 0.0), default=None)
        lines = list(_line(run.whole(control_branch(stage)), NATIVE_ID, "native"))
        for each in scored:
            lines += _line(run.whole(each.id), each.id, "best" if each is best else "other")
        if lines:
            title = "In the search" if len(stages) == 1 else f"In the search of stage {stage}"
            words = (
                "Every candidate beside the control, on the seeds that choose the best." if stage == stages[0] else ""
            )
            yield Picture(title, words, plots.curves(lines, score))


def _line(found: Evaluation | None, name: str, style: Style) -> Iterator[Line]:
    if found is not None and len(found.curve) > 1:  # a point is no line
        yield Line(name, found.curve, style)
