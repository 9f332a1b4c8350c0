"""What the critic may cite: one flat table of numbers, small enough for a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from marlsmith.schemas import CurvePoint, Evaluation, paired_scores

LIMIT = 60
CHARACTERS = 2400
"""600 tokens of about 4 characters, as the critic's prompt writes the table: `key = value` and a line break."""

RECENT = 16
"""Rows of the main run's latest stages, at two a stage, that come before details; earlier stages come last."""

Row = tuple[str, float]


def evidence(control: Evaluation | None, parents: Sequence[Evaluation]) -> dict[str, float]:
    """What a search from scratch has measured, under keys such as `native.score` or `s1r2c3.term.approach.share`.

    Outcomes come before details and the best parent before the others, see `_fitting`.
    """
    scored = _scored(parents)
    rows = [*_native(control), *(row for parent in scored for row in _outcome(parent, control))]
    rows += [row for parent in scored for row in _details(parent.candidate, parent)]
    return _fitting(rows)


def main_evidence(
    main: Sequence[Evaluation], incumbent: str, control: Evaluation | None, tried: Sequence[Evaluation]
) -> dict[str, float]:
    """What one training has measured that goes on while its signal changes.

    `main` are the evaluations of the main run after each of its stages, `main-s0`, `main-s1` and so on in their
    order; the first is of the untrained policy. Measured where:

    - `main.score`, `.spread` (over the seeds), `.metric.*`, `.behaviour.*`: greedy play after the latest stage,
      on fresh episodes that no decision has seen; `main.score.sK` and `main.return.sK` the same after stage K,
      return being the native one. `main.drop_from_peak` is from the best of the stages to the latest.
    - `main.trend.*`: last third minus first third of the latest stage's curve: score and native return in
      greedy play on a few fixed episodes, shaped return in the exploring policy's own rollouts.
    - `main.term.NAME.*`: the present signal's terms over the end of the latest stage's training.
    - `main.stages_under.SIGNAL`: for how many stages, up to the latest, the main run has carried the incumbent.
    - `control.*` and the ids of candidates: branches of the stage under way, on the episodes that decide about
      branches, hence not to be compared with `main.score`. `.gain` is the mean difference to the control over
      the seeds that both were trained with, for a candidate that was dropped has fewer.

    How it stands now comes before how it came to this, and the main run before its branches, see `_fitting`.
    """
    after = {evaluation.branch.removeprefix("main-"): evaluation for evaluation in _scored(main)}
    latest = next(reversed(after.values()), None)
    branches = _scored(tried)
    rows, stages = list(_branch_outcomes(control, branches)), list(_by_stage(after))
    if latest is not None:
        rows = [*_score("main", latest), *rows, *_main_trends(latest)]
        rows += [*_drop(list(after.values())), *_carried_for(main, incumbent), *stages[:RECENT], *_main_details(latest)]
    named = {branch.candidate: branch for branch in branches}
    if control is not None and control.score is not None:
        named = {"control": control, **named}
    rows += [row for name, branch in named.items() for row in _trends(name, branch.curve)]
    rows += [row for name, branch in named.items() for row in _told_metrics(name, branch)]
    rows += [row for branch in branches for row in _shares(branch)]
    return _fitting([*rows, *stages[RECENT:]])


def _fitting(rows: Iterable[Row]) -> dict[str, float]:
    """At most LIMIT numbers in CHARACTERS, of rows that come weightiest first: what does not fit matters least.

    A row too long for the room that is left makes way for shorter ones. Four significant digits: what is cited
    must be comparable with what was shown.
    """
    table: dict[str, float] = {}
    left = CHARACTERS
    for key, value in rows:
        length = len(f"{key} = {value:.4g}\n")
        if length <= left and len(table) < LIMIT:
            table[key] = float(f"{value:.4g}")
            left -= length
    return table


def _scored(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    return [evaluation for evaluation in evaluations if evaluation.score is not None]


# ---------------------------------------------------------------- a search from scratch


def _native(control: Evaluation | None) -> Iterator[Row]:
    if control is None or control.score is None:
        return
    yield from _standing("native", control)
    yield from _metrics("native", control)
    yield from _behaviour("native", control)


def _outcome(parent: Evaluation, control: Evaluation | None) -> Iterator[Row]:
    yield from _standing(parent.candidate, parent)
    if control is not None and control.score is not None and parent.score is not None:
        yield f"{parent.candidate}.gain", parent.score - control.score


def _standing(name: str, evaluation: Evaluation) -> Iterator[Row]:
    yield from _score(name, evaluation)
    yield from _trends(name, evaluation.curve)
    if len(evaluation.curve) >= SHORTEST_CURVE:
        scores = [point.score for point in evaluation.curve]
        yield f"{name}.drop_from_peak", max(scores) - scores[-1]


def _details(name: str, evaluation: Evaluation) -> Iterator[Row]:
    yield from _metrics(name, evaluation)
    yield from _behaviour(name, evaluation)
    yield from _terms(name, evaluation)


# ---------------------------------------------------------------- a main run and its branches


def _branch_outcomes(control: Evaluation | None, branches: Sequence[Evaluation]) -> Iterator[Row]:
    if control is not None and control.score is not None:
        yield "control.score", control.score
    for branch in branches:
        assert branch.score is not None
        yield f"{branch.candidate}.score", branch.score
        if control is not None and (gain := paired_mean(control, branch)) is not None:
            yield f"{branch.candidate}.gain", gain


def paired_mean(control: Evaluation, branch: Evaluation) -> float | None:
    """Mean difference of the scores over the seeds that both have; None where they share none."""
    differences = [score - reference for score, reference in paired_scores(control, branch)]
    return _mean(differences) if differences else None


def _main_trends(latest: Evaluation) -> Iterator[Row]:
    yield from _trends("main", latest.curve)
    if len(latest.curve) >= SHORTEST_CURVE:
        yield "main.trend.native_return", _trend([point.native_return for point in latest.curve])


def _drop(scored: Sequence[Evaluation]) -> Iterator[Row]:
    scores = [evaluation.score for evaluation in scored if evaluation.score is not None]
    if len(scores) > 1:
        yield "main.drop_from_peak", max(scores) - scores[-1]


def _carried_for(main: Sequence[Evaluation], incumbent: str) -> Iterator[Row]:
    """The first evaluation is of an untrained policy, whatever signal it is about to learn from."""
    before = [stage for stage, evaluation in enumerate(main) if evaluation.candidate != incumbent]
    carried = len(main) - 1 - max(before, default=0)
    if carried > 0:
        yield f"main.stages_under.{incumbent}", carried


def _by_stage(after: dict[str, Evaluation]) -> Iterator[Row]:
    """The latest first."""
    for stage, evaluation in reversed(after.items()):
        assert evaluation.score is not None
        yield f"main.score.{stage}", evaluation.score
        if (native := evaluation.metrics.get(NATIVE_RETURN)) is not None:
            yield f"main.return.{stage}", native


def _main_details(latest: Evaluation) -> Iterator[Row]:
    yield from _told_metrics("main", latest)
    yield from _behaviour("main", latest)
    yield from _terms("main", latest)


def _shares(branch: Evaluation) -> Iterator[Row]:
    for term, statistics in branch.terms.items():
        yield f"{branch.candidate}.term.{term}.share", statistics.share


# ---------------------------------------------------------------- numbers of one evaluation

NATIVE_RETURN = "native_return"
SHORTEST_CURVE = 3


def _score(name: str, evaluation: Evaluation) -> Iterator[Row]:
    assert evaluation.score is not None
    yield f"{name}.score", evaluation.score
    if len(evaluation.scores) > 1:
        yield f"{name}.spread", max(evaluation.scores) - min(evaluation.scores)


def _metrics(name: str, evaluation: Evaluation) -> Iterator[Row]:
    for metric, value in evaluation.metrics.items():
        yield f"{name}.metric.{metric}", value


def _told_metrics(name: str, evaluation: Evaluation) -> Iterator[Row]:
    """All but the native return, which stands among the stages, and where success is rare says no more than that."""
    yield from ((key, value) for key, value in _metrics(name, evaluation) if not key.endswith(f".{NATIVE_RETURN}"))


def _behaviour(name: str, evaluation: Evaluation) -> Iterator[Row]:
    for behaviour, value in evaluation.behaviour.items():
        yield f"{name}.behaviour.{behaviour}", value


def _terms(name: str, evaluation: Evaluation) -> Iterator[Row]:
    for term, statistics in evaluation.terms.items():
        yield f"{name}.term.{term}.share", statistics.share
        yield f"{name}.term.{term}.mean", statistics.mean


def _trends(name: str, curve: Sequence[CurvePoint]) -> Iterator[Row]:
    """Nothing of a curve too short to have a trend."""
    if len(curve) >= SHORTEST_CURVE:
        yield f"{name}.trend.score", _trend([point.score for point in curve])
        yield f"{name}.trend.shaped_return", _trend([point.shaped_return for point in curve])


def _trend(values: Sequence[float]) -> float:
    """Last third minus first third."""
    third = len(values) // 3
    return _mean(values[-third:]) - _mean(values[:third])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
