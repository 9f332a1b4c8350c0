"""Every task keeps its card, and a card that contradicts itself or its program is said to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from pydantic import ValidationError

from marlsmith.marl.tasks import TASKS, make_task
from marlsmith.marl.tasks.base import Episodes, State, TensorTask
from marlsmith.marl.tasks.simple_speaker_listener import SimpleSpeakerListener
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.marl.tasks.verify import verify
from marlsmith.schemas import TaskCard, UserError


@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_its_card(name: str) -> None:
    task = make_task(name)
    assert task.card.name == name
    verify(task)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "gaol"}, "no entity 'gaol'"),
        ({"score": "cov"}, "none of the metrics"),
        ({"observation_size": 6}, "lies outside 6 columns"),
        ({"reach": 0}, "greater than 0"),
        ({"fields": ()}, "not among"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(change: dict[str, object], words: str) -> None:
    plain = SimpleSpread().card.model_dump()
    with pytest.raises(ValidationError, match=words):
        TaskCard.model_validate({**plain, **change})


def test_a_faulty_card_reaches_the_user_as_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> SimpleSpread:
        TaskCard.model_validate({**SimpleSpread().card.model_dump(), "target": "gaol"})
        return SimpleSpread()

    monkeypatch.setitem(TASKS, "own/broken", broken)
    with pytest.raises(UserError, match="The card of own/broken is not sound: card: there is no entity 'gaol'"):
        make_task("own/broken")


class FewerColumns(SimpleSpread):
    def observe(self, state: State) -> torch.Tensor:
        return super().observe(state)[..., :-1]


class OtherField(SimpleSpread):
    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        return {**super().reset(generators, environments), "speed": torch.zeros(len(generators), environments)}


class OtherFieldLater(SimpleSpread):
    def step(self, state: State, action: torch.Tensor) -> tuple[State, torch.Tensor, torch.Tensor]:
        following, reward, terminated = super().step(state, action)
        return {**following, "speed": reward}, reward, terminated


class TeamReward(SimpleSpread):
    def step(self, state: State, action: torch.Tensor) -> tuple[State, torch.Tensor, torch.Tensor]:
        following, reward, terminated = super().step(state, action)
        return following, reward.mean(-1), terminated


class WideReward(SimpleSpread):
    def step(self, state: State, action: torch.Tensor) -> tuple[State, torch.Tensor, torch.Tensor]:
        following, reward, terminated = super().step(state, action)
        return following, reward.double(), terminated


class FarGoal(SimpleSpeakerListener):
    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        state = super().reset(generators, environments)
        return {**state, "goal": torch.where(state["goal"] < 0, -2, state["goal"])}


class NoMask(SimpleSpeakerListener):
    def available(self, state: State) -> None:  # type: ignore[override]
        return None


class MaskOfNumbers(SimpleSpeakerListener):
    def available(self, state: State) -> torch.Tensor:
        return super().available(state).float()


class MaskOfAll(SimpleSpeakerListener):
    def available(self, state: State) -> torch.Tensor:
        return torch.ones_like(super().available(state))


class MaskOfOneAgent(SimpleSpeakerListener):
    def available(self, state: State) -> torch.Tensor:
        return super().available(state)[:, :, 0]


class DeadEnd(SimpleSpeakerListener):
    """After a step nobody can do anything."""

    def available(self, state: State) -> torch.Tensor:
        started = state["message"].eq(0).all(-1, keepdim=True).all(-2, keepdim=True)
        return super().available(state) & started


class OtherMetric(SimpleSpread):
    def metrics(self, episodes: Episodes) -> dict[str, torch.Tensor]:
        return {**super().metrics(episodes), "luck": episodes.reward.sum((0, -1))}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (FewerColumns, r"observation after the first episode has shape \(2, 3, 3, 17\), it must be \(2, 3, 3, 18\)"),
        (OtherField, "state after the first episode has fields .*'speed'"),
        (OtherFieldLater, "state after the first step has fields .*'speed'"),
        (TeamReward, r"step's reward has shape \(2, 3\)"),
        (WideReward, r"step's reward has type torch.float64"),
        (FarGoal, r"goal after .* has all in -1\.\.2 False"),
        (NoMask, "available after the first episode has value None"),
        (MaskOfNumbers, "available after the first episode has type torch.float32"),
        (MaskOfAll, "available after the first episode has actions that are not listed True"),
        (MaskOfOneAgent, r"available after the first episode has shape \(2, 3, 5\)"),
        (DeadEnd, "available after the first step has an action for every agent False"),
        (OtherMetric, "metrics has names .*'luck'"),
    ],
)
def test_a_program_that_breaks_its_card_is_named(task: Callable[[], TensorTask], words: str) -> None:
    with pytest.raises(UserError, match=words):
        verify(task())
