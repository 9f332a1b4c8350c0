"""The executor's door: candidates fail as values, users' mistakes as sentences, and nothing else gets out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.executor import Progress
from marlsmith.marl.local import LocalExecutor
from marlsmith.schemas import NATIVE, Code, ObservationConfig, Signal, Speed, UserError

TASK = "mpe/simple_spread"
SHORT = TrainConfig(steps=800)


def request(**changes: object) -> BranchRequest:
    plain = {"branch": "b", "candidate": "c", "task": TASK, "seeds": (0, 1), "train": SHORT}
    return BranchRequest.model_validate({**plain, "evaluation": EvaluationConfig(episodes=5), **changes})


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(2)
    yield made
    made.close()


def test_a_branch_yields_an_evaluation_and_a_checkpoint(executor: LocalExecutor, tmp_path: Path) -> None:
    seen: list[Progress] = []
    evaluation = executor.train(request(), NATIVE, tmp_path, seen.append)
    assert evaluation.error is None
    assert len(evaluation.scores) == 2
    assert evaluation.steps == 800
    assert len(evaluation.curve) >= 2
    assert (tmp_path / "checkpoint.safetensors").stat().st_size > 1000
    assert seen
    assert executor.train(request(), NATIVE, tmp_path).scores == evaluation.scores


def test_mistakes_of_the_user_are_not_the_candidates(executor: LocalExecutor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no algorithm"):
        executor.train(request(train=TrainConfig(algorithm="qmux")), NATIVE, tmp_path)
    with pytest.raises(UserError, match="no task"):
        executor.train(request(task="mpe/none"), NATIVE, tmp_path)
    for seeds in ((-1, 2), (1, 1)):
        with pytest.raises(ValidationError, match="different numbers"):
            request(seeds=seeds)


def test_no_text_of_a_candidate_gets_past_the_check_as_an_exception(executor: LocalExecutor) -> None:
    long_comment = "def agent_reward(state):\n    return state.reward\n#" + "\x01" * 95_000
    deep = "def agent_reward(state):\n    return state.reward\nx = 0" + " + 1" * 900 + "\n"
    raises = "def agent_reward(state):\n    return state.obs[:, :, 99]\n"
    for source, observation in ((long_comment, None), (deep, ObservationConfig(features=(Speed(),))), (raises, None)):
        failures = executor.check(Signal(reward=Code(source=source), observation=observation), TASK, "own")
        assert all(failure.stage in {"static", "dynamic"} for failure in failures)
    assert executor.check(Signal(reward=Code(source=raises)), TASK, "own")[0].message.startswith("line 2: IndexError")


def test_running_out_of_memory_in_a_check_is_said_to_be_that(executor: LocalExecutor) -> None:
    source = "import torch\ndef agent_reward(state):\n    return state.reward + torch.ones(100000, 100000).sum()\n"
    assert [failure.stage for failure in executor.check(Signal(reward=Code(source=source)), TASK, "own")] == ["memory"]
