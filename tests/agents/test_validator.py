"""The validator played by a model: before a training, and before a promotion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.address import parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.validator import ModelValidator
from marlsmith.schemas import AnswerError, PromotionBrief, Review, Verdict


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[[Any], tuple[Client, Any]]:
    def make(content: Any) -> tuple[Client, Any]:
        endpoint = chat_endpoint(content if callable(content) or isinstance(content, str) else json.dumps(content))
        accounts = Accounts(tmp_path / "llm.jsonl")
        return Client(Endpoint(parse_model(endpoint.spec("good")), accounts, backoff=0.0), accounts), endpoint

    return make


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


def promotion_brief(records: ModuleType) -> PromotionBrief:
    elite = records.ELITE
    return PromotionBrief(
        task=records.CARD,
        candidate=elite.candidate,
        code=elite.code,
        scope="own",
        reward_mode="replace",
        verdict=Verdict(decision="accept", reason="the bound exceeds the margin", gain=0.3125, interval=(0.25, 0.375)),
        evaluation=elite.evaluation,
        control=records.evaluation("native", 0.34375),
    )


def test_a_word_on_a_promotion(client: Any, records: ModuleType) -> None:
    chat, endpoint = client({"approve": False, "reasons": ["it is bought\x1b[31m"]})
    review = ModelValidator(chat).confirm(promotion_brief(records))
    assert review == Review(approve=False, reasons=("it is bought [31m",))
    said = endpoint.requests[0]["messages"][1]["content"]
    for words in (
        "the bound exceeds the margin. Mean paired gain 0.3125, 95% interval 0.25 to 0.375.",
        "0.3438",  # the control's score
        "over training (steps: score, native return, shaped return)",
        "near_own_beacon: mean -0.7188, spread 0.2812, share 0.8438",
        "idleness = 0.2188",
        "def agent_reward(state):",
    ):
        assert words in said, words


def test_each_word_has_a_place_of_its_own(client: Any, records: ModuleType, tmp_path: Path) -> None:
    chat, _ = client({"approve": True})
    ModelValidator(chat).review(records.review_brief())
    ModelValidator(chat).confirm(promotion_brief(records))
    lines = [json.loads(line) for line in (tmp_path / "llm.jsonl").read_text().splitlines()]
    assert [line["place"] for line in lines if "messages" in line] == ["s1r2c1/check", "s1r1c1/promotion"]


def test_a_validator_that_never_answers_usably_says_so(client: Any, records: ModuleType) -> None:
    chat, endpoint = client("I would rather write a poem.")
    with pytest.raises(AnswerError):
        ModelValidator(chat).confirm(promotion_brief(records))
    assert len(endpoint.requests) == 2
