"""The score comes from a simulator that no candidate has touched, and equals what the trained policy can do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from marlsmith.marl import policy_link
from marlsmith.marl.checkpoint import unpack
from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.policy_link import PolicyFault, RemotePolicy, Shapes, answer, observations
from marlsmith.marl.scoring import told
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import NATIVE, Code, Signal

HANDLERS = Path(__file__).with_name("forging_jobs.py")
SPREAD = "mpe/simple_spread"
OWN_FEATURES = """
def agent_reward(state):
    return -(state.agent_pos - state.landmark_pos).norm(dim=-1)

def enhance_observation(obs):
    return obs[..., 4:6] * 2
"""


def request(task: str = SPREAD, **train: object) -> BranchRequest:
    return BranchRequest(
        branch="b",
        candidate="c",
        task=task,
        seeds=(0, 3),
        train=TrainConfig.model_validate({"steps": 1600, **train}),
        evaluation=EvaluationConfig(episodes=6),
    )


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def unchecked() -> Iterator[LocalExecutor]:
    """Its workers run any code that a signal holds."""
    made = LocalExecutor(1)
    made.pool.close()
    made.pool = made.runner.pool = Pool(1, {name: f"{HANDLERS}:{name}" for name in ("train", "play")})
    yield made
    made.close()


def by_hand(asked: BranchRequest, signal: Signal, checkpoint: Path) -> dict[str, list[float]]:
    """The metrics of the saved policy, all in this process."""
    task = make_task(asked.task)
    program = None if signal.is_native else build_program(signal, task.card)
    trainer = Trainer(task, program, asked.train, asked.seeds)
    saved, _ = unpack(checkpoint.read_bytes())
    for name, tensor in trainer.algorithm.tensors():
        if name.startswith(("actor.", "agent.")):
            tensor.data.copy_(saved[name])
    episodes = trainer.evaluate(asked.evaluation.episodes, asked.evaluation.seed)
    return {name: value.float().mean(-1).tolist() for name, value in task.metrics(episodes).items()}


@pytest.mark.parametrize(
    ("task", "train"),
    [
        (SPREAD, {}),
        (SPREAD, {"algorithm": "qmix", "steps": 400}),
        (SPREAD, {"network": "gru", "steps": 800}),
        ("mpe/simple_speaker_listener", {}),
        ("lbf/8x8-2p-2f-coop", {}),
    ],
)
def test_the_score_is_that_of_one_process(
    task: str, train: dict[str, object], executor: LocalExecutor, tmp_path: Path
) -> None:
    asked = request(task, **train)
    signal = read_signal("a.py", OWN_FEATURES) if task == SPREAD else NATIVE
    evaluation = executor.train(asked, signal, tmp_path)
    assert evaluation.error is None
    expected = by_hand(asked, signal, tmp_path / "checkpoint.safetensors")
    assert list(evaluation.scores) == expected[make_task(task).card.score]
    assert set(evaluation.metrics) == set(expected)
    assert evaluation.behaviour


def test_workers_with_candidate_code_are_not_told_of_the_episodes_that_decide() -> None:
    asked = request().model_copy(update={"evaluation": EvaluationConfig(seed=123_456_789)})
    assert "123456789" in str(asked.model_dump())
    assert "123456789" not in str(told(asked, NATIVE))
    assert "evaluation" not in told(asked, NATIVE)["request"]  # type: ignore[operator]


# ---------------------------------------------------------------- forging

REWARD = "    return -(state.agent_pos - state.landmark_pos).norm(dim=-1)\n"
FORGERIES = {
    "metrics patched": """
import marlsmith.marl.jobs as jobs, marlsmith.marl.tasks.simple_spread as spread, torch
def agent_reward(state):
    spread.SimpleSpread.metrics = lambda self, episodes: {
        name: torch.ones(episodes.reward.shape[1:3]) for name in ("coverage", "final_coverage", "success")}
    jobs.play_episodes = None
"""
    + REWARD,
    "a result sent ahead": """
import json, os, struct
def agent_reward(state):
    body = json.dumps({"metrics": {"coverage": [1.0, 1.0]}, "behaviour": {}}).encode()
    os.write(3, struct.pack("!BI", 5, len(body)) + body)
    os._exit(0)
""",
    "the curve and the terms": """
import sys
def agent_reward(state):
    frame = sys._getframe()
    while frame and "trainer" not in frame.f_locals:
        frame = frame.f_back
    trainer = frame.f_locals["trainer"]
    trainer.evaluate = lambda *a: (_ for _ in ()).throw(KeyError)
    type(trainer).term_statistics = lambda self: {}
    trainer.config.__dict__["steps"] = 10**6
    trainer.steps = 10**6
"""
    + REWARD,
    "other networks": """
import marlsmith.marl.jobs as jobs, torch
real = jobs.pack
def agent_reward(state):
    jobs.pack = lambda tensors, about: real(((n, torch.full_like(t, 3)) for n, t in tensors), about)
"""
    + REWARD,
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_training_worker_cannot_forge_the_score(how: str, unchecked: LocalExecutor, tmp_path: Path) -> None:
    asked = request()
    evaluation = unchecked.train(asked, Signal(reward=Code(source=FORGERIES[how])), tmp_path)
    if evaluation.error is None:
        assert list(evaluation.scores) == by_hand(asked, NATIVE, tmp_path / "checkpoint.safetensors")["coverage"]
    else:
        assert evaluation.error.stage in {"crash", "dynamic", "jail"}
        assert evaluation.score is None
    assert (evaluation.error is None) == (how in {"metrics patched", "other networks"})


POLICIES = {
    "goes at once": "    import os\n    os._exit(0)\n",
    "sends rubbish": "    import os\n    os.write(5, b'\\xff' * 4096)\n    return obs[..., :1]\n",
    "claims a score": """    import json, os, struct
    body = json.dumps({"metrics": {"coverage": [1.0, 1.0]}, "behaviour": {}}).encode()
    os.write(3, struct.pack("!BI", 5, len(body)) + body)
    os._exit(0)
""",
    "goes in the middle": "    import os, sys\n    sys.setrecursionlimit(getattr(sys, 'getrecursionlimit')() - 1)\n"
    "    if sys.getrecursionlimit() < 995:\n        os._exit(0)\n    return obs[..., :1]\n",
    "raises": "    raise SystemExit('\\x1b[31m')\n",
    "chooses what is not there": """    import marlsmith.marl.jobs as jobs
    real = jobs.answer
    jobs.answer = lambda connection, action, shapes: real(connection, action + 1000, shapes)
    return obs[..., :1]
""",
}


@pytest.mark.parametrize("how", POLICIES)
def test_a_policy_that_cheats_has_no_score(how: str, unchecked: LocalExecutor, tmp_path: Path) -> None:
    """It behaves in training, where the environments are many, and not in play, where they are few."""
    source = "def enhance_observation(obs):\n    if obs.shape[0] != 12:\n        return obs[..., :1]\n" + POLICIES[how]
    evaluation = unchecked.train(request(), Signal(observation=Code(source=source)), tmp_path)
    assert evaluation.error is not None
    assert evaluation.error.message.isprintable()
    assert evaluation.error.stage in {"crash", "jail"}
    assert evaluation.score is None
    assert not (tmp_path / "checkpoint.safetensors").exists()


# ---------------------------------------------------------------- the link itself

SHAPES = Shapes(members=1, environments=2, agents=2, observation=3, actions=4, continuous=False)


def remote(reply: bytes) -> Callable[[torch.Tensor], torch.Tensor]:
    """A policy whose every answer is these bytes, and then the end."""
    ours, theirs = socket.socketpair()
    theirs.sendall(reply)
    theirs.shutdown(socket.SHUT_WR)
    policy = RemotePolicy(ours, SHAPES)
    available = torch.ones(1, 2, 2, 4, dtype=torch.bool)
    available[0, 0, 0, 3] = False

    def act(obs: torch.Tensor) -> torch.Tensor:
        with theirs:
            return policy.act_greedily(obs, available, None)[0]

    return act


def indices(*actions: int) -> bytes:
    return np.array(actions, "<i4").tobytes()


def test_actions_arrive_as_they_are() -> None:
    assert remote(indices(0, 3, 2, 1))(torch.zeros(1, 2, 2, 3)).tolist() == [[[0, 3], [2, 1]]]


@pytest.mark.parametrize("actions", [(4, 0, 0, 0), (-1, 0, 0, 0), (3, 0, 0, 0), (2**31 - 1, 0, 0, 0), (0, 0)])
def test_only_actions_that_may_be_chosen_are_taken(actions: tuple[int, ...]) -> None:
    with pytest.raises(PolicyFault):
        remote(indices(*actions))(torch.zeros(1, 2, 2, 3))


def test_numbers_must_be_finite() -> None:
    ours, theirs = socket.socketpair()
    shapes = Shapes(1, 1, 1, 3, 2, continuous=True)
    theirs.sendall(np.array([0.5, np.nan], "<f4").tobytes())
    with pytest.raises(PolicyFault, match="finite"):
        RemotePolicy(ours, shapes).act_greedily(torch.zeros(1, 1, 1, 3), None, None)


def test_a_policy_gives_signs_of_life_while_the_simulator_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_link, "BEAT_SECONDS", 0.02)
    ours, theirs = socket.socketpair()
    beats: list[float] = []
    threading.Timer(0.3, ours.close).start()
    assert list(observations(theirs, SHAPES, beat=lambda: beats.append(time.monotonic()))) == []
    assert len(beats) >= 5


def test_observations_cross_bit_for_bit_with_their_beginnings() -> None:
    ours, theirs = socket.socketpair()
    policy, seen = RemotePolicy(ours, SHAPES), torch.randn(3, 1, 2, 2, 3)
    taken = []

    def play() -> None:
        for begins, raw, available in observations(theirs, SHAPES):
            taken.append((begins, raw, available))
            answer(theirs, torch.zeros(1, 2, 2, dtype=torch.int64), SHAPES)

    thread = threading.Thread(target=play)
    thread.start()
    for step, row in enumerate(seen):
        if step == 2:
            policy.fresh_memory(2)
        policy.act_greedily(row, None, None)
    ours.close()
    thread.join(10)
    assert [begins for begins, _, _ in taken] == [True, False, True]
    assert torch.stack([raw for _, raw, _ in taken]).equal(seen)
    assert all(bool(available.all()) for _, _, available in taken)
