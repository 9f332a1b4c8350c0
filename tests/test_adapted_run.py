"""Adapted main runs on real, jailed training: equal to a plain one to the bit, unharmed by kill -9 and by sabotage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from marlsmith.agents.roles import Roles
from marlsmith.cli import app
from marlsmith.commands.local import Local
from marlsmith.graph.context import Parts
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.checkpoint import unpack
from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.executor import Executor
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.statistics import paired_gain
from marlsmith.schemas import (
    NATIVE,
    Approach,
    Collision,
    ObservationConfig,
    Proposal,
    ProposalBrief,
    RewardConfig,
    Signal,
    Speed,
    Term,
)

TASK, DENSE = "mpe/simple_spread_sparse", "mpe/simple_spread"
STAGES, BRANCH = 3, 800


def settings(name: str, **changes: Any) -> RunSettings:
    small = {"stages": STAGES, "branch_steps": BRANCH, "rounds": 1, "candidates": 1, "search_seeds": 4, "audit": 0}
    of_the_run = {"task": TASK, "seed": 0} | {name: changes.pop(name) for name in ("task", "seed") if name in changes}
    method = method_from(name, small | changes)
    train = TrainConfig(steps=method.stages * method.branch_steps, environments=4, rollout=20, hidden=16, epochs=2)
    evaluation = EvaluationConfig(episodes=4, seed=77)
    made = {"method_name": name, "method": method, "train": train, "evaluation": evaluation, "workers": 2}
    return RunSettings(**made, **of_the_run)


class Harmful:
    """Proposes what sounds sensible and is of no good: a different one each time it is asked."""

    name = "saboteur"

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        weight = round(-2.0 - brief.stage - brief.round / 10, 3)
        terms: tuple[Term, ...] = (Approach(weight=weight), Collision(weight=-weight))
        watching = ObservationConfig(features=(Speed(),))
        made = Signal(reward=RewardConfig(terms=terms), observation=watching)
        return [Proposal(signal=made, kind="new", parents=(), rationale="keep some distance to keep the overview")]


class With(Local):
    """This machine, with a generator of the test's and nobody else."""

    def __init__(self, generator: Any) -> None:
        super().__init__(unsafe_jail=False)
        self.generator = generator

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        parts = super().equip(directory, executor)
        return replace(parts, roles=Roles((self.generator,), parts.roles.critic, None))


def run(path: Path, made: RunSettings, generator: Any = None) -> dict[str, Any]:
    """The last event."""
    outfitter = Local(unsafe_jail=False) if generator is None else With(generator)
    return list(start(made, outfitter, path))[-1]


def networks(file: Path) -> dict[str, torch.Tensor]:
    """All of a checkpoint but the statistics of terms, which count for each branch by itself."""
    return {name: tensor for name, tensor in unpack(file.read_bytes())[0].items() if not name.startswith("term.")}


def same_bits(one: Path, other: Path) -> None:
    first, second = networks(one), networks(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


# ---------------------------------------------------------------- the main run is a plain training


def test_a_main_run_that_refuses_all_is_a_plain_training_to_the_bit(tmp_path: Path) -> None:
    made = settings("llm-also", margin=10)
    refusing = run(tmp_path / "refusing", made, Harmful())
    sparse = run(tmp_path / "sparse", settings("also-sparse"))
    assert refusing["main"]["dropped"] == STAGES, "something was tried in each stage"
    assert refusing["native"] == sparse["native"]
    keys = ("stage", "steps", "candidate", "score", "interval")
    assert [[lap[k] for k in keys] for lap in refusing["main"]["laps"]] == [
        [lap[k] for k in keys] for lap in sparse["main"]["laps"]
    ]
    for heat in (1, 2):
        plain = _plain(tmp_path, made, heat)
        for arm in ("refusing", "sparse"):
            same_bits(tmp_path / arm / f"main/main-s{STAGES}-h{heat}.safetensors", plain)


def _plain(scratch: Path, made: RunSettings, heat: int) -> Path:
    """One training of a heat's members from its first step to its last, by no graph."""
    directory, executor = scratch / f"plain-h{heat}", LocalExecutor(1)
    directory.mkdir()
    try:
        request = BranchRequest(
            branch="plain",
            candidate="native",
            task=TASK,
            seeds=made.method.groups(range(4))[heat - 1],
            reward_mode="add",
            train=made.train.model_copy(update={"fade": made.method.fade}),
            evaluation=made.evaluation,
        )
        assert executor.train(request, NATIVE, directory).error is None
    finally:
        executor.close()
    return directory / "checkpoint.safetensors"


@pytest.mark.slow
def test_a_saboteur_does_the_main_run_no_harm(tmp_path: Path) -> None:
    """Eight runs: where nothing of it was promoted the main run is that of the arm without signals, bit for bit.

    On the task that is not sparse, for there scores differ from the first step on, and chance may promote.
    """
    ends: list[tuple[float, float]] = []
    for seed in range(8):
        small = {"stages": 2, "search_seeds": 6, "heats": 1, "seed": seed, "task": DENSE}
        sabotaged = run(tmp_path / f"{seed}", settings("llm-also", **small), Harmful())
        sparse = run(tmp_path / f"{seed}-sparse", settings("also-sparse", **small))
        ends.append((sabotaged["main"]["final"], sparse["main"]["final"]))
        if not sabotaged["promoted"]:
            name = "main/main-s2-h1.safetensors"
            same_bits(tmp_path / f"{seed}" / name, tmp_path / f"{seed}-sparse" / name)
    gain = paired_gain([end for end, _ in ends], [end for _, end in ends], 0.05)
    assert gain.interval is not None
    assert gain.interval[1] >= 0


# ---------------------------------------------------------------- promoted, killed and repeated


def promoting() -> RunSettings:
    """By this margin nearly everything passes gate and confirmation."""
    return settings("llm-also", stages=2, margin=-1, level=0.2)


def tell(out: str) -> None:
    """A process of its own: the run's events, a line each."""
    for event in start(promoting(), Local(unsafe_jail=False), Path(out)):
        print(json.dumps(event), flush=True)


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def last_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    finished = run(out, promoting())
    assert [lap["candidate"] for lap in finished["main"]["laps"]][:2] == ["native", "s1r1c1"]
    return out, finished


def lasting(event: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between any two runs, as JSON has it."""
    kept = ("native", "best", "gain", "promoted", "reason", "environment_steps", "main")
    return dict(json.loads(json.dumps({name: event[name] for name in kept})))


@pytest.mark.slow
def test_show_names_files_that_are_there(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    out, _ = undisturbed
    shown = marlsmith("show", out).stdout.replace("\n", " ")
    named = {word.strip(",.;:`()") for word in shown.split() if word.startswith(f"{out}/main/")}
    assert named
    assert [name for name in named if not Path(name).exists()] == []


@pytest.mark.slow
def test_a_replay_of_an_adapted_run_ends_as_it_did(undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, finished = undisturbed
    again = last_of(marlsmith("run", "--replay", out, "--out", tmp_path / "again", "--json"))
    assert lasting(again) == lasting(finished)
    for stage in (1, 2):
        first, second = (
            json.loads((run / f"main/main-s{stage}.json").read_text()) for run in (out, tmp_path / "again")
        )
        assert (first["candidate"], first["signal"]) == (second["candidate"], second["signal"])
        assert first["evaluation"]["scores"] == second["evaluation"]["scores"]


def children(pid: int) -> set[int]:
    """All processes below this one, by the kernel's word."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found |= {child} | children(child)
    return found


MOMENTS = {
    "in a candidate's branch": lambda e: e["event"] == "progress" and e["branch"] == "s1r1c1-h1",
    "after a judgement": lambda e: e["event"] == "judged",
    "in a confirmation": lambda e: e["event"] == "progress" and e["branch"].startswith("control-s1r1-confirm"),
    "after a promotion": lambda e: e["event"] == "promoted",
    "between two stages": lambda e: e["event"] == "advanced" and e["stage"] == 1,
    "in the plain training": lambda e: e["event"] == "progress" and e["branch"].startswith("plain"),
}


def moments() -> Iterator[Any]:
    yield from (pytest.param(there, id=name) for name, there in MOMENTS.items())


@pytest.mark.slow
@pytest.mark.parametrize("there", moments())
def test_a_killed_main_run_ends_in_the_same_signal_and_the_same_score(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path, there: Any
) -> None:
    out = tmp_path / "run"
    program = "import sys; sys.path.insert(0, sys.argv[1]); import test_adapted_run; test_adapted_run.tell(sys.argv[2])"
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert any(there(json.loads(line)) for line in process.stdout), "it never came there"
    below = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in below):
        assert time.monotonic() < deadline, "workers outlived the run"
        time.sleep(0.05)
    done = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("branches/*/evaluation.json")}

    resumed = last_of(marlsmith("resume", out, "--json"))
    for branch, written in done.items():
        assert (out / "branches" / branch / "evaluation.json").stat().st_mtime_ns == written
    original, finished = undisturbed
    assert lasting(resumed) == lasting(finished)
    assert (out / "main/signal.py").read_text() == (original / "main/signal.py").read_text()
    for file in sorted((original / "main").glob("*.safetensors")):
        same_bits(file, out / "main" / file.name)
