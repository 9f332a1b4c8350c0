"""What each slot is asked for follows from how the search stands, and from nothing else."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.generating.plan import FITS, Commission, angles, came_to_nothing, plan
from marlsmith.schemas import Elite


def kinds(commissions: tuple[Commission, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(commission.kind, commission.parents) for commission in commissions]


def elite(records: ModuleType, id: str, score: float, round: int = 1) -> Elite:
    return Elite(candidate=records.candidate(id, round=round), code="", evaluation=records.evaluation(id, score))


BEST, SECOND = "s1r1c1", "s1r1c2"


@pytest.mark.parametrize(
    ("scores", "control", "round", "expected"),
    [
        # Nothing is better than the control: vary, cross, start anew.
        ((0.3, 0.2), 0.4, 2, [("mutate", (BEST,)), ("crossover", (BEST, SECOND)), ("new", ()), ("mutate", (SECOND,))]),
        ((0.3,), 0.4, 2, [("mutate", (BEST,)), ("mutate", (BEST,)), ("new", ()), ("mutate", (BEST,))]),
        # The best beats it beyond its interval: its numbers are worth tuning.
        ((0.9,), 0.4, 2, [("mutate", (BEST,)), ("tune", (BEST,)), ("new", ()), ("tune", (BEST,))]),
        ((0.44,), 0.4, 2, [("mutate", (BEST,)), ("mutate", (BEST,)), ("new", ()), ("mutate", (BEST,))]),
        # Round 2 brought no parent.
        ((0.3,), 0.4, 3, [("tune", (BEST,)), ("tune", (BEST,)), ("new", ()), ("tune", (BEST,))]),
        ((0.3,), None, 2, [("mutate", (BEST,)), ("mutate", (BEST,)), ("new", ()), ("mutate", (BEST,))]),
    ],
)
def test_the_operators_follow_the_search(
    records: ModuleType, scores: tuple[float, ...], control: float | None, round: int, expected: list[Any]
) -> None:
    brief = records.proposal_brief(
        count=4,
        round=round,
        elites=tuple(elite(records, id, score) for id, score in zip((BEST, SECOND), scores, strict=False)),
        control=None if control is None else records.evaluation("native", control),
    )
    assert kinds(plan(brief)) == expected


def test_two_good_parents_are_crossed_or_tuned_by_the_seed(records: ModuleType) -> None:
    parents = (elite(records, BEST, 0.9), elite(records, SECOND, 0.8))
    brief = records.proposal_brief(elites=parents, control=records.evaluation("native", 0.3))
    chosen = {plan(brief.model_copy(update={"seed": seed}))[1].kind for seed in range(20)}
    assert chosen == {"crossover", "tune"}


def test_a_first_round_starts_from_as_many_angles_as_there_are_slots(records: ModuleType) -> None:
    brief = records.proposal_brief(count=5, round=1)
    commissions = plan(brief)
    assert {commission.kind for commission in commissions} == {"new"}
    assert len({commission.angle for commission in commissions}) == 5
    assert plan(brief) == commissions
    assert any(plan(brief.model_copy(update={"seed": seed})) != commissions for seed in range(1, 5))


@pytest.mark.parametrize("count", [3, 4, 7])
def test_there_is_always_one_new_design_among_three(records: ModuleType, count: int) -> None:
    for brief in (records.full_brief(count=count), records.full_brief(count=count, round=5)):
        assert "new" in {commission.kind for commission in plan(brief)}


def test_generators_that_share_a_round_are_asked_for_different_things(records: ModuleType) -> None:
    whole = plan(records.full_brief(count=4))
    parts = [plan(records.full_brief(count=2, slots=slots)) for slots in ((1, 3), (2, 4))]
    assert sorted((*parts[0], *parts[1]), key=lambda commission: commission.slot) == list(whole)


def test_each_refused_candidate_is_mended_once(records: ModuleType) -> None:
    brief = records.full_brief(rejected=(records.REFUSED, records.REFUSED_TOO), count=2)
    assert kinds(plan(brief)) == [("repair", ("s1r2c1",)), ("repair", ("s1r2c2",))]


def test_changes_answer_the_diagnosis(records: ModuleType) -> None:
    mutate, _, new = plan(records.full_brief(elites=(records.ELITE,)))
    assert (mutate.failure, new.failure) == ("overlap", None)
    assert plan(records.full_brief(diagnosis=None))[0].failure is None


def test_a_round_came_to_nothing_where_no_parent_is_from_it(records: ModuleType) -> None:
    fresh = elite(records, "s1r2c1", 0.5, round=2)
    assert came_to_nothing(records.full_brief(round=3))
    assert not came_to_nothing(records.full_brief(round=3, elites=(records.ELITE, fresh)))
    assert not came_to_nothing(records.proposal_brief(round=1))


def test_angles_fit_what_evolves_and_what_the_task_has(records: ModuleType) -> None:
    bare = records.CARD.model_copy(
        update={"target": None, "reach": None, "collide": None, "entities": (), "observation": ()}
    )
    reward = angles(records.proposal_brief(evolve="reward"))
    assert "relations" not in reward
    assert {"credit", "sharing", "spacing"} <= set(reward)
    assert set(angles(records.proposal_brief(evolve="observation"))) == {"relations", "claims", "memory"}
    assert "memory" not in angles(records.proposal_brief(signals="config"))
    assert set(angles(records.proposal_brief(task=bare, evolve="reward"))) == {
        "credit",
        "team",
        "potential",
        "annealed",
    }
    assert angles(records.proposal_brief(task=bare, evolve="reward", signals="config")) == ["team"]
    given = records.CARD.model_copy(update={"goal": "agent_pos"})
    assert "sharing" not in angles(records.proposal_brief(task=given))
    assert set(angles(records.proposal_brief())) <= set(FITS)
