"""Learning curves under the native reward: does each algorithm learn what the literature says can be learned?

python benchmarks/learning.py [CASE...]                  the cases of the README, with their pictures
python benchmarks/learning.py TASK ALGORITHM STEPS SEEDS [KEY=VALUE...]     any other training, printed only
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import torch

from marlsmith.marl.presets import train_config
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer

POINTS = 20
EPISODES = 100
EVALUATION_SEED = 77
PICTURES = Path(__file__).parent.parent / "docs" / "learning"
RESULTS = Path(__file__).parent / "results" / "learning.json"


@dataclass(frozen=True)
class Case:
    """A training whose end must be above a bar; `unit` says what is counted."""

    task: str
    algorithm: str
    steps: int
    metric: str
    above: float
    unit: str
    seeds: int = 4
    changes: dict[str, object] = field(default_factory=dict)


AGENT_RETURN = "return per agent and episode"
# Far more steps than the 30,000 that the presets are tuned for: larger rollouts, and nothing is annealed where a
# language has to be found, which happens late.
LONG: dict[str, object] = {
    "environments": 32,
    "learning_rate": 2e-3,
    "gamma": 0.9,
    "gae_lambda": 0.9,
    "epochs": 10,
    "minibatches": 2,
    "anneal": False,
}

CASES: dict[str, Case] = {
    "spread": Case(
        "mpe/simple_spread",
        "mappo",
        750_000,
        "native_return",
        -15.0,
        AGENT_RETURN,
        changes={**LONG, "learning_rate": 1.5e-3, "hidden": 128},
    ),
    "speaker-listener": Case(
        "mpe/simple_speaker_listener",
        "mappo",
        500_000,
        "native_return",
        -12.0,
        AGENT_RETURN,
        changes={"gamma": 0.95, "entropy": 0.05, "anneal": False},
    ),
    "reference": Case(
        "mpe/simple_reference",
        "mappo",
        1_000_000,
        "native_return",
        -14.0,
        AGENT_RETURN,
        changes={**LONG, "gamma": 0.85, "entropy": 0.02},
    ),
    "foraging": Case(
        "lbf/8x8-2p-2f-coop",
        "mappo",
        3_000_000,
        "return_sum",
        0.8,
        "team return per episode",
        changes={"environments": 64, "rollout": 50, "learning_rate": 1e-3, "anneal": False},
    ),
}


@dataclass(frozen=True)
class Curve:
    """Greedy play at POINTS moments of a training: values [points][seeds] of every metric, and the time it took."""

    steps: list[int]
    metrics: dict[str, list[list[float]]]
    seconds: float

    def ends(self, metric: str) -> list[float]:
        """What each seed reached at the last point."""
        return self.metrics[metric][-1]


def train(task: str, algorithm: str, steps: int, seeds: list[int], changes: dict[str, object]) -> Curve:
    """One process, one thread, all its seeds side by side."""
    torch.set_num_threads(1)
    made = make_task(task)
    config = train_config(made.card, algorithm, {"steps": steps, **changes})
    began = time.perf_counter()
    trainer = Trainer(made, None, config, seeds)
    curve = Curve([], {metric.name: [] for metric in made.card.metrics}, 0.0)
    while not trainer.finished:
        trainer.advance()
        if trainer.steps * POINTS >= steps * (len(curve.steps) + 1):
            curve.steps.append(trainer.steps)
            for name, value in made.metrics(trainer.evaluate(EPISODES, EVALUATION_SEED)).items():
                curve.metrics[name].append(value.float().mean(-1).tolist())
    return Curve(curve.steps, curve.metrics, time.perf_counter() - began)


def train_everywhere(task: str, algorithm: str, steps: int, seeds: int, changes: dict[str, object]) -> Curve:
    """The seeds shared out over the cores, one process each."""
    cores = min(len(os.sched_getaffinity(0)), seeds)
    shares = [list(range(first, seeds, cores)) for first in range(cores)]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(train, task, algorithm, steps, share, changes) for share in shares]
        curves = [job.result() for job in jobs]
    joined = {
        name: [[value for curve in curves for value in curve.metrics[name][point]] for point in range(POINTS)]
        for name in curves[0].metrics
    }
    return Curve(curves[0].steps, joined, max(curve.seconds for curve in curves))


def measure(case: Case) -> Curve:
    return train_everywhere(case.task, case.algorithm, case.steps, case.seeds, case.changes)


def draw(name: str, case: Case, curve: Curve) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = name
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.2, 3.2), layout="constrained")
    values = curve.metrics[case.metric]
    for seed in range(case.seeds):
        axes.plot(curve.steps, [point[seed] for point in values], color="#4477aa", alpha=0.35, linewidth=1)
    axes.plot(curve.steps, [statistics.mean(point) for point in values], color="#224466", linewidth=2, label="mean")
    axes.axhline(case.above, color="#bb5566", linestyle="--", linewidth=1, label=f"{case.above:g}")
    axes.set(xlabel="environment steps", ylabel=case.unit, title=f"{case.task}, {case.algorithm.upper()}")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def main(arguments: list[str]) -> None:
    if len(arguments) >= 4 and arguments[0] not in CASES:
        task, algorithm, steps, seeds, *pairs = arguments
        changes = {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in pairs)}
        curve = train_everywhere(task, algorithm, int(steps), int(seeds), changes)
        for point, at in enumerate(curve.steps):
            told = (f"{name} {statistics.mean(values[point]):.3f}" for name, values in curve.metrics.items())
            print(f"{at:>10,}  {'  '.join(told)}")
        print("ends", {name: [round(value, 2) for value in values[-1]] for name, values in curve.metrics.items()})
        print(f"{curve.seconds:.0f} s, {int(steps) * int(seeds) / curve.seconds:,.0f} environment steps/s")
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    print("| case | task | algorithm | steps | metric | bar | mean | each seed | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments or CASES:
        case = CASES[name]
        curve = measure(case)
        draw(name, case, curve)
        ends = curve.ends(case.metric)
        results[name] = {**vars(case), "curve": vars(curve)}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        each = ", ".join(f"{value:.2f}" for value in ends)
        print(
            f"| {name} | {case.task} | {case.algorithm} | {case.steps:,} | {case.metric}, {case.unit} "
            f"| {case.above:g} | {statistics.mean(ends):.2f} | {each} | {curve.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
