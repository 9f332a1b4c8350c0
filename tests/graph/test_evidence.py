"""What the critic may cite: within its size, the weightiest first."""

from __future__ import annotations

from marlsmith.graph.evidence import CHARACTERS, LIMIT, evidence
from marlsmith.schemas import CurvePoint, Evaluation, TermStatistics

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
