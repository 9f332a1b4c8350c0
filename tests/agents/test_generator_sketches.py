"""From what a model wrote to a signal that its run allows."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from marlsmith.agents.generating.sketches import Answer, modules, parts_of, usable
from marlsmith.agents.generating.vocabulary import vocabulary
from marlsmith.schemas import Code, RewardConfig, Signal

CONFIG = {"reward": {"alpha": 0.25, "terms": [{"kind": "reach", "weight": 2}]}}
FEATURES = {"observation": {"features": [{"kind": "speed"}]}}


def signal(brief: Any, value: Any, slot: int = 1) -> Signal:
    return usable(Answer.model_validate(value), brief, slot)[1]


def source(found: Signal) -> str:
    assert isinstance(found.reward, Code)
    return found.reward.source


@pytest.mark.parametrize(
    ("evolve", "reward", "observation"),
    [("reward", True, False), ("observation", False, True), ("both", True, True)],
)
def test_only_the_parts_that_evolve_are_taken(
    records: ModuleType, evolve: str, reward: bool, observation: bool
) -> None:
    brief = records.proposal_brief(evolve=evolve)
    for sketch in ({"code": records.BOTH}, {"config": CONFIG | FEATURES}):
        found = signal(brief, sketch)
        assert (found.reward is not None) == reward
        assert (found.observation is not None) == observation


def test_parts_of_a_module(records: ModuleType) -> None:
    assert parts_of(records.REWARD) == {"reward"}
    assert parts_of("def stateEnhance(obs): ...") == {"observation"}
    assert parts_of("def other(): ...") == frozenset()
    assert parts_of("def agent_reward(state:") == {"reward", "observation"}  # the checker names the fault
    assert parts_of("\0") == {"reward", "observation"}
    assert parts_of("class A:\n def agent_reward(self): ...") == frozenset()


@pytest.mark.parametrize(
    ("sketch", "changes", "says"),
    [
        ([{}], {}, "either code or config"),
        ({"code": "x = 1"}, {}, "defines none of agent_reward"),
        ({"code": "def agent_reward(state): ..."}, {"signals": "config"}, "code is refused"),
        ({"code": "def agent_reward(state): ..."}, {"evolve": "observation"}, "nothing of what is wanted"),
        ({"proposals": [{"config": {"reward": {"terms": [{"kind": "magic"}]}}}]}, {}, "magic"),
        (
            {"proposals": [{"config": {"reward": {"terms": [{"kind": "reach", "threshold": -1}]}}}]},
            {},
            "greater than 0",
        ),
        (
            {"config": {"observation": {"scope": "team", "features": [{"kind": "speed"}]}}},
            {},
            "scope 'team' is closed",
        ),
    ],
)
def test_a_sketch_that_cannot_be_used_says_why(
    records: ModuleType, sketch: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        signal(records.proposal_brief(**changes), sketch)


def test_of_several_proposals_each_slot_takes_another_and_a_bad_one_costs_no_other(records: ModuleType) -> None:
    brief = records.proposal_brief()
    weights = [1, 1000, 3]
    sketches = [{"config": {"reward": {"terms": [{"kind": "reach", "weight": weight}]}}} for weight in weights]

    def taken(slot: int) -> float:
        reward = signal(brief, sketches if slot > 3 else {"proposals": sketches}, slot).reward
        assert isinstance(reward, RewardConfig)
        return reward.terms[0].weight

    assert [taken(slot) for slot in (1, 2, 3, 4)] == [1, 3, 3, 1]  # the second has too great a weight


def test_a_configuration_is_known_without_its_envelope(records: ModuleType) -> None:
    assert signal(records.proposal_brief(), CONFIG) == signal(records.proposal_brief(), {"config": CONFIG})


def test_an_object_that_is_no_proposal_is_refused() -> None:
    for value in ({}, {"rationale": "an idea"}, {"terms": []}, {"code": "x", "config": CONFIG}, {"proposals": []}):
        with pytest.raises(ValidationError):
            Answer.model_validate(value)


def test_a_fenced_module_is_let_pass(records: ModuleType) -> None:
    found = signal(records.proposal_brief(), [{"code": f"```python\n{records.REWARD}\n```"}])
    assert source(found).strip() == records.REWARD.strip()


def test_a_python_block_is_an_answer_at_plain_text(records: ModuleType) -> None:
    answer = modules(f"An idea with a {{brace}}.\n```python\n{records.REWARD}```\nDone.")
    assert answer is not None
    assert answer.rationale == "An idea with a {brace}."
    assert answer.code is not None
    assert "near_own_beacon" in answer.code
    assert modules("no code here") is None
    assert modules("```json\n{}\n```\nthen ```python is unclosed") is None


def test_blocks_that_only_illustrate_do_not_count(records: ModuleType) -> None:
    thought = "Distances first:\n```python\nd = state.agent_pos.norm(dim=-1)\n```\nSo:\n"
    answer = modules(f"{thought}```python\n{records.REWARD}```\n")
    assert answer is not None
    assert answer.code is not None
    assert answer.code.strip() == records.REWARD.strip()
    lone = modules("```python\nd = 1\n```")
    assert lone is not None
    with pytest.raises(ValueError, match="defines none of agent_reward"):
        usable(lone, records.proposal_brief(), 1)


def test_the_vocabulary_lists_every_kind_with_its_bounds() -> None:
    assert len(vocabulary("reward")) == 10
    assert len(vocabulary("observation")) == 10
    reach = next(entry for entry in vocabulary("reward") if '"reach"' in entry)
    assert (
        'assignment = "nearest" (nearest | optimal | own | together), threshold = 0.1 (above 0, at most 1e+06)' in reach
    )
    entries = {entry.split('"')[3]: entry for entry in vocabulary("reward")}
    assert "potential is always false" in entries["progress"]
    assert 'credit is always "team"' in entries["team_success"]
    assert "always" not in entries["reach"]
