"""What `marlsmith run` makes of its options for a main run: its stages, its seeds, and what has no effect there."""

from __future__ import annotations

import pytest

from marlsmith.agents.config import Choice
from marlsmith.commands.options import BranchOptions
from marlsmith.commands.run import RunOptions, run_settings
from marlsmith.graph.methods import RunSettings
from marlsmith.schemas import UserError


def settings(
    *train_options: str, method: str = "llm-also", steps: int | None = None, **overrides: object
) -> RunSettings:
    branch = BranchOptions(
        task="mpe/simple_spread",
        task_options=(),
        algorithm="mappo",
        train_options=("environments=16", "rollout=25", *train_options),
        device="cpu",
        steps=steps,
        episodes=2,
        evaluation_seed=0,
        branch_seconds=600.0,
        unsafe_jail=False,
    )
    return run_settings(
        RunOptions(branch, method, overrides, Choice(), seed=0, workers=1, out=None),
    )


@pytest.mark.parametrize(("said", "whole"), [(500, 800), (800, 800), (801, 1200), (1, 400)])
def test_a_stage_is_whole_rollouts_and_the_main_run_all_of_its_stages(said: int, whole: int) -> None:
    found = settings(branch_steps=said, stages=3)
    assert found.method.branch_steps == whole
    assert found.train.steps == found.train.whole_steps == 3 * whole


def test_steps_are_shared_out_over_the_stages() -> None:
    found = settings(steps=1500, stages=3)
    assert (found.method.branch_steps, found.train.steps) == (800, 2400)


@pytest.mark.parametrize("option", ["confirm_seeds", "selection"])
def test_what_a_main_run_does_not_read_is_refused(option: str) -> None:
    said = {"confirm_seeds": 7, "selection": "rank"}[option]
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')} is for a search from scratch"):
        settings(**{option: said})
    before = settings(method="lero+also", **{option: said}).method.prelude
    assert before is not None
    assert getattr(before, option) == said


@pytest.mark.parametrize(("said", "fade"), [(["fade=.3"], 0.3), (["fade=none"], None), ([], 0.8)])
def test_the_fade_that_is_said_is_that_of_the_method(said: list[str], fade: float | None) -> None:
    assert settings(*said).method.fade == fade


def test_a_persons_own_signal_is_one_test_more_for_the_seeds_to_pay() -> None:
    """Of 6 seeds the least p-value is 1 / 64: no more than .05 / 3, and more than .05 / 4."""
    assert settings(search_seeds=6, candidates=3).method.search_seeds == 6
    with pytest.raises(UserError, match=r"--seeds 6 can prove no gain at level 0\.05 / 4: use at least 7"):
        settings(search_seeds=6, candidates=3, approve=True)
    assert settings(search_seeds=7, candidates=3, approve=True).method.approve
