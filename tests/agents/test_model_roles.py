"""The three roles played by a model: from its answer to records that the graph can trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.asking.accounts import Accounts
from marlsmith.agents.asking.address import parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.endpoint import Endpoint
from marlsmith.agents.asking.question import AnswerError
from marlsmith.agents.critic import ModelCritic, grounded
from marlsmith.agents.generator import Answer, ModelGenerator, modules, parts_of, proposals, vocabulary
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import ModelSettings, RoleSettings
from marlsmith.agents.validator import ModelValidator
from marlsmith.schemas import Citation, Code, Diagnosis, Finding, ObservationConfig, Proposal, RewardConfig

CONFIG = {"reward": {"alpha": 0.25, "terms": [{"kind": "reach", "weight": 2}]}}
FEATURES = {"observation": {"features": [{"kind": "speed"}]}}


def answer(*drafts: dict[str, Any]) -> Answer:
    return Answer.model_validate({"proposals": list(drafts)})


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Client, Any]]:
    def make(content: Any, model: str = "good") -> tuple[Client, Any]:
        if not (callable(content) or isinstance(content, str)):
            content = json.dumps(content)
        endpoint = chat_endpoint(content)
        accounts = Accounts(tmp_path / "llm.jsonl")
        return Client(Endpoint(parse_model(endpoint.spec(model)), accounts, backoff=0.0), accounts), endpoint

    return make


# ---------------------------------------------------------------- generator


def test_code_and_config_become_proposals(client: Any, records: ModuleType) -> None:
    drafts = [
        {"kind": "mutate", "parents": ["s1r1c1", "nobody"], "rationale": "a\nb", "code": records.BOTH},
        {"kind": "crossover", "parents": ["s1r1c1", "s1r1c2"], "rationale": "c", "config": CONFIG},
        {"kind": "new", "parents": [], "rationale": "d", "config": FEATURES},
    ]
    chat, endpoint = client({"proposals": drafts})
    code, config, features = ModelGenerator(chat).propose(records.full_brief())
    assert len(endpoint.requests) == 1
    assert code.signal.reward == code.signal.observation == Code(source=records.BOTH)
    assert (code.kind, code.parents, code.rationale) == ("mutate", ("s1r1c1",), "a b")
    assert isinstance(config.signal.reward, RewardConfig)
    assert config.signal.reward.alpha == 0.25
    assert (config.kind, config.parents) == ("crossover", ("s1r1c1", "s1r1c2"))
    assert isinstance(features.signal.observation, ObservationConfig)
    assert features.signal.reward is None


@pytest.mark.parametrize(
    ("evolve", "reward", "observation"),
    [("reward", True, False), ("observation", False, True), ("both", True, True)],
)
def test_only_the_parts_that_evolve_are_taken(
    records: ModuleType, evolve: str, reward: bool, observation: bool
) -> None:
    brief = records.proposal_brief(evolve=evolve)
    made, faults = proposals(answer({"code": records.BOTH}, {"config": CONFIG | FEATURES}), brief)
    assert not faults
    for proposal in made:
        assert (proposal.signal.reward is not None) == reward
        assert (proposal.signal.observation is not None) == observation


def test_parts_of_a_module(records: ModuleType) -> None:
    assert parts_of(records.REWARD) == {"reward"}
    assert parts_of("def stateEnhance(obs): ...") == {"observation"}
    assert parts_of("def other(): ...") == frozenset()
    assert parts_of("def agent_reward(state:") == {"reward", "observation"}  # the checker names the fault
    assert parts_of("\0") == {"reward", "observation"}
    assert parts_of("class A:\n def agent_reward(self): ...") == frozenset()


@pytest.mark.parametrize(
    ("draft", "changes", "says"),
    [
        ({}, {}, "either code or config"),
        ({"code": "x = 1"}, {}, "defines none of agent_reward"),
        ({"code": "def agent_reward(state): ..."}, {"signals": "config"}, "code is refused"),
        ({"code": "def agent_reward(state): ..."}, {"evolve": "observation"}, "nothing of what is wanted"),
        ({"config": {"reward": {"terms": [{"kind": "magic"}]}}}, {}, "magic"),
        ({"config": {"reward": {"terms": [{"kind": "reach", "threshold": -1}]}}}, {}, "greater than 0"),
        (
            {"config": {"observation": {"scope": "team", "features": [{"kind": "speed"}]}}},
            {},
            "scope 'team' is closed",
        ),
    ],
)
def test_a_draft_that_cannot_be_used_says_why(
    records: ModuleType, draft: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    made, faults = proposals(answer(draft), records.proposal_brief(**changes))
    assert not made
    assert len(faults) == 1
    assert faults[0].startswith("proposal 1: ")
    assert says in faults[0]


def test_a_faulty_proposal_goes_through_the_repair_turn_and_costs_no_other(client: Any, records: ModuleType) -> None:
    bad = {"config": {"reward": {"terms": [{"kind": "reach", "weight": 1000}]}}}

    def content(request: dict[str, Any]) -> str:
        second = CONFIG if len(request["messages"]) > 2 else bad["config"]
        return json.dumps({"proposals": [{"config": FEATURES}, {"config": second}]})

    chat, endpoint = client(content)
    assert len(ModelGenerator(chat).propose(records.proposal_brief())) == 2
    assert "proposal 2: config.reward" in endpoint.requests[1]["messages"][-1]["content"]

    chat, _ = client({"proposals": [{"config": FEATURES}, bad]})  # never mended: the good one stands
    assert len(ModelGenerator(chat).propose(records.proposal_brief())) == 1
    chat, _ = client({"proposals": [bad]})
    with pytest.raises(AnswerError, match=r"no usable proposal: proposal 1: config\.reward"):
        ModelGenerator(chat).propose(records.proposal_brief())


def test_a_repair_pass_gives_one_repair_for_each_rejected_candidate(records: ModuleType) -> None:
    brief = records.full_brief(rejected=(records.REFUSED, records.REFUSED_TOO), count=2)
    drafts = [{"config": FEATURES}, {"config": CONFIG, "parents": ["s1r2c1"]}, {"config": FEATURES}]
    made, _ = proposals(answer(*drafts), brief)
    assert [(p.kind, p.parents) for p in made] == [("repair", ("s1r2c1",)), ("repair", ("s1r2c2",))]
    assert made[0].signal.reward is not None


def test_lineage_is_what_the_parents_bear_out(records: ModuleType) -> None:
    drafts = [
        {"kind": "mutate", "parents": ["nobody"], "config": CONFIG},
        {"kind": "crossover", "parents": ["s1r1c1", "s1r1c1"], "config": CONFIG},
        {"kind": "new", "parents": ["s1r1c1"], "config": CONFIG},
    ]
    made, _ = proposals(answer(*drafts), records.full_brief())
    assert [(p.kind, p.parents) for p in made] == [("new", ()), ("mutate", ("s1r1c1",)), ("new", ())]


def test_more_than_were_asked_for_reach_the_caller_who_tells_of_it(client: Any, records: ModuleType) -> None:
    chat, endpoint = client({"proposals": [{"config": CONFIG}] * 9})
    assert len(ModelGenerator(chat).propose(records.proposal_brief(count=2))) == 9
    assert len(endpoint.requests) == 1


def reach(weight: float, **fields: Any) -> dict[str, Any]:
    return {"config": {"reward": {"terms": [{"kind": "reach", "weight": weight}]}}, **fields}


BAD = reach(1000)


def weights(made: list[Proposal]) -> list[float]:
    rewards = [proposal.signal.reward for proposal in made]
    return sorted(reward.terms[0].weight for reward in rewards if isinstance(reward, RewardConfig))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([reach(1), reach(2), BAD], [reach(3)], [1, 2, 3]),  # only the mended one
        ([reach(1), reach(2), BAD], [BAD, BAD, BAD], [1, 2]),
        ([reach(1), reach(2), BAD], [reach(1), reach(2), reach(3)], [1, 2, 3]),  # no doubles
        ([reach(1), reach(2), BAD], [reach(4), reach(5), reach(6)], [4, 5, 6]),  # not more than wanted
        ([BAD], [reach(3)], [3]),
    ],
)
def test_a_repair_turn_throws_no_good_proposal_away(
    client: Any, records: ModuleType, first: list[Any], second: list[Any], expected: list[float]
) -> None:
    chat, endpoint = client(lambda r: json.dumps({"proposals": first if len(r["messages"]) == 2 else second}))
    assert weights(ModelGenerator(chat).propose(records.proposal_brief(count=3))) == expected
    assert len(endpoint.requests) == 2


def test_a_repair_turn_keeps_the_repairs_of_the_first_answer(client: Any, records: ModuleType) -> None:
    brief = records.full_brief(rejected=(records.REFUSED, records.REFUSED_TOO), count=2)
    first = [reach(1, parents=["s1r2c1"]), reach(1000, parents=["s1r2c2"])]

    def repairs(second: list[Any]) -> list[tuple[tuple[str, ...], float]]:
        chat, _ = client(lambda r: json.dumps({"proposals": first if len(r["messages"]) == 2 else second}))
        return [(made.parents, *weights([made])) for made in ModelGenerator(chat).propose(brief)]

    assert repairs([reach(2, parents=["s1r2c2"])]) == [(("s1r2c1",), 1), (("s1r2c2",), 2)]
    assert repairs([reach(3, parents=["s1r2c1"])]) == [(("s1r2c1",), 3)]  # no second repair of the same one


@pytest.mark.parametrize("drafts", [[reach(1)], [reach(1), reach(2), reach(3), BAD]])
def test_neither_too_few_nor_a_bad_one_too_many_cost_a_turn(client: Any, records: ModuleType, drafts: Any) -> None:
    chat, endpoint = client({"proposals": drafts})
    ModelGenerator(chat).propose(records.proposal_brief(count=3))
    assert len(endpoint.requests) == 1


def test_a_lone_surrogate_is_no_obstacle(client: Any, records: ModuleType) -> None:
    """Neither as an escape in the answer's JSON, nor in the repair turn that quotes it."""
    drafts = [reach(1, rationale="so \ud800 so", code=None), reach(1000, **{"x\ud800": 1})]
    chat, endpoint = client({"proposals": drafts})
    (made,) = ModelGenerator(chat).propose(records.proposal_brief())
    assert made.rationale == "so ? so"
    assert len(endpoint.requests) == 2
    chat, _ = client({"proposals": [{"code": f"{records.REWARD}# \ud800"}]})
    (made,) = ModelGenerator(chat).propose(records.proposal_brief())
    assert isinstance(made.signal.reward, Code)
    assert made.signal.reward.source.encode().endswith(b"# ?")


def test_python_blocks_are_an_answer_at_plain_text(client: Any, records: ModuleType) -> None:
    first_block, second_block = (f"```python\n{code}```\n" for code in (records.REWARD, records.OBSERVATION))
    text = f"First idea.\n{first_block}Second, with a {{brace}}.\n{second_block}"
    chat, _ = client(text, "text-only")
    first, second = ModelGenerator(chat).propose(records.proposal_brief())
    assert first.rationale == "First idea."
    assert isinstance(first.signal.reward, Code)
    assert "near_own_beacon" in first.signal.reward.source
    assert second.signal.reward is None
    assert isinstance(second.signal.observation, Code)
    assert modules("no code here") is None
    assert modules("```json\n{}\n```\nthen ```python is unclosed") is None


def test_a_bare_list_and_a_fenced_module_are_let_pass(records: ModuleType) -> None:
    drafts = Answer.model_validate([{"code": f"```python\n{records.REWARD}\n```"}])
    made, _ = proposals(drafts, records.proposal_brief())
    assert isinstance(made[0].signal.reward, Code)
    assert made[0].signal.reward.source.strip() == records.REWARD.strip()


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


# ---------------------------------------------------------------- critic


def diagnosis(*citations: tuple[str, float], failure: str = "overlap") -> Diagnosis:
    evidence = tuple(Citation(key=key, value=value) for key, value in citations)
    return Diagnosis(summary="s", findings=(Finding(failure=failure, evidence=evidence, advice="a"),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "holds"),
    [
        ("overlap", 0.375, True),
        ("overlap", 0.3785, True),  # within 1%
        ("overlap", 0.3795, False),
        ("overlap", 0.385, False),
        ("collisions", 40.4, True),  # within 1%
        ("collisions", 40.5, False),
        ("invented", 1.0, False),
        ("rare", 0.002, True),
        ("rare", 0.006, False),
        ("zero", 0.0, True),
        ("zero", 0.004, False),
        ("long", 0.1235, True),  # as it was shown
    ],
)
def test_grounded(records: ModuleType, key: str, value: float, holds: bool) -> None:
    evidence = {**records.diagnosis_brief().evidence, "rare": 0.002, "zero": 0.0, "long": 0.123456789}
    kept, faults = grounded(diagnosis((key, value)), evidence)
    assert len(kept.findings) == int(holds)
    assert len(faults) == int(not holds)


def test_what_holds_is_kept_and_none_needs_no_evidence(records: ModuleType) -> None:
    evidence = records.diagnosis_brief().evidence
    kept, faults = grounded(diagnosis(("overlap", 0.375), ("invented", 1)), evidence)
    assert [citation.key for citation in kept.findings[0].evidence] == ["overlap"]
    assert len(faults) == 1
    assert grounded(diagnosis(failure="none"), evidence) == (diagnosis(failure="none"), [])
    kept, faults = grounded(diagnosis(), evidence)
    assert not kept.findings
    assert faults == ["the finding 'overlap' cites no evidence"]


def test_ungrounded_claims_are_sent_back_once_then_dropped(client: Any, records: ModuleType) -> None:
    good, bad = diagnosis(("overlap", 0.375)), diagnosis(("overlap", 0.9))
    chat, endpoint = client(lambda r: (bad if len(r["messages"]) == 2 else good).model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()) == good
    assert "'overlap' stands at 0.375, not at 0.9" in endpoint.requests[1]["messages"][-1]["content"]

    chat, endpoint = client(bad.model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()).findings == ()
    assert len(endpoint.requests) == 2


def test_a_summary_stands_only_beside_findings_that_hold(records: ModuleType) -> None:
    evidence = records.diagnosis_brief().evidence
    true, invented = diagnosis(("overlap", 0.375)), diagnosis(("invented", 9), failure="collision")
    assert grounded(true, evidence)[0].summary == "s"
    mixed = Diagnosis(summary="9 collisions!", findings=(*true.findings, *invented.findings))
    assert grounded(mixed, evidence)[0].summary == "The evidence bears out: overlap (overlap = 0.375)."
    for empty in (invented, Diagnosis(summary="9 collisions!")):
        assert grounded(empty, evidence)[0].summary == "The evidence bears out nothing of what was said."


def test_what_a_critic_says_is_short_and_printable(records: ModuleType) -> None:
    finding = diagnosis(("overlap", 0.375)).findings[0].model_copy(update={"advice": "a\x1b\n" * 500})
    said, _ = grounded(Diagnosis(summary="s\x1b\n" * 500, findings=(finding,)), records.diagnosis_brief().evidence)
    for text in (said.summary, said.findings[0].advice):
        assert text.isprintable()
        assert len(text) <= 400


def test_of_two_diagnoses_the_one_with_more_grounded_findings_stands(client: Any, records: ModuleType) -> None:
    first = Diagnosis(
        summary="first",
        findings=(
            *diagnosis(("overlap", 0.375)).findings,
            *diagnosis(("collisions", 40)).findings,
            *diagnosis(("invented", 1)).findings,
        ),
    )
    second = diagnosis(("invented", 2))
    chat, _ = client(lambda r: (first if len(r["messages"]) == 2 else second).model_dump_json())
    found = ModelCritic(chat).diagnose(records.diagnosis_brief()).findings
    assert [finding.evidence[0].key for finding in found] == ["overlap", "collisions"]


# ---------------------------------------------------------------- validator


def test_a_review(client: Any, records: ModuleType) -> None:
    chat, endpoint = client({"approve": False, "reasons": ["idling\x1b[31m pays"]})
    review = ModelValidator(chat).review(records.review_brief())
    assert not review.approve
    assert review.reasons == ("idling [31m pays",)
    assert "No identical signal was tried" in endpoint.requests[0]["messages"][1]["content"]


def test_a_refusal_without_a_reason_is_sent_back(client: Any, records: ModuleType) -> None:
    chat, endpoint = client({"approve": False})
    review = ModelValidator(chat).review(records.review_brief())
    assert (review.approve, review.reasons) == (False, ("the validator gave no reason",))
    assert len(endpoint.requests) == 2


# ---------------------------------------------------------------- who plays whom


def test_roles_with_the_same_model_share_its_endpoint() -> None:
    models = {"m": ModelSettings(model="m", base_url="http://localhost:1/v1")}
    cast = make_roles(RoleSettings(generators=("m",), validator="m", models=models))
    assert (cast.roles.generators[0].name, cast.roles.validator.name) == ("m", "m")
    assert len(cast.endpoints) == 1
    assert cast.accounts.spent().calls == 0
    assert make_roles(RoleSettings(models=models)).endpoints == ()
