"""Environment steps per second of stepping alone and of training, one thread, medians of several runs.

python benchmarks/training_speed.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from marlsmith.marl.config import TrainConfig
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    NATIVE,
    Approach,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    TargetDistance,
    TargetOffset,
    UniqueCoverage,
)

RUNS = 5
TASK = make_task("mpe/simple_spread")


def hand_written(rule: str) -> Signal:
    """A plain good design around one assignment rule."""
    terms = (Approach(assignment=rule), Reach(assignment=rule), UniqueCoverage(credit="team", weight=2.0))
    features = (TargetOffset(assignment=rule), TargetDistance(assignment=rule))
    return Signal(reward=RewardConfig(terms=terms), observation=ObservationConfig(features=features))


def median_speed(work: Callable[[], int]) -> float:
    """Environment steps per second: the median of RUNS, after one that does not count."""
    work()
    speeds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        steps = work()
        speeds.append(steps / (time.perf_counter() - began))
    return statistics.median(speeds)


def stepping(environments: int) -> Callable[[], int]:
    draws = generator(0, "benchmark")
    action = torch.randint(0, 5, (100, 1, environments, 3), generator=draws)

    def work() -> int:
        state = TASK.reset([draws], environments)
        for one in action:
            state, _, _ = TASK.step(state, one)
            TASK.observe(state)
        return 100 * environments

    return work


def training(signal: Signal, seeds: int) -> Callable[[], int]:
    program = None if signal.is_native else build_program(signal, TASK.card)

    def work() -> int:
        trainer = Trainer(TASK, program, TrainConfig(steps=4_000), range(seeds))
        while not trainer.finished:
            trainer.advance()
        return trainer.steps * seeds

    return work


def main() -> None:
    torch.set_num_threads(1)
    print("mpe/simple_spread, one thread, environment steps per second (median of 5)")
    print("\n| stepping alone, environments | steps/s |\n|---|---|")
    for environments in (16, 128, 1024, 4096):
        print(f"| {environments} | {median_speed(stepping(environments)):,.0f} |", flush=True)
    print("\n| MAPPO, defaults | seeds | steps/s, all seeds |\n|---|---|---|")
    for name, signal in (("native", NATIVE), ("hand-written signal", hand_written("optimal"))):
        for seeds in (1, 4, 8):
            print(f"| {name} | {seeds} | {median_speed(training(signal, seeds)):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
