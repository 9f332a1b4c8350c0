"""Who proposes: gain per cost decides, doubt is paid for, and the same past gives the same choice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marlsmith.graph.proposing.bandit import MONEY_A_TRAINING, TOKENS_A_TRAINING, Play, allot, in_trainings

GOOD, POOR, NOTHING = Play(0.2, 1.0), Play(0.14, 1.0), Play(0.0, 1.0)
GAINS = st.integers(-1000, 1000).map(lambda thousandths: thousandths / 1000)
PLAYS = st.lists(st.builds(Play, GAINS, st.floats(1, 3)), max_size=6)
ARMS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), PLAYS, min_size=1)


def slots(arms: dict[str, list[Play]], number: int, seed: int = 0) -> dict[str, int]:
    return {name: len(share.slots) for name, share in allot(arms, range(1, number + 1), seed).items()}


def test_each_arm_is_tried_before_any_is_judged() -> None:
    assert slots({"a": [], "b": [], "c": []}, 3) == {"a": 1, "b": 1, "c": 1}
    first = allot({"a": [GOOD] * 3, "b": []}, [1], 0)
    assert (first["b"].slots, first["b"].index) == ((1,), None)
    assert {min(s, key=lambda n: -s[n]) for seed in range(20) if (s := slots({"a": [], "b": []}, 1, seed))} == {
        "a",
        "b",
    }


def test_the_better_arm_gets_more_and_the_other_is_not_forgotten() -> None:
    arms: dict[str, list[Play]] = {"good": [GOOD], "poor": [POOR]}
    for _ in range(40):
        for name, share in allot(arms, (1, 2, 3), 0).items():
            arms[name] += [GOOD if name == "good" else POOR] * len(share.slots)
    assert len(arms["good"]) > 4 * len(arms["poor"]) > 8


def test_gain_counts_per_cost() -> None:
    """The same gain for three times the cost is worth a third."""
    shares = allot({"cheap": [Play(0.2, 1.0)] * 4, "dear": [Play(0.2, 3.0)] * 4}, (1, 2, 3), 0)
    assert shares["dear"].rate == pytest.approx(shares["cheap"].rate / 3)
    assert len(shares["cheap"].slots) == 3
    assert (in_trainings(TOKENS_A_TRAINING, None), in_trainings(10**9, MONEY_A_TRAINING)) == (1.0, 1.0)


def test_the_index_by_hand() -> None:
    """rate / top + sqrt(ln N / n) / 2: N = 4, top 0.2, rates 0.2 and 0.1."""
    shares = allot({"a": [GOOD, GOOD], "b": [Play(0.1, 1.0), Play(0.2, 2.0)]}, (1,), 0)
    assert shares["a"].index == pytest.approx(1 + 0.4162773)
    assert shares["b"].index == pytest.approx(0.5 + 0.4162773)


def test_a_loss_is_no_worse_than_nothing() -> None:
    both = {"a": [GOOD, Play(-9.0, 1.0)], "b": [NOTHING]}
    assert allot(both, (1,), 0)["a"].rate == pytest.approx(0.1)


def test_where_nothing_has_gained_the_slots_go_round() -> None:
    assert slots({"a": [NOTHING] * 2, "b": [NOTHING] * 2}, 4) == {"a": 2, "b": 2}


def test_regret_grows_slowly() -> None:
    """Two arms whose gains are drawn: over 300 slots the better one gets most of them."""
    draw, arms = random.Random(1), {"good": list[Play](), "poor": list[Play]()}
    for seed in range(100):
        for name, share in allot(arms, (1, 2, 3), seed).items():
            mean = 0.6 if name == "good" else 0.3
            arms[name] += [Play(float(draw.random() < mean), 1.0) for _ in share.slots]
    assert len(arms["good"]) > 240


@given(ARMS, st.integers(1, 8), st.integers(0, 2**32))
def test_every_slot_goes_to_one_arm_and_always_to_the_same(arms: dict[str, list[Play]], number: int, seed: int) -> None:
    shares = allot(arms, range(1, number + 1), seed)
    given_away = sorted(slot for share in shares.values() for slot in share.slots)
    assert given_away == list(range(1, number + 1))
    assert shares == allot({name: list(plays) for name, plays in arms.items()}, range(1, number + 1), seed)
    assert set(shares) == set(arms)


@given(ARMS, st.floats(0.001, 1000))
def test_the_unit_of_the_score_does_not_matter(arms: dict[str, list[Play]], unit: float) -> None:
    positive = {name: [Play(abs(play.gain), play.cost) for play in plays] for name, plays in arms.items()}
    scaled = {name: [Play(play.gain * unit, play.cost) for play in plays] for name, plays in positive.items()}
    for one, other in zip(allot(positive, (1,), 0).values(), allot(scaled, (1,), 0).values(), strict=True):
        assert one.index == (None if other.index is None else pytest.approx(other.index))
