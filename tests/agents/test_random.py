"""Random proposals: blind to what was learned, repeatable, and within what may be designed."""

from __future__ import annotations

import pytest

from marlsmith.agents.config import Choice, role_settings
from marlsmith.agents.make import make_roles
from marlsmith.agents.offline import RandomGenerator
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.samples import sample
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    Approach,
    Candidate,
    Citation,
    Diagnosis,
    Elite,
    Evaluation,
    Finding,
    ObservationConfig,
    ProposalBrief,
    Rejection,
    RewardConfig,
    Signal,
    UserError,
    canonical,
)

TASKS = ("mpe/simple_speaker_listener", "lbf/8x8-2p-2f-coop")
PULL = Signal(reward=RewardConfig(terms=(Approach(assignment="optimal"),)))


def brief(task: str = "mpe/simple_spread", **changes: object) -> ProposalBrief:
    plain = {"task": make_task(task).card, "count": 3, "evolve": "both", "scope": "own", "signals": "any"}
    plain |= {"reward_mode": "replace", "stage": 1, "round": 1, "seed": 7}
    return ProposalBrief.model_validate({**plain, **changes})


def candidate(id: str = "s1r1c1") -> Candidate:
    return Candidate(id=id, stage=1, round=1, author="x", kind="new", rationale="because", signal=PULL)


def drawn(asked: ProposalBrief) -> list[str]:
    return [canonical(proposal.signal) for proposal in RandomGenerator().propose(asked)]


def test_what_a_search_has_found_changes_nothing() -> None:
    evaluation = Evaluation(candidate="s1r1c1", branch="s1r1c1", seeds=(0,), steps=100, score=0.9, scores=(0.9,))
    finding = Finding(failure="overlap", evidence=(Citation(key="a", value=1.0),), advice="each their own")
    learned = brief(
        elites=(Elite(candidate=candidate(), code="", evaluation=evaluation),),
        diagnosis=Diagnosis(summary="they overlap", findings=(finding,)),
    )
    assert drawn(learned) == drawn(brief())
    assert all(proposal.parents == () for proposal in RandomGenerator().propose(learned))
    assert drawn(brief(seed=8)) != drawn(brief())


def test_it_draws_from_the_whole_vocabulary() -> None:
    """What the designer always begins with, an approach and a bonus, is one draw of many here."""
    proposals = [p for seed in range(40) for p in RandomGenerator().propose(brief(seed=seed, scope="team"))]
    rewards = [p.signal.reward for p in proposals if isinstance(p.signal.reward, RewardConfig)]
    features = [p.signal.observation for p in proposals if isinstance(p.signal.observation, ObservationConfig)]
    assert {term.kind for reward in rewards for term in reward.terms} == {
        "approach", "progress", "reach", "unique_coverage", "team_distance", "team_success", "collision", "crowding",
        "slow_near_target", "native",
    }  # fmt: skip
    assert len({feature.kind for observation in features for feature in observation.features}) == 10
    assert len({canonical(proposal.signal) for proposal in proposals}) == len(proposals) == 120
    assert any(all(term.kind != "approach" for term in reward.terms) for reward in rewards)


@pytest.mark.parametrize("evolve", ["reward", "observation"])
def test_a_part_that_is_not_evolved_stays_native(evolve: str) -> None:
    for proposal in RandomGenerator().propose(brief(evolve=evolve)):
        assert (proposal.signal.reward is None) == (evolve == "observation")
        assert (proposal.signal.observation is None) == (evolve == "reward")


@pytest.mark.parametrize("task", TASKS)
def test_what_it_draws_can_be_trained(task: str) -> None:
    """The checks of a run raise on what they refuse; of each draw they make a program with both parts."""
    environment = make_task(task)
    states = sample(environment)
    for scope in ("own", "team"):
        for proposal in RandomGenerator().propose(brief(task, scope=scope, count=2)):
            program = check_signal(proposal.signal, environment, scope, states)
            assert (program.agent_reward or program.global_reward) is not None
            assert program.enhance is not None


def test_what_was_tried_or_refused_is_not_drawn_again() -> None:
    first = drawn(brief())
    assert not {*first} & {*drawn(brief(tried=tuple(first)))}
    rejections = (Rejection(candidate=candidate(), problems=("no",)),)
    (again,) = RandomGenerator().propose(brief(rejected=rejections))
    assert again.kind == "repair"
    assert again.parents == ("s1r1c1",)
    assert again.signal != PULL


def test_it_is_a_generator_that_can_be_named_and_no_other_role() -> None:
    settings = role_settings(Choice(generators=("random",)))
    assert isinstance(make_roles(settings).roles.generators[0], RandomGenerator)
    with pytest.raises(UserError, match="--critic is 'random', and only the generator can be: write offline"):
        role_settings(Choice(critic="random"))
