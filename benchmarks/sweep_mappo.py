"""The sweep behind TrainConfig's defaults: simple_spread at LERO's 30,000 steps, several signals.

python benchmarks/sweep_mappo.py [SEEDS]
"""

from __future__ import annotations

import sys
import time

import torch

from marlsmith.marl.config import TrainConfig
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import NATIVE, Approach, ObservationConfig, RewardConfig, Signal, TargetDistance, TargetOffset

TASK = make_task("mpe/simple_spread")
FIRST_SEED, EVALUATION_SEED = 20, 1

GRID: tuple[dict[str, object], ...] = (
    {},
    {"environments": 8, "minibatches": 1, "epochs": 10},
    {"environments": 8, "minibatches": 2},
    {"minibatches": 2},
    {"epochs": 3},
    {"learning_rate": 3e-3},
    {"learning_rate": 1e-3},
    {"gamma": 0.95},
    {"anneal": False},
)


def signals() -> dict[str, Signal]:
    def features(rule: str) -> ObservationConfig:
        return ObservationConfig(features=(TargetOffset(assignment=rule), TargetDistance(assignment=rule)))

    def reward(rule: str) -> RewardConfig:
        return RewardConfig(terms=(Approach(assignment=rule),))

    return {
        "optimal": Signal(reward=reward("optimal"), observation=features("optimal")),
        "nearest": Signal(reward=reward("nearest"), observation=features("nearest")),
        "observation only": Signal(observation=features("optimal")),
        "native": NATIVE,
    }


def main() -> None:
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + (int(sys.argv[1]) if len(sys.argv) > 1 else 4))
    print(f"coverage / final coverage, mean of {len(seeds)} seeds; seconds on one thread")
    print(f"| change | {' | '.join(signals())} | seconds |\n|---|{'---|' * (len(signals()) + 1)}")
    for change in GRID:
        cells, began = [], time.perf_counter()
        for signal in signals().values():
            program = None if signal.is_native else build_program(signal, TASK.card)
            trainer = Trainer(TASK, program, TrainConfig.model_validate(change), seeds)
            while not trainer.finished:
                trainer.advance()
            metrics = TASK.metrics(trainer.evaluate(50, EVALUATION_SEED))
            cells.append(f"{metrics['coverage'].mean():.3f} / {metrics['final_coverage'].mean():.3f}")
        named = ", ".join(f"{name} {value}" for name, value in change.items()) or "defaults"
        print(f"| {named} | {' | '.join(cells)} | {time.perf_counter() - began:.0f} |", flush=True)


if __name__ == "__main__":
    main()
