"""Candidate beside control, for whoever decides about a promotion. Apart from the records: it needs numpy."""

from __future__ import annotations

from marlsmith.graph.approving.case import Comparison
from marlsmith.graph.judging.judgement import gain_over
from marlsmith.schemas import Evaluation


def comparison(control: Evaluation, candidate: Evaluation, level: float) -> Comparison:
    """Over the seeds that both were trained with, in the candidate's order."""
    controls = dict(zip(control.seeds, control.scores, strict=False))
    pairs = [
        (score, controls[seed])
        for seed, score in zip(candidate.seeds, candidate.scores, strict=False)
        if seed in controls
    ]
    gain = gain_over(control, candidate, level)
    return Comparison(
        gain=gain.mean if gain is not None else None,
        interval=gain.interval if gain is not None else None,
        scores=tuple(score for score, _ in pairs),
        control_scores=tuple(score for _, score in pairs),
    )
