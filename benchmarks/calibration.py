"""How often the promotion gate errs: on simulated scores, and on trainings from half-trained checkpoints.

python benchmarks/calibration.py [--nulls 200] [--harmful 100] [--helpful 20] [--rounds 700]

Everything goes the path of a round, race, gate and confirmation of all that passed, in rounds of 3 candidates with 8
seeds at level .05. Two things of a run are left out: its confirmation trains for longer than its branches did, and the
competence gate abstains where shorter and longer branches disagree. Each round has its own control. A null is the same
signal on other random numbers (in a run candidate and control share them, so that such a null would be equal to its
control and never pass: this is the harder case). A harmful one pays for the opposite of what serves, and takes the
place of a signal that serves. A helpful one is that signal where the sparse reward alone is paid else. Trainings leave
two checkpoints of a main run on `mpe/simple_spread_sparse`: an early one, whose branches succeed in few episodes and
with some seeds in none, and a later one, where seeds differ most.

Prints Markdown and writes benchmarks/results/calibration.json. About half an hour on two shared cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from marlsmith.benchmarks.harm import OBSERVATION, SERVES, harmful_rewards
from marlsmith.graph.judging.gate import EFFECT, Judgement, Trial, best, gate, passing
from marlsmith.graph.judging.racing import hopeless
from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.statistics import proportion_interval
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import RewardConfig, Signal

RESULTS = Path(__file__).parent / "results" / "calibration.json"
LEVEL, MARGIN, SEEDS, HEAT, CANDIDATES = 0.05, 0.0, 8, 4, 3
"""As the preset `llm-also` has them: a race after the first HEAT of SEEDS seeds, rounds of CANDIDATES."""

Scores = Sequence[float]


# ---------------------------------------------------------------- the path of a round


@dataclass(frozen=True)
class Round:
    """What came of candidates 0.. of a round."""

    candidates: int
    dropped: list[int]
    passed: list[int]
    """At the gate, had they been trained to the end: also those that the race dropped."""
    promoted: int | None


Confirm = Callable[[Sequence[int]], tuple[Scores, Sequence[Scores]]]
"""Scores of the control and of these candidates, trained once more on random numbers that have chosen nothing."""


def walk(control: Scores, candidates: Sequence[Scores], confirm: Confirm) -> Round:
    """Race, gate and confirmation of all that passed, of whom the best is promoted."""
    dropped = [i for i, s in enumerate(candidates) if hopeless(control[:HEAT], s[:HEAT], margin=MARGIN) is not None]
    passed = passing(_gate(control, dict(enumerate(candidates)), CANDIDATES))
    finalists = [int(each.candidate) for each in passed if int(each.candidate) not in dropped]
    winner = None
    if finalists:
        fresh, scores = confirm(finalists)
        winner = best(_gate(fresh, dict(zip(finalists, scores, strict=True)), len(finalists)))
    found = sorted(int(each.candidate) for each in passed)
    return Round(len(candidates), dropped, found, int(winner.candidate) if winner is not None else None)


def _gate(control: Scores, scores: Mapping[int, Scores], tests: int) -> list[Judgement]:
    trials = [Trial(str(i), tuple(each)) for i, each in scores.items()]
    return gate(control, trials, level=LEVEL, margin=MARGIN, tests=tests)


@dataclass
class Count:
    """Of many rounds, or of the candidates that are counted in them."""

    candidates: int = 0
    dropped: int = 0
    passed: int = 0
    missed: int = 0
    """Dropped in the race although they would have passed the gate."""
    promoted: int = 0

    def add(self, found: Round, counted: Sequence[int] | None = None) -> None:
        of = set(range(found.candidates) if counted is None else counted)
        self.candidates += len(of)
        self.dropped += len(of & set(found.dropped))
        self.passed += len(of & set(found.passed))
        self.missed += len(of & set(found.dropped) & set(found.passed))
        self.promoted += found.promoted in of

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share promoted, 95% (Clopper & Pearson)."""
        return proportion_interval(self.promoted, self.candidates)

    def cells(self) -> str:
        low, high = self.interval
        shares = (f"{x / self.candidates:.3f}" for x in (self.dropped, self.passed, self.missed))
        return f"{self.candidates} | {' | '.join(shares)} | {self.promoted} | {low:.3f} to {high:.3f}"


# ---------------------------------------------------------------- simulated scores

Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Scores of one branch, [SEEDS]; the levels of its seeds, [SEEDS] in 0..1, are the same for a whole round."""

NULLS: dict[str, Draw] = {
    "normal": lambda rng, level: level + rng.normal(0, 0.1, SEEDS),
    "share of 50 episodes, near one half": lambda rng, level: rng.binomial(50, 0.3 + 0.4 * level) / 50,
    "share of 50 episodes, mostly 0": lambda rng, level: rng.binomial(50, 0.02 * level) / 50,
    "a seed in four above 0": lambda rng, level: rng.uniform(0, 1, SEEDS) * (rng.random(SEEDS) < 0.25),
    "all or nothing": lambda rng, level: (rng.random(SEEDS) < 0.5).astype(float),
    "anything from none to all": lambda rng, level: rng.beta(0.2 + level, 1.2 - level),
}


def simulated_nulls(draw: Draw, rounds: int, seed: int) -> Count:
    """Rounds of CANDIDATES that differ from their control by chance alone."""
    rng, count = np.random.default_rng(seed), Count()
    for _ in range(rounds):
        levels = rng.random(SEEDS)

        def scores(number: int, levels: np.ndarray = levels) -> tuple[Scores, list[Scores]]:
            control, *candidates = (draw(rng, levels).tolist() for _ in range(1 + number))
            return control, candidates

        count.add(walk(*scores(CANDIDATES), lambda finalists, scores=scores: scores(len(finalists))))  # type: ignore[misc]
    return count


def simulated_power(effect: float, rounds: int, seed: int) -> Count:
    """Of one candidate with a gain of `effect` standard deviations of the paired difference, among nulls."""
    rng, count = np.random.default_rng(seed), Count()

    def scores(of: Sequence[int]) -> tuple[Scores, list[Scores]]:
        control = rng.normal(0, 1, SEEDS)
        return control.tolist(), [(control + rng.normal(0.0 if i else effect, 1, SEEDS)).tolist() for i in of]

    for _ in range(rounds):
        count.add(walk(*scores(range(CANDIDATES)), scores), [0])
    return count


# ---------------------------------------------------------------- trainings

MAIN_STEPS, BRANCH_STEPS, EPISODES = 60_000, 4_000, 50
CHECKPOINTS = {"early": 6_000, "later": 12_000}
SEARCH_EPISODES, CONFIRM_EPISODES = 1, 2
"""Seeds of the evaluation episodes."""

Kind = Literal["null", "harmful", "helpful"]


class MainRun:
    """One training of SEEDS members up to a checkpoint, and the branches that leave it."""

    def __init__(self, checkpoint: str) -> None:
        self.task = make_task("mpe/simple_spread_sparse")
        self.config = train_config(self.task.card, "mappo", {"steps": MAIN_STEPS})
        self.forks = 0
        trainer = self._trainer()
        while trainer.steps < CHECKPOINTS[checkpoint]:
            trainer.advance()
        self.saved = {name: tensor.clone() for name, tensor in trainer.tensors()}
        self.scores = self._scored(trainer, SEARCH_EPISODES)

    def branch(self, reward: RewardConfig | None, fork: int, episodes: int, *, switches: bool) -> list[float]:
        """Scores of a branch under this reward (None: the sparse one alone) on the random numbers of a fork."""
        trainer = self._trainer()
        trainer.load(self.saved)
        trainer.fork(fork)
        until = trainer.steps + BRANCH_STEPS
        if switches:
            trainer.switch(self._program(reward), "add", 2, kept=trainer.observation.shape[-1])
        while trainer.steps < until:
            trainer.advance()
        return self._scored(trainer, episodes)

    def fresh_fork(self) -> int:
        self.forks += 1
        return self.forks

    def _trainer(self) -> Trainer:
        return Trainer(self.task, self._program(SERVES), self.config, range(SEEDS), "add")

    def _program(self, reward: RewardConfig | None) -> Program:
        return build_program(Signal(reward=reward, observation=OBSERVATION), self.task.card)

    def _scored(self, trainer: Trainer, seed: int) -> list[float]:
        metrics = self.task.metrics(trainer.evaluate(EPISODES, seed))
        found: list[float] = metrics[self.task.card.score].float().mean(-1).tolist()
        return found


@dataclass
class Trained:
    """What came of the candidates of one kind at one checkpoint."""

    score: float
    """At the checkpoint, mean over seeds."""
    count: Count = field(default_factory=Count)
    differences: list[list[float]] = field(default_factory=list)
    """To the control of the round, [candidates][seeds]."""

    @property
    def spread(self) -> float:
        """Standard deviation of the paired difference over seeds, of a typical candidate."""
        return float(np.sqrt(np.mean(np.var(self.differences, axis=1, ddof=1))))

    @property
    def gains(self) -> list[float]:
        """Mean over seeds, of every candidate."""
        return [float(np.mean(one)) for one in self.differences]

    @property
    def record(self) -> dict[str, object]:
        gains = [round(gain, 4) for gain in self.gains]
        return {"score": round(self.score, 4), **asdict(self.count), "spread": round(self.spread, 4), "gains": gains}


def measure(kind: Kind, checkpoint: str, number: int) -> Trained:
    """So many candidates of this kind, in rounds. But for nulls the branches of a round share a fork, as in a run."""
    torch.set_num_threads(1)
    run = MainRun(checkpoint)
    found, harms = Trained(float(np.mean(run.scores))), harmful_rewards(CHECKPOINTS[checkpoint])
    before = None if kind == "helpful" else SERVES
    size = 1 if kind == "helpful" else CANDIDATES

    def branches(rewards: Sequence[RewardConfig | None], episodes: int) -> list[list[float]]:
        shared = run.fresh_fork()
        forks = [run.fresh_fork() if kind == "null" and i else shared for i in range(len(rewards))]
        return [
            run.branch(reward, fork, episodes, switches=kind == "helpful" or reward is not SERVES)
            for reward, fork in zip(rewards, forks, strict=True)
        ]

    for first in range(0, number, size):
        proposed = [next(harms) if kind == "harmful" else SERVES for _ in range(min(size, number - first))]
        control, *tried = branches((before, *proposed), SEARCH_EPISODES)

        def confirm(of: Sequence[int], proposed: Sequence[RewardConfig] = proposed) -> tuple[Scores, Sequence[Scores]]:
            fresh, *again = branches((before, *(proposed[i] for i in of)), CONFIRM_EPISODES)
            return fresh, again

        found.count.add(walk(control, tried, confirm))
        found.differences += [[c - r for c, r in zip(scores, control, strict=True)] for scores in tried]
    return found


def train(nulls: int, harmful: int, helpful: int) -> dict[tuple[Kind, str], Trained]:
    """Half of each kind at either checkpoint, on all cores."""
    wanted: dict[Kind, int] = {"null": nulls, "harmful": harmful, "helpful": helpful}
    jobs = [(kind, checkpoint) for kind in wanted for checkpoint in CHECKPOINTS]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        running = {job: pool.submit(measure, *job, wanted[job[0]] // 2) for job in jobs}
        return {job: one.result() for job, one in running.items()}


# ---------------------------------------------------------------- the table

HEAD = (
    "| {} | candidates | dropped in the race | would pass the gate | both | promoted | share promoted, 95% |\n"
    "|---|---|---|---|---|---|---|"
)


def simulate(rounds: int) -> dict[str, Count]:
    found = {f"null: {name}": simulated_nulls(draw, rounds, 0) for name, draw in NULLS.items()}
    for effect in (1.0, EFFECT, 2.0):
        found[f"gain of {effect:g} standard deviations"] = simulated_power(effect, rounds, 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("nulls", 200), ("harmful", 100), ("helpful", 20), ("rounds", 700)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked, began = parser.parse_args(), time.perf_counter()
    simulated = simulate(asked.rounds)
    print(HEAD.format("simulated"))
    for name, count in simulated.items():
        print(f"| {name} | {count.cells()} |", flush=True)
    trained = train(asked.nulls, asked.harmful, asked.helpful)
    print("\n" + HEAD.format("trained"))
    for (kind, checkpoint), found in trained.items():
        print(f"| {kind}, {checkpoint} | {found.count.cells()} |")
    print("\n| trained | score at the checkpoint | mean gain | least to most | spread of the paired difference |")
    print("|---|---|---|---|---|")
    for (kind, checkpoint), found in trained.items():
        least, most = min(found.gains), max(found.gains)
        print(
            f"| {kind}, {checkpoint} | {found.score:.2f} | {np.mean(found.gains):+.3f} | {least:+.3f} to {most:+.3f} "
            f"| {found.spread:.3f} |"
        )
    seconds = time.perf_counter() - began
    print(f"\n{seconds:.0f} s")
    results = {
        "simulated": {name: asdict(count) for name, count in simulated.items()},
        "trained": {f"{kind}, {checkpoint}": found.record for (kind, checkpoint), found in trained.items()},
        "seconds": round(seconds),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
