"""A run that models share: one that answers, one whose endpoint is gone, one that talks; and its replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from graph_fakes import CARD, Equipment, FakeExecutor, make_settings

from marlsmith.agents.make import make_roles
from marlsmith.agents.roles import Roles
from marlsmith.agents.settings import ModelSettings, RoleSettings
from marlsmith.graph.context import Parts
from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.executor import Executor
from marlsmith.schemas import canonical


class Models(Equipment):
    """The generators and the validator of the settings, over the executor without training."""

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        cast = make_roles(directory.settings.roles, directory.path / "llm.jsonl")
        roles = Roles(cast.roles.generators, self.critic, cast.roles.validator)
        return Parts(CARD, roles, executor, lambda signal, card: f"# {canonical(signal)}\n", cast.accounts.spent)


def answers(numbers: Iterator[int]) -> Callable[[dict[str, Any]], str]:
    """A review for whoever is asked for one, else a proposal of its own."""

    def answer(request: dict[str, Any]) -> str:
        asked = json.dumps(request["messages"])
        if "approve" in asked:
            return json.dumps({"approve": True, "reasons": ["it serves the task"]})
        term = {"kind": "approach", "weight": 1 + 0.01 * next(numbers)}
        return json.dumps({"proposals": [{"rationale": "nearer", "config": {"reward": {"terms": [term]}}}]})

    return answer


@pytest.fixture
def settings(chat_endpoint: Callable[..., Any]) -> RoleSettings:
    def model(behaviour: str) -> ModelSettings:
        url = chat_endpoint(answers(count())).url
        return ModelSettings(model=behaviour, base_url=url, tools=False, timeout=10)

    models = {"sound": model("good"), "talker": model("babble")}
    models["gone"] = ModelSettings(model="gone", base_url="http://127.0.0.1:9/v1", timeout=2)
    return RoleSettings(generators=("gone", "talker", "sound"), validator="sound", models=models)


def decisions(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    timeless = [{k: v for k, v in event.items() if k not in ("seconds", "run", "settings")} for event in events]
    kinds = ("allotted", "proposal", "check", "judged", "promotion_review", "warning", "finished")
    return [event for event in timeless if event["event"] in kinds]


@pytest.mark.slow
def test_the_healthy_share_carries_the_run_and_a_replay_decides_alike(tmp_path: Path, settings: RoleSettings) -> None:
    changes = {"rounds": 2, "seed": 3}
    equipment = Models(FakeExecutor(noise=0.001))
    events = list(start(make_settings(roles=settings, **changes), equipment, tmp_path / "run"))
    authors = {event["author"] for event in events if event["event"] == "proposal"}
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert events[-1]["promoted"] is True
    assert authors == {"sound"}
    assert any("gone cannot be asked" in message for message in warnings)
    assert any("talker gave no usable proposal" in message for message in warnings)
    assert [event["approve"] for event in events if event["event"] == "promotion_review"] == [True]

    replay = settings.model_copy(update={"replay": str(tmp_path / "run")})
    again = list(start(make_settings(roles=replay, **changes), Models(FakeExecutor(noise=0.001)), tmp_path / "again"))
    assert decisions(again) == decisions(events)
