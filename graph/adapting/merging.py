"""The heats of a branch as one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.schemas import CurvePoint, Evaluation, TermStatistics


def merged(branch: str, heats: Sequence[Evaluation], metric: str | None = None) -> Evaluation:
    """The branch over the seeds of all its heats; the first failure is the branch's.

    Score and interval are computed anew over all seeds, and so is the `metric` that is
    the score. Of the other metrics, behaviour, terms and curve the heats told no
    more than means, which are averaged by their numbers of seeds.
    """
    first = heats[0]
    common = {
        "candidate": first.candidate,
        "branch": branch,
        "seeds": tuple(seed for heat in heats for seed in heat.seeds),
        "steps": first.steps,
        "seconds": sum(heat.seconds for heat in heats),
        "warnings": tuple(dict.fromkeys(warning for heat in heats for warning in heat.warnings)),
    }
    failed = next((heat for heat in heats if heat.error is not None), None)
    if failed is not None:
        return Evaluation(**common, error=failed.error)
    scores = [score for heat in heats for score in heat.scores]
    weights = [len(heat.seeds) for heat in heats]
    trained = sum(heat.environment_steps for heat in heats)
    busy = sum(heat.environment_steps / heat.steps_per_second for heat in heats if heat.steps_per_second > 0)
    return Evaluation(
        **common,
        score=iqm(scores),
        scores=tuple(scores),
        interval=bootstrap_interval(scores),
        metrics=_means([heat.metrics for heat in heats], weights) | ({metric: iqm(scores)} if metric else {}),
        behaviour=_means([heat.behaviour for heat in heats], weights),
        terms=_terms([heat.terms for heat in heats], weights),
        curve=_curve([heat.curve for heat in heats], weights),
        steps_per_second=trained / busy if busy > 0 else 0.0,
    )


def _means(tables: Sequence[Mapping[str, float]], weights: Sequence[int]) -> dict[str, float]:
    """Of what all heats have; what one of them lacks is left out."""
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: _mean((table[name] for table in tables), weights) for name in shared}


def _terms(tables: Sequence[Mapping[str, TermStatistics]], weights: Sequence[int]) -> dict[str, TermStatistics]:
    def mean(name: str, of: Callable[[TermStatistics], float]) -> float:
        return _mean((of(table[name]) for table in tables), weights)

    shared = [name for name in tables[0] if all(name in table for table in tables)]
    return {
        name: TermStatistics(
            mean=mean(name, lambda term: term.mean),
            spread=mean(name, lambda term: term.spread),
            share=mean(name, lambda term: term.share),
        )
        for name in shared
    }


def _curve(curves: Sequence[Sequence[CurvePoint]], weights: Sequence[int]) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(
            steps=points[0].steps,
            score=_mean((point.score for point in points), weights),
            native_return=_mean((point.native_return for point in points), weights),
            shaped_return=_mean((point.shaped_return for point in points), weights),
            scores=tuple(score for point in points for score in point.scores),
        )
        for points in zip(*curves, strict=False)
        if len({point.steps for point in points}) == 1
    )


def _mean(values: Iterable[float], weights: Sequence[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
