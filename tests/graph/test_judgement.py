"""Selection, admission, evidence and verdicts: pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marlsmith.graph.briefing.evidence import LIMIT, evidence
from marlsmith.graph.judging import judgement
from marlsmith.graph.methods import Method
from marlsmith.graph.state import Outcome
from marlsmith.marl.statistics import paired_gain
from marlsmith.schemas import CurvePoint, Evaluation, Failure, TermStatistics

pools = st.dictionaries(st.text("abc123", min_size=1, max_size=4), st.floats(-1, 1), max_size=12)
selections = st.sampled_from(sorted(judgement.SELECTIONS))


@given(pools, st.integers(1, 6), selections, st.integers(0, 2**32 - 1))
def test_a_selection_keeps_distinct_members_best_first_and_repeats_itself(pool, count, selection, seed):
    kept = judgement.select(pool, count, selection, seed)
    assert len(kept) == len(set(kept)) == min(count, len(pool))
    assert set(kept) <= set(pool)
    assert [pool[id] for id in kept] == sorted((pool[id] for id in kept), reverse=True)
    assert kept == judgement.select(dict(reversed(pool.items())), count, selection, seed)


@given(pools, st.integers(1, 6))
def test_top_k_keeps_the_best(pool, count):
    kept = judgement.select(pool, count, "top-k", 0)
    assert [pool[id] for id in kept] == sorted(pool.values(), reverse=True)[:count]


@pytest.mark.parametrize("selection", ["tournament", "rank"])
def test_stochastic_selection_prefers_the_better_and_excludes_nobody_but_the_last(selection):
    pool = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    drawn = [judgement.select(pool, 1, selection, seed)[0] for seed in range(2000)]
    shares = [drawn.count(id) / 2000 for id in "abcd"]
    # tournament: P(best of a pair) = 3/6, 2/6, 1/6, 0; rank: 4/10, 3/10, 2/10, 1/10
    expected = [3 / 6, 2 / 6, 1 / 6, 0] if selection == "tournament" else [0.4, 0.3, 0.2, 0.1]
    assert shares == pytest.approx(expected, abs=0.04)


def outcome(candidate: str, score: float | None, stage: int = 1, phase: str = "search") -> Outcome:
    return Outcome(candidate=candidate, stage=stage, phase=phase, score=score, error=None)  # type: ignore[typeddict-item]


def test_strength_is_the_score_above_the_own_stages_control():
    evaluated = {
        "control-s1": outcome("native", 0.3),
        "a": outcome("a", 0.5),
        "b": outcome("b", None),
        "a-confirm": outcome("a", 0.9, phase="confirm"),
        "control-s2": outcome("native", 0.45, stage=2),
        "c": outcome("c", 0.6, stage=2),
        "d": outcome("d", 0.6, stage=3),
    }
    assert judgement.strengths(evaluated) == pytest.approx({"a": 0.2, "c": 0.15, "d": 0.6})


def test_the_search_sends_its_best_into_confirmation_once():
    pool = {"a": 0.2, "b": 0.3}
    assert judgement.search_verdict(pool, [], last_round=False).decision == "refine"
    assert judgement.search_verdict(pool, [], last_round=True).candidate == "b"
    assert judgement.search_verdict(pool, ["b"], last_round=True).candidate == "a"
    assert judgement.search_verdict(pool, ["a", "b"], last_round=True).decision == "keep"
    assert judgement.search_verdict({}, [], last_round=True).reason == "no candidate has a score"


def evaluation(name: str, scores: list[float], seeds: list[int] | None = None) -> Evaluation:
    seeds = seeds or list(range(len(scores)))
    mean = sum(scores) / len(scores)
    return Evaluation(candidate=name, branch=name, seeds=tuple(seeds), steps=1, score=mean, scores=tuple(scores))


def test_the_gate_opens_only_above_the_margin():
    control = evaluation("native", [0.1, 0.2, 0.3, 0.2, 0.2])
    better = evaluation("a", [0.32, 0.39, 0.51, 0.4, 0.4])
    bound = paired_gain(better.scores, control.scores, 0.05).lower_bound
    verdict = judgement.confirm_verdict(better, control, Method(margin=bound - 1e-6), None)
    assert (verdict.decision, verdict.lower_bound, verdict.level) == ("accept", bound, 0.05)
    assert verdict.gain == pytest.approx(0.204)
    assert judgement.confirm_verdict(better, control, Method(margin=bound), None).decision == "keep"
    assert judgement.confirm_verdict(better, control, Method(), 0.3).decision == "keep"
    assert judgement.confirm_verdict(better, control, Method(), 0.1).decision == "accept"


def test_gains_are_paired_by_seed_and_not_by_place():
    control = evaluation("native", [0.25, 0.5, 0.75], [1, 2, 3])
    shuffled = evaluation("a", [0.875, 0.375, 0.625], [3, 1, 2])
    gain = judgement.gain_over(control, shuffled, 0.05)
    assert gain is not None
    assert gain.mean == 0.125
    assert gain.interval == (0.0, 0.125)  # each seed gains the same; three of them are no proof
    assert judgement.gain_over(control, evaluation("b", [1.0, 1.0, 1.0], [3, 4, 5]), 0.05) is None


def test_a_failed_branch_never_passes_the_gate():
    failed = Evaluation(
        candidate="a", branch="a-confirm", seeds=(1,), steps=1, error=Failure(stage="timeout", message="600 s")
    )
    verdict = judgement.confirm_verdict(failed, evaluation("native", [0.1, 0.2]), Method(), None)
    assert (verdict.decision, verdict.reason) == ("keep", "a-confirm failed (timeout): 600 s")


def test_evidence_puts_outcomes_before_details_and_stays_small():
    curve = tuple(
        CurvePoint(steps=i, score=score, native_return=0.0, shaped_return=float(i))
        for i, score in enumerate([0.1, 0.2, 0.4, 0.6, 0.5, 0.45])
    )
    terms = {f"t{i}": TermStatistics(mean=1 / 3, spread=0, share=1 / 16) for i in range(16)}
    parents = [
        evaluation(name, [0.61234567, 0.5]).model_copy(update={"curve": curve, "terms": terms}) for name in ("a", "b")
    ]
    table = evidence(evaluation("native", [0.3, 0.2]), parents)
    assert len(table) == LIMIT
    assert table["native.score"] == 0.25
    assert table["a.score"] == 0.5562
    assert table["a.gain"] == table["b.gain"] == 0.3062
    assert table["a.spread"] == 0.1123
    assert table["a.trend.score"] == 0.325
    assert table["a.drop_from_peak"] == 0.15
    assert table["a.term.t0.mean"] == 0.3333
    assert list(table).index("b.score") < list(table).index("a.term.t0.share")
    assert evidence(None, []) == {}
