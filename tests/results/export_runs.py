"""Runs of one candidate for the tests of exports: made by hand, with networks that were really trained a little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from marlsmith.graph.methods import Method, RunSettings
from marlsmith.graph.run_directory import CHECKPOINT, RunDirectory
from marlsmith.graph.telling.trace import LapStanding, MainRunStory
from marlsmith.marl.checkpoint import pack
from marlsmith.marl.config import BranchRequest, TrainConfig
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import Candidate, Evaluation, Signal

SEEDS = (3, 8)
ID = "s1r1c1"
LAP = LapStanding(stage=1, steps=64, candidate=ID, score=0.5, interval=None, rolled_back_to=None)
MAIN_RUN = MainRunStory(
    laps=(LAP,), peak=0.5, final=0.5, area=0.5, competence=None, pairs=0, dropped=0, audited=0, missed=0, steps_saved=0,
    main_steps=128, search_steps=0,
).model_dump(mode="json")  # fmt: skip


class MadeRun:
    """A run in which one candidate was confirmed and promoted; the numbers are invented."""

    def __init__(
        self,
        path: Path,
        task: str,
        signal: Signal,
        *,
        method: Method = Method(),  # noqa: B008 - frozen
        train: Mapping[str, Any] | None = None,
        rationale: str = "by hand",
        trained: bool = True,
        promoted: bool = True,
        main_run: bool = False,
    ) -> None:
        small = {"steps": 64, "environments": 4, "rollout": 8, "hidden": 16, "minibatches": 1, "epochs": 1, "batch": 8}
        self.config = TrainConfig(**{**small, **(train or {})})
        self.path, self.signal = path, signal
        self.task: Task = make_task(task)
        self.program: Program = build_program(signal, self.task.card)
        settings = RunSettings(task=task, method=method, train=self.config)
        self.directory = RunDirectory.create(path, settings, "made by hand")
        candidate = Candidate(id=ID, stage=1, round=1, author="a test", kind="new", rationale=rationale, signal=signal)
        self.directory.write_batch("s1r1-a0", [candidate], [to_code(signal, self.task.card)], None)
        self.directory.append_event({"event": "proposal", "candidate": ID})
        if trained:
            self._train(task)
        standing = {"score": 0.5, "scores": [0.25, 0.75], "interval": [0.25, 0.75], "metrics": {}}
        best = {**standing, "candidate": ID} if trained else None
        self.directory.append_event({
            "event": "finished", "run": str(path), "native": standing, "best": best,
            "gain": {"mean": 0.0, "interval": [-0.1, 0.1]}, "phase": "confirm", "promoted": promoted,
            "reason": "for the test", "jail": {"sound": True, "unsafe": False},
            "environment_steps": 128, "main": MAIN_RUN if main_run else None,
        })  # fmt: skip

    def _train(self, task: str) -> None:
        branch = f"{ID}-confirm"
        self.trainer = Trainer(self.task, self.program, self.config, SEEDS)
        while not self.trainer.finished:
            self.trainer.advance()
        self._scatter()
        request = BranchRequest(branch=branch, candidate=ID, task=task, seeds=SEEDS, train=self.config)
        file = self.directory.branch(branch) / CHECKPOINT
        file.write_bytes(pack(self.trainer.tensors(), request.about(self.signal)))
        found = Evaluation(candidate=ID, branch=branch, seeds=SEEDS, steps=64, score=0.5, scores=(0.25, 0.75))
        self.directory.write_evaluation(branch, found)

    @torch.no_grad()
    def _scatter(self) -> None:
        """So short a training leaves a policy that nearly always does the same."""
        draws = torch.Generator().manual_seed(0)
        for name, tensor in self.trainer.algorithm.tensors():
            if name.startswith(("actor.", "agent.")) and name.endswith("weight"):
                tensor += 0.5 * torch.randn(tensor.shape, generator=draws)
