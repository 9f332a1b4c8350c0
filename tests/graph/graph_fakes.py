"""Doubles for the graph's tests: an executor with known scores, roles that follow a script, ways to die."""

from __future__ import annotations

import json
import os
import random
import signal as signals
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from marlsmith.agents.asking.accounting.ledger import NOTHING, Spent
from marlsmith.agents.asking.question import Usage
from marlsmith.agents.roles import Roles
from marlsmith.graph.context import Parts
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import BranchRequest, TrainConfig
from marlsmith.marl.executor import Cancelled, Executor, Progress
from marlsmith.marl.recording import Recording
from marlsmith.marl.statistics import iqm
from marlsmith.schemas import (
    Approach,
    Citation,
    CurvePoint,
    Diagnosis,
    DiagnosisBrief,
    DiscreteActions,
    Entity,
    Evaluation,
    Failure,
    Finding,
    Fingerprint,
    JailReport,
    Metric,
    Probe,
    ProbeGroup,
    PromotionBrief,
    Proposal,
    ProposalBrief,
    Review,
    ReviewBrief,
    RewardConfig,
    Scope,
    Signal,
    SignalValues,
    StateField,
    TaskCard,
    canonical,
)

ALL_GROUPS = get_args(ProbeGroup)
APPROVED = Review(approve=True)
SPENT = Spent(calls=1, usage=Usage(prompt_tokens=3, completion_tokens=4), money=0.25)

CARD = TaskCard(
    name="points",
    description="agents go to targets",
    agents=2,
    actions=DiscreteActions(meanings=(("stay", "go"),) * 2),
    observation_size=4,
    horizon=25,
    fields=tuple(
        StateField(name=name, shape="[B, 2, 2]", unit="length", meaning=name) for name in ("agent_pos", "target_pos")
    ),
    observation=(),
    entities=(
        Entity(name="agent", count=2, position="agent_pos", radius=0.1),
        Entity(name="target", count=2, position="target_pos", radius=0.1),
    ),
    target="target",
    reach=0.1,
    collide=0.3,
    metrics=(Metric(name="coverage", unit="share", meaning="targets reached"),),
    score="coverage",
    sparsity="always says something",
)


def weighted(weight: float) -> Signal:
    return Signal(reward=RewardConfig(terms=(Approach(weight=round(weight, 4)),)))


def weight_of(signal: Signal) -> float:
    return signal.reward.terms[0].weight if isinstance(signal.reward, RewardConfig) else 0.0


def proposal(weight: float, *parents: str) -> Proposal:
    kind = "mutate" if parents else "new"
    return Proposal(signal=weighted(weight), kind=kind, parents=parents, rationale=f"try {weight:.3f}")


def probe(group: str, act: str = "", refused: bool = True) -> Probe:
    return Probe(act=act or f"try {group}", group=group, refused=refused, answer="EPERM" if refused else "it worked")


SOUND = JailReport(
    system="Linux 6.18 x86_64", layers=("no_new_privs", "landlock 7", "seccomp"), probes=tuple(map(probe, ALL_GROUPS))
)
OPEN = SOUND.model_copy(
    update={
        "probes": (probe("network", "connect by TCP", refused=False), *map(probe, ALL_GROUPS[1:])),
        "missing": ("this kernel has no landlock",),
    }
)


class Deadly:
    """Kills this process, for real and once, when a place is reached: the marker file says which."""

    def __init__(self, marker: Path | None) -> None:
        self.marker = marker

    def here(self, place: str) -> None:
        if self.marker is not None and self.marker.exists() and self.marker.read_text() == place:
            self.marker.unlink()
            os.kill(os.getpid(), signals.SIGKILL)


Course = Callable[[Signal, int, int], float]
"""What a rollout of a main run adds to a member's skill, by the signal, the clock and the member's seed."""


class FakeExecutor:
    """The score of a seed is 0.3 + `effect` x weight + a noise of that seed and signal; no training takes place.

    A training with a clock (`until`) has a memory: its checkpoint holds each member's skill, to which every rollout
    adds what `course` says, an effect as above by default, and noise: of the seed, the clock and the fork, which all
    branches of the stage share, and a smaller one of the signal. What is scored is the skill, with a noise of the
    episodes. So a training in pieces ends as one in a piece does. A start that is not what the checkpoint says of
    itself ends the test.

    `behaves`: signals with the same word do the same.
    """

    def __init__(
        self,
        workers: int = 2,
        effect: float = 0.05,
        noise: float = 0.01,
        failing: Callable[[BranchRequest], bool] = lambda request: False,
        unsound: Callable[[Signal], bool] = lambda signal: False,
        slow: Mapping[str, float] | None = None,
        log: Path | None = None,
        deadly: Deadly | None = None,
        report: JailReport = SOUND,
        behaves: Callable[[Signal], str] = canonical,
        course: Course | None = None,
        pays: Callable[[Signal, int], float] = lambda signal, clock: 0.0,
        unplayable: Callable[[BranchRequest], bool] = lambda request: False,
    ) -> None:
        self.behaves = behaves
        self.course = course or (lambda signal, clock, seed: self.effect * weight_of(signal))
        self.pays, self.unplayable = pays, unplayable
        self.played: list[BranchRequest] = []
        self.probed: list[Signal] = []
        self.report = report
        self.rows: set[int] = set()
        self.jails: list[str] = []
        self.workers, self.effect, self.noise = workers, effect, noise
        self.failing, self.unsound, self.slow = failing, unsound, dict(slow or {})
        self.log, self.deadly = log, deadly or Deadly(None)
        self.trained: list[BranchRequest] = []
        self.closed = threading.Event()
        self.training = threading.Event()

    def jail(self, device: str = "cpu") -> JailReport:
        self.jails.append(device)
        return self.report

    def check(self, signal: Signal, task: str, scope: Scope, rows: int = 1) -> list[Failure]:
        self.rows.add(rows)
        return [Failure(stage="dynamic", message="not a number")] if self.unsound(signal) else []

    def probe(self, signal: Signal, task: str, rows: int = 1) -> SignalValues | Failure:
        self.probed.append(signal)
        draw = random.Random(self.behaves(signal))
        fingerprint = Fingerprint(rows=rows, reward=tuple(draw.uniform(-1, 1) for _ in range(4)))
        return SignalValues(rows=rows, fingerprint=fingerprint)

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> Evaluation:
        self.deadly.here(f"train:{request.branch}")
        self.training.set()
        if self.closed.wait(self.slow.get(request.branch, 0.0)) or self.closed.is_set():
            raise Cancelled(request.branch)
        clocked = request.until is not None
        steps = request.steps if clocked else request.train.steps
        if progress is not None:
            done = Progress(branch=request.branch, steps=steps, total=steps)
            reporter = threading.Thread(target=progress, args=(done,))  # as a worker pool would
            reporter.start()
            reporter.join()
        self.trained.append(request)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(request.branch + "\n")
        common = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds, "steps": steps}
        if self.failing(request):
            return Evaluation(**common, error=Failure(stage="crash", message="it crashed"))
        curve: list[CurvePoint] = []
        if clocked:
            member, curve = self._trained(request, signal, checkpoint)
            (directory / "checkpoint.safetensors").write_text(json.dumps(member))
            scores = self._scores(member, request)
        else:
            scores = tuple(self._score(seed, signal) for seed in request.seeds)
            (directory / "checkpoint.safetensors").write_bytes(request.branch.encode())
        return Evaluation(
            **common,
            score=iqm(scores),
            scores=scores,
            interval=(min(scores), max(scores)),
            metrics={"coverage": iqm(scores)},
            behaviour={"idle": 0.25},
            curve=tuple(curve),
        )

    def evaluate(self, request: BranchRequest, signal: Signal, checkpoint: Path) -> Evaluation:
        self.deadly.here(f"play:{request.branch}")
        self.played.append(request)
        common = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds, "steps": 0}
        if self.unplayable(request):
            return Evaluation(**common, error=Failure(stage="timeout", message="it took too long"))
        saved = json.loads(checkpoint.read_text())
        assert saved["signal"] == canonical(signal), "the networks of another signal"
        scores = self._scores(saved, request)
        spread = (min(scores), max(scores))
        return Evaluation(
            **common, score=iqm(scores), scores=scores, interval=spread, metrics={"coverage": iqm(scores)}
        )

    def film(self, request: BranchRequest, signal: Signal, checkpoint: Path, episode: int = 0) -> Recording | Failure:
        return Failure(stage="crash", message="nothing is ever played here")

    # ------------------------------------------------------------ a main run

    def _trained(
        self, request: BranchRequest, signal: Signal, checkpoint: Path | None
    ) -> tuple[dict[str, Any], list[CurvePoint]]:
        """What the checkpoint will hold, and a point of the curve for each rollout."""
        start, skills, fork = request.start, {str(seed): 0.0 for seed in request.seeds}, None
        assert (start is None) == (checkpoint is None)
        if start is not None and checkpoint is not None:
            saved = json.loads(checkpoint.read_text())
            assert saved["signal"] == canonical(start.signal), f"{request.branch} starts from another signal"
            assert saved["skills"].keys() == skills.keys(), f"{request.branch} starts from other members"
            assert saved["clock"] <= start.steps, f"{request.branch} goes back in time"
            skills, fork = saved["skills"], start.fork
        curve = []
        for clock in range(request.begins, request.ends, request.train.whole(1)):
            for seed in skills:
                shared = random.Random(f"{seed}/{clock}/{fork}").gauss(0, 3 * self.noise)
                own = random.Random(f"{seed}/{clock}/{fork}/{canonical(signal)}").gauss(0, self.noise)
                skills[seed] += self.course(signal, clock, int(seed)) + shared + own
            done = clock + request.train.whole(1)
            mean = 0.3 + sum(skills.values()) / len(skills)
            point = CurvePoint(steps=done, score=mean, native_return=mean, shaped_return=self.pays(signal, clock))
            curve.append(point)
        return {"signal": canonical(signal), "clock": request.ends, "skills": skills}, curve

    def _scores(self, member: Mapping[str, Any], request: BranchRequest) -> tuple[float, ...]:
        def play(seed: int) -> float:
            luck = random.Random(f"{seed}/{request.evaluation.seed}").gauss(0, self.noise)
            return float(0.3 + member["skills"][str(seed)] + luck)

        return tuple(map(play, request.seeds))

    def _score(self, seed: int, signal: Signal) -> float:
        draw = random.Random(f"{seed}{canonical(signal)}").gauss(0, self.noise)
        return 0.3 + self.effect * weight_of(signal) + draw

    def close(self) -> None:
        self.closed.set()


class ScriptedGenerator:
    """Follows `script` by (round, attempt); otherwise proposes weights drawn from the brief's seed."""

    def __init__(
        self,
        script: Mapping[tuple[int, int], Sequence[Proposal] | Exception] | None = None,
        deadly: Deadly | None = None,
        name: str = "scripted generator",
    ) -> None:
        self.script, self.deadly, self.name = dict(script or {}), deadly or Deadly(None), name
        self.briefs: list[ProposalBrief] = []

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        self.deadly.here(f"propose:{brief.round}")
        self.briefs.append(brief)
        answer = self.script.get((brief.round, brief.attempt))
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return list(answer)
        draw = random.Random(brief.seed)
        parents = [elite.candidate.id for elite in brief.elites[:1]]
        return [proposal(draw.uniform(1, 3), *parents) for _ in range(brief.count)]


class StagedGenerator:
    """Proposes signals of these weights, by (stage, round), and nothing anywhere else."""

    name = "staged generator"

    def __init__(self, weights: Mapping[tuple[int, int], Sequence[float]], deadly: Deadly | None = None) -> None:
        self.weights, self.deadly = weights, deadly or Deadly(None)
        self.briefs: list[ProposalBrief] = []

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        self.deadly.here(f"propose:s{brief.stage}r{brief.round}")
        self.briefs.append(brief)
        return [proposal(weight) for weight in self.weights.get((brief.stage, brief.round), ())]


class ScriptedCritic:
    name = "scripted critic"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.briefs: list[DiagnosisBrief] = []

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        self.briefs.append(brief)
        if self.error is not None:
            raise self.error
        key, value = next(iter(brief.evidence.items()))
        finding = Finding(failure="precision", evidence=(Citation(key=key, value=value),), advice="closer")
        return Diagnosis(summary="not precise", findings=(finding,))


class ScriptedValidator:
    """`vetoes` before the training; `second` is what it says of a promotion."""

    name = "scripted validator"

    def __init__(
        self,
        vetoes: Sequence[str] = (),
        error: Exception | None = None,
        second: Review | Exception = APPROVED,
    ) -> None:
        self.vetoes, self.error, self.second = vetoes, error, second
        self.confirmed: list[PromotionBrief] = []

    def review(self, brief: ReviewBrief) -> Review:
        if self.error is not None:
            raise self.error
        veto = brief.candidate.id in self.vetoes
        return Review(approve=not veto, reasons=("it pays for standing still",) if veto else ())

    def confirm(self, brief: PromotionBrief) -> Review:
        self.confirmed.append(brief)
        if isinstance(self.second, Exception):
            raise self.second
        return self.second


def make_settings(**changes: object) -> RunSettings:
    train = TrainConfig(steps=100)
    overrides = {key: changes.pop(key) for key in list(changes) if key not in RunSettings.model_fields}
    settings = {"task": "points", "method": method_from("lero", overrides), "train": train, "workers": 2}
    return RunSettings.model_validate(settings | changes)


def make_main_run(name: str = "llm-also", **changes: object) -> RunSettings:
    """Three stages of one rollout each, unless something else is said."""
    overrides = {key: changes.pop(key) for key in list(changes) if key not in RunSettings.model_fields}
    method = method_from(name, {"stages": 3, "branch_steps": 400} | overrides)
    settings = {"task": "points", "method_name": name, "method": method, "workers": 2}
    settings["train"] = TrainConfig(steps=method.stages * method.branch_steps)
    return RunSettings.model_validate(settings | changes)


class Equipment:
    """An outfitter that keeps hold of what it gave."""

    def __init__(
        self,
        executor: FakeExecutor | None = None,
        generator: ScriptedGenerator | StagedGenerator | None = None,
        critic: ScriptedCritic | None = None,
        validator: ScriptedValidator | None = None,
        others: Sequence[ScriptedGenerator] = (),
    ) -> None:
        self.others = others
        self.spent_at: Callable[[str], Spent] = lambda place: NOTHING
        self.executor = executor or FakeExecutor()
        self.generator = generator or ScriptedGenerator()
        self.critic = critic or ScriptedCritic()
        self.validator = validator or ScriptedValidator()

    def engage(self, settings: RunSettings) -> FakeExecutor:
        return self.executor

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        roles = Roles((self.generator, *self.others), self.critic, self.validator)
        code = lambda signal, card: f"# {canonical(signal)}\n"  # noqa: E731
        return Parts(CARD, roles, executor, code, lambda: SPENT, self.spent_at)
