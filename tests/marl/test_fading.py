"""An added shaped reward that is faded out: the end of the training is on the true task, what is remembered too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from toys import KINDS, SIGNALS, Kind, config, trainer

from marlsmith.marl.algorithms import Rollout
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.trainer import FADE_STEPS, Trainer

FADE = 0.5
ROLLOUT, WHOLE = 28, 560
REMEMBERING = [kind for kind in KINDS if kind.algorithm in ("vdn", "qmix") and kind.sharing == "shared"]


def fading(kind: Kind, signal: str | None = "columns", mode: Any = "add", fade: float | None = FADE) -> Trainer:
    made = trainer(kind, SIGNALS[signal] if signal else None, steps=WHOLE, fade=fade)
    made.reward_mode = mode
    return made


def rewards(made: Trainer) -> list[tuple[float, Tensor, Tensor]]:
    """Of a whole training: the share done before each rollout, what was learned from, and the native reward."""
    found: list[tuple[float, Tensor, Tensor]] = []
    update = made.algorithm.update

    def spy(rollout: Rollout, progress: float) -> None:
        found.append((progress, rollout.reward.clone(), rollout.origin["native"].clone()))
        update(rollout, progress)

    made.algorithm.update = spy  # type: ignore[method-assign]
    while not made.finished:
        made.advance()
    return found


@pytest.mark.parametrize(
    ("fade", "left"),
    [
        (None, {0.0: 1.0, 0.5: 1.0, 1.0: 1.0}),
        (0.8, {0.0: 1.0, 0.8: 1.0, 0.875: 0.5, 0.95: 0.0, 1.0: 0.0}),
        (0.0, {0.0: 1.0, 0.375: 0.5, 0.75: 0.0, 1.0: 0.0}),
        (0.99, {0.99: 1.0, 0.9975: 0.0, 1.0: 0.0}),
    ],
)
def test_it_falls_linearly_and_has_ended_before_the_training_does(fade: float | None, left: dict[float, float]) -> None:
    found = TrainConfig(fade=fade)
    for progress, expected in left.items():
        assert found.shaping_left(progress) == pytest.approx(expected, abs=1e-9)


def test_what_is_learned_from_is_the_task_and_what_is_left_of_the_shaping() -> None:
    """The same shaping as without a fade, weighed: both trainings play alike until it begins."""
    made, plain = rewards(fading(Kind("mappo"))), rewards(fading(Kind("mappo"), fade=None))
    assert [progress for progress, _, _ in made] == [step * ROLLOUT / WHOLE for step in range(WHOLE // ROLLOUT)]
    for (progress, reward, native), (_, whole, _) in zip(made, plain, strict=True):
        left = config(Kind("mappo"), fade=FADE).shaping_left(progress)
        if progress <= FADE:
            assert torch.equal(reward, whole)
        elif left == 0:
            assert torch.equal(reward, native)
        else:  # the shaping is about seven a step
            assert 5 * left < float((reward - native).mean()) < 9 * left
    assert sum(config(Kind("mappo"), fade=FADE).shaping_left(progress) == 0 for progress, _, _ in made) >= 2


@pytest.mark.parametrize(("signal", "mode"), [("columns", "replace"), (None, "add")])
def test_nothing_fades_where_nothing_is_added(signal: str | None, mode: str) -> None:
    made, plain = (fading(Kind("mappo"), signal, mode, fade) for fade in (FADE, None))
    for (_, one, _), (_, other, _) in zip(rewards(made), rewards(plain), strict=True):
        assert torch.equal(one, other)


def test_what_a_signal_pays_is_reported_as_if_it_did_not_fade() -> None:
    """Or a fade would look like a policy that earns less and less of it."""
    made = fading(Kind("mappo"))
    shown = []
    while not made.finished:
        made.advance()
        shown.append(made.shaped_return)
    assert min(shown) > 0.5 * max(shown) > 0


@pytest.mark.parametrize("kind", REMEMBERING, ids=str)
def test_what_is_remembered_fades_too(kind: Kind) -> None:
    """Play of a time when much was paid is replayed as it is paid now, to a step of the fade; at its end, exactly."""
    made = fading(kind)
    seen = set()
    while not made.finished:
        made.advance()
        replay = made.algorithm.replay  # type: ignore[attr-defined]
        begins = (
            replay.draw(100, [torch.Generator().manual_seed(seed) for seed in (5, 6)]) if replay.sequences else None
        )
        if begins is None:
            continue
        # Until it is faded, a step is paid about seven for each agent; the native reward is negative.
        native = dict(replay.tensors())["origin.native"].flatten(0, 2).mean(-1)
        rows = (begins.unsqueeze(-1) + torch.arange(replay.length) * (2 * config(kind).environments)).flatten(1)
        paid = float((replay.gather(begins).reward.flatten(1) - native[rows]).mean())
        left = made.config.shaping_left(made.progress)
        seen.add(left)
        assert 5 * (left - 1 / FADE_STEPS) <= paid <= 9 * (left + 1 / FADE_STEPS)
        if left == 0:
            assert torch.equal(replay.gather(begins).reward.flatten(1), native[rows])
    assert {0.0, 1.0} < seen
    assert len(seen) > 5


def test_a_fade_is_a_setting_like_others() -> None:
    assert TrainConfig.model_validate({"fade": 0.8}).fade == 0.8
    assert TrainConfig.model_validate({"fade": "none"}).fade is None
    for wrong in (-0.1, 1.0, "soon"):
        with pytest.raises(ValueError, match="fade"):
            TrainConfig.model_validate({"fade": wrong})
