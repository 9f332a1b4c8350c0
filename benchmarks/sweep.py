"""The sweeps behind the tuned settings, at LERO's 30,000 steps.

python benchmarks/sweep.py mappo|vdn|qmix [SEEDS]
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    NATIVE,
    Approach,
    Code,
    ObservationConfig,
    RewardConfig,
    Signal,
    TargetDistance,
    TargetOffset,
)

SPREAD, REFERENCE = "mpe/simple_spread", "mpe/simple_reference"
FIRST_SEED, EVALUATION_SEED = 20, 1

Change = dict[str, object]

POLICY_GRID: tuple[Change, ...] = (
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

# Changes to the preset: 8 updates of 64 sequences for every step of 8 environments.
VALUE_GRID: tuple[Change, ...] = (
    {},
    {"updates": 4, "batch": 128},
    {"updates": 12},
    {"updates": 2, "batch": 256},
    {"anneal": True},
    {"gamma": 0.9},
    {"gamma": 0.5},
    {"target_rate": 0.005},
    {"epsilon_share": 0.5},
    {"learning_rate": 1e-3},
)

Column = tuple[str, Signal]


def around(rule: str) -> Signal:
    """A plain config around one assignment rule."""
    features = (TargetOffset(assignment=rule), TargetDistance(assignment=rule))
    return Signal(
        reward=RewardConfig(terms=(Approach(assignment=rule),)), observation=ObservationConfig(features=features)
    )


def by_hand(task: str) -> Signal:
    file = Path(__file__).parent / "signals" / f"{task.partition('/')[2]}.py"
    code = Code(source=file.read_text())
    return Signal(reward=code, observation=code)


def columns(algorithm: str) -> dict[str, Column]:
    if algorithm in {"vdn", "qmix"}:
        return {"spread by hand": (SPREAD, by_hand(SPREAD)), "reference by hand": (REFERENCE, by_hand(REFERENCE))}
    return {
        "optimal": (SPREAD, around("optimal")),
        "nearest": (SPREAD, around("nearest")),
        "spread by hand": (SPREAD, by_hand(SPREAD)),
        "reference by hand": (REFERENCE, by_hand(REFERENCE)),
        "native spread": (SPREAD, NATIVE),
    }


def row(algorithm: str, change: Change, seeds: int) -> str:
    """One line of the table."""
    torch.set_num_threads(1)
    cells, began = [], time.perf_counter()
    for name, signal in columns(algorithm).values():
        task = make_task(name)
        program = None if signal.is_native else build_program(signal, task.card)
        config = train_config(task.card, algorithm, {"steps": 30_000, **change})
        trainer = Trainer(task, program, config, range(FIRST_SEED, FIRST_SEED + seeds))
        while not trainer.finished:
            trainer.advance()
        metrics = task.metrics(trainer.evaluate(50, EVALUATION_SEED))
        cells.append(f"{metrics['coverage'].mean():.3f} / {metrics['final_coverage'].mean():.3f}")
    named = ", ".join(f"{name} {value}" for name, value in change.items()) or "preset"
    return f"| {named} | {' | '.join(cells)} | {time.perf_counter() - began:.0f} |"


def main() -> None:
    algorithm = sys.argv[1] if len(sys.argv) > 1 else "mappo"
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    grid = VALUE_GRID if algorithm in {"vdn", "qmix"} else POLICY_GRID
    heads = columns(algorithm)
    print(f"{algorithm}: coverage / final coverage, mean of {seeds} seeds; seconds on one thread, one a core\n")
    print(f"| change | {' | '.join(heads)} | seconds |\n|---|{'---|' * (len(heads) + 1)}")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for line in pool.map(row, [algorithm] * len(grid), grid, [seeds] * len(grid)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
