"""Candidate beside control, for whoever decides about a promotion. Apart from the records: it needs numpy."""

from __future__ import annotations

from marlsmith.graph.approving.case import Comparison
from marlsmith.graph.judging.judgement import gain_over
from marlsmith.schemas import Evaluation, paired_scores


def comparison(control: Evaluation, candidate: Evaluation, level: float) -> Comparison:
    """Over the seeds that both were trained with, in the candidate's order."""
    pairs = paired_scores(control, candidate)
    gain = gain_over(control, candidate, level)
    return Comparison(
        gain=gain.mean if gain is not None else None,
        interval=gain.interval if gain is not None else None,
        scores=tuple(score for score, _ in pairs),
        control_scores=tuple(score for _, score in pairs),
    )
