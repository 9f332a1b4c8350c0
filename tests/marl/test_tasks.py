"""Every task keeps its card, and a card that contradicts itself or its program is said to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError

from marlsmith.marl.tasks import TASKS, make_task
from marlsmith.marl.tasks.base import State
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


class Fewer(SimpleSpread):
    def observe(self, state: State) -> torch.Tensor:
        return super().observe(state)[..., :-1]


class Renamed(SimpleSpread):
    def reset(self, generators: object, environments: int) -> State:
        state = super().reset(generators, environments)  # type: ignore[arg-type]
        state["speed"] = state.pop("agent_vel")
        return state


@pytest.mark.parametrize(("task", "words"), [(Renamed, "KeyError|state fields"), (Fewer, "shape")])
def test_a_program_that_breaks_its_card_is_named(task: Callable[[], SimpleSpread], words: str) -> None:
    with pytest.raises((UserError, KeyError), match=words if task is Fewer else None):
        verify(task())
