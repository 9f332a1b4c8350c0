"""What the critic may cite: within its size, the weightiest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from marlsmith.graph.briefing.evidence import CHARACTERS, LIMIT, evidence, main_evidence
from marlsmith.marl.behaviour import behaviour
from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import CurvePoint, Evaluation, Failure, TermStatistics

CURVE = tuple(CurvePoint(steps=i, score=-123.456789, native_return=0, shaped_return=-i * 1e-7) for i in range(9))


def wide(id: str, name: str = "distance_to_the_nearest_one") -> Evaluation:
    """More than any task or candidate of ours brings: long ids, names and numbers."""
    return Evaluation(
        candidate=id,
        branch=id,
        seeds=(0, 1),
        steps=1,
        score=-1234.5678,
        scores=(-1234.5678, -0.000123456),
        metrics={f"{name}_{i}": -1.23456789e-7 for i in range(12)},
        behaviour={f"{name}_{i}": -123456.789 for i in range(20)},
        terms={f"{name}_{i}": TermStatistics(mean=-1.2345e-9, spread=1, share=0.123456) for i in range(16)},
        curve=CURVE,
    )


def length(table: dict[str, float]) -> int:
    return len("".join(f"{key} = {value:.4g}\n" for key, value in table.items()))


def test_the_widest_evidence_is_600_tokens() -> None:
    """At four characters a token. It is used up, and what everything else is measured by comes first."""
    parents = [wide(f"s50r100c{i}-fix5") for i in range(5)]
    table = evidence(wide("native"), parents)
    assert CHARACTERS == 600 * 4
    assert CHARACTERS - 80 < length(table) <= CHARACTERS
    assert list(table)[:4] == ["native.score", "native.spread", "native.trend.score", "native.trend.shaped_return"]
    short = evidence(None, [wide(f"a{i}", "x") for i in range(9)])
    assert len(short) <= LIMIT
    assert {f"a{i}.score" for i in range(9)} <= set(short)


def test_a_name_without_end_makes_way_for_others() -> None:
    half = TermStatistics(mean=0, spread=0, share=0.5)
    common = {"candidate": "c", "branch": "c", "seeds": (0,), "steps": 1, "score": 0.5, "scores": (0.5,)}
    endless = Evaluation.model_validate({**common, "terms": {"x" * 5000: half, "y": half}})
    assert list(evidence(None, [endless])) == ["c.score", "c.term.y.share", "c.term.y.mean"]


def test_a_fall_is_from_the_peak_of_the_training() -> None:
    scores = (0.25, 0.75, 0.5)
    fallen = tuple(CurvePoint(steps=i, score=s, native_return=0, shaped_return=0) for i, s in enumerate(scores))
    assert evidence(measured("native", (0.5,), curve=fallen), ())["native.drop_from_peak"] == 0.25


# ---------------------------------------------------------------- a main run and its branches


def measured(id: str, scores: Sequence[float], branch: str = "", first: int = 0, **fields: Any) -> Evaluation:
    seeds = tuple(range(first, first + len(scores)))
    fields |= {"score": sum(scores) / len(scores), "scores": tuple(scores)}
    return Evaluation(candidate=id, branch=branch or id, seeds=seeds, steps=9, **fields)


def rising(shaped: float, native: float) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(steps=i, score=0.01 * i, native_return=native * i, shaped_return=shaped * i) for i in range(9)
    )


FAILED = Evaluation(
    candidate="s2r1c2", branch="s2r1c2", seeds=(0, 1), steps=9, error=Failure(stage="crash", message="it crashed")
)
MAIN = (
    measured("native", (0.0, 0.0), "main-s0", metrics={"native_return": 0.0}),
    measured("native", (0.5, 0.9), "main-s1", metrics={"native_return": 7.0}),
    FAILED,
    measured(
        "s3r1c1",
        (0.2, 0.6),
        "main-s3",
        metrics={"native_return": 4.0, "coverage": 0.75},
        behaviour={"overlap": 0.25},
        terms={"approach": TermStatistics(mean=-1.5, spread=1, share=0.625)},
        curve=rising(shaped=2.0, native=-1.0),
    ),
)


def test_the_main_run_is_told_over_its_stages() -> None:
    table = main_evidence(MAIN, "s3r1c1", None, ())
    expected = {
        "main.score": 0.4,
        "main.spread": 0.4,
        "main.trend.score": 0.06,
        "main.trend.shaped_return": 12.0,
        "main.trend.native_return": -6.0,
        "main.drop_from_peak": 0.3,
        "main.stages_under.s3r1c1": 1.0,
        "main.score.s3": 0.4,
        "main.return.s3": 4.0,
        "main.score.s1": 0.7,  # stage 2 has no score
        "main.return.s1": 7.0,
        "main.score.s0": 0.0,
        "main.return.s0": 0.0,
        "main.metric.coverage": 0.75,
        "main.behaviour.overlap": 0.25,
        "main.term.approach.share": 0.625,
        "main.term.approach.mean": -1.5,
    }
    assert table == pytest.approx(expected)
    assert list(table) == list(expected), "the weightiest first"


@pytest.mark.parametrize(
    ("ids", "incumbent", "stages"),
    [
        (("native",), "native", None),
        (("native", "native", "native"), "native", 2),
        (("native", "a", "a"), "a", 2),
        (("native", "a", "native"), "native", 1),
        (("native", "a", "a"), "b", None),
    ],
)
def test_for_how_long_the_main_run_has_carried_its_signal(
    ids: tuple[str, ...], incumbent: str, stages: int | None
) -> None:
    table = main_evidence([measured(id, (0.5,), f"main-s{stage}") for stage, id in enumerate(ids)], incumbent, None, ())
    assert table.get(f"main.stages_under.{incumbent}") == stages


def test_branches_are_told_beside_their_control() -> None:
    """A candidate that was dropped has fewer seeds than the control: its gain is over those."""
    control = measured("native", (0.1, 0.3, 0.8, 0.8), curve=rising(shaped=0.0, native=0.0))
    share, metrics = (
        {"approach": TermStatistics(mean=-1.5, spread=1, share=0.5)},
        {"coverage": 0.75, "native_return": 3},
    )
    whole = measured("s2r1c1", (0.2, 0.4, 0.8, 0.8), curve=rising(shaped=3.0, native=0.0), terms=share, metrics=metrics)
    tried = (whole, FAILED, measured("s2r1c3", (0.0, 0.1)), measured("s2r1c4", (0.5,), first=7))
    table = main_evidence(MAIN[:2], "native", control, tried)
    outcomes = {"control.score": 0.5, "s2r1c1.score": 0.55, "s2r1c1.gain": 0.05, "s2r1c3.score": 0.05}
    outcomes |= {"s2r1c3.gain": -0.15, "s2r1c4.score": 0.5}
    assert {key: table[key] for key in outcomes} == pytest.approx(outcomes)
    assert list(table)[2:8] == list(outcomes)
    assert "s2r1c4.gain" not in table, "no seed in common"
    assert not any(key.startswith("s2r1c2") for key in table), "it failed"
    details = {"s2r1c1.trend.score": 0.06, "s2r1c1.trend.shaped_return": 18.0, "s2r1c1.term.approach.share": 0.5}
    assert {key: table[key] for key in details} == pytest.approx(details)
    assert table["control.trend.shaped_return"] == 0.0
    assert table["s2r1c1.metric.coverage"] == 0.75, "where the score is 0 for all, this may still tell them apart"
    assert not any("native_return" in key and "metric" in key for key in table)


def test_without_a_main_run_that_could_be_scored_the_branches_are_told() -> None:
    assert list(main_evidence([FAILED], "native", measured("native", (0.5,)), ())) == ["control.score"]
    assert main_evidence([], "native", None, ()) == {}


def test_the_earliest_stages_of_a_long_run_stand_last() -> None:
    known = {"metrics": {"native_return": 1.0}, "behaviour": {"overlap": 0.25}}
    keys = list(main_evidence([measured("a", (0.5,), f"main-s{i}", **known) for i in range(20)], "a", None, ()))
    assert keys[-1] == "main.return.s0"
    assert keys.index("main.score.s12") < keys.index("main.behaviour.overlap") < keys.index("main.score.s11")


def test_the_widest_evidence_of_a_main_run_is_600_tokens() -> None:
    known = {"metrics": {"native_return": -1.2345e-9}}
    main = [wide("s9r9c9").model_copy(update={**known, "branch": f"main-s{stage}"}) for stage in range(60)]
    main[-1] = wide("s9r9c9").model_copy(update={"branch": "main-s59"})
    table = main_evidence(main, "s9r9c9", wide("native"), [wide(f"s50r100c{i}-fix5") for i in range(4)])
    assert CHARACTERS - 80 < length(table) <= CHARACTERS
    assert len(table) <= LIMIT
    assert list(table)[:3] == ["main.score", "main.spread", "control.score"]
    assert {f"s50r100c{i}-fix5.gain" for i in range(4)} <= set(table)
    assert "main.score.s58" in table


@pytest.mark.parametrize("task", ["mpe/simple_spread_sparse", "mpe/simple_reference_sparse", "lbf/8x8-2p-2f-coop"])
def test_the_last_round_of_a_long_run_leaves_nothing_of_the_main_run_out(task: str) -> None:
    """Six stages, three terms, and three candidates tried in the stage."""
    if task.startswith("lbf/"):
        pytest.importorskip("lbforaging")
    tool = make_task(task)
    episodes = rollout_random(tool, 0, 2)
    metrics = dict.fromkeys(tool.metrics(episodes), 0.1234)
    known = {"metrics": metrics, "behaviour": dict.fromkeys(behaviour(episodes, tool.card), 0.1234)}
    terms = {name: TermStatistics(mean=-0.1234, spread=1, share=0.1234) for name in ("approach", "reach", "collision")}
    known |= {"terms": terms, "curve": rising(shaped=-0.1234, native=0.1234)}
    tried = [measured(f"s6r1c{i}", (0.1234, 0.2345), **known) for i in (1, 2, 3)]
    main = [measured("s1r1c1", (0.1234, 0.2345), f"main-s{stage}", **known) for stage in range(7)]
    table = main_evidence(main, "s1r1c1", tried[0].model_copy(update={"candidate": "native"}), tried)
    # The first number of each kind; a metric that is the native return stands among the stages.
    assert {f"main.behaviour.{name}" for name in known["behaviour"]} <= set(table)
    assert {f"main.metric.{name}" for name in metrics if name != "native_return"} <= set(table)
    assert {f"main.term.{name}.share" for name in terms} | {"main.score.s0", "main.return.s0"} <= set(table)
    assert {f"s6r1c{i}.{what}" for i in (1, 2, 3) for what in ("score", "gain")} <= set(table)
