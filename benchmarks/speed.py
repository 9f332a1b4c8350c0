"""How fast we step and train, and how cost grows. `make bench` runs it on a quiet machine.

python benchmarks/speed.py [SECONDS]      seconds of each measurement, 3 by default

"all cores" runs one single-threaded process on each core at once and adds up what they do. With BENCHMARL_PYTHON
set to the interpreter of an environment that has BenchMARL (see benchmarl_speed.py), its numbers come last.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from marlsmith.marl.presets import train_config
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.workers.environment import KEEP_MEMORY

CORES = len(os.sched_getaffinity(0))
SPREAD = "mpe/simple_spread"
SAMPLES = 5


@dataclass(frozen=True)
class Stepping:
    """Random actions in a task's environments, nothing learned."""

    task: str
    environments: int

    def open(self) -> Callable[[], int]:
        made = make_task(self.task)
        running = made.open([generator(0, "benchmark")], self.environments)
        shape = (32, 1, self.environments, made.card.agents)
        actions = torch.randint(0, len(made.card.actions.meanings[0]), shape, generator=generator(0, "actions"))

        def work() -> int:
            for action in actions:
                outcome = running.step(action)
                ended = outcome.terminated | outcome.truncated
                if bool(ended.any()):
                    running.restart(ended)
            return 32 * self.environments

        return work


@dataclass(frozen=True)
class Training:
    """Whole training: playing, learning, no evaluation."""

    algorithm: str
    seeds: int
    task: str = SPREAD
    settings: dict[str, Any] = field(default_factory=dict)

    def open(self) -> Callable[[], int]:
        made = make_task(self.task)
        config = train_config(made.card, self.algorithm, {**self.settings, "steps": 10**9})
        trainer = Trainer(made, None, config, range(self.seeds))
        while trainer.steps < 1000:  # replays must hold a batch before anything is learned from them
            trainer.advance()

        def work() -> int:
            before = trainer.steps
            trainer.advance()
            return (trainer.steps - before) * self.seeds

        return work

    def flops(self) -> float:
        """Floating point operations of matrix products for one environment step."""
        from torch.utils.flop_counter import FlopCounterMode

        work = self.open()
        with FlopCounterMode(display=False) as counter:
            steps = work()
        return counter.get_total_flops() / steps


Job = Stepping | Training

DEFAULTS: dict[str, Any] = {}

# JaxMARL's IPPO on MPE: 16 environments, 128 steps, 4 epochs, 4 minibatches.
JAXMARL_PPO = {"environments": 16, "rollout": 128, "epochs": 4, "minibatches": 4}
# JaxMARL's QMIX: 8 environments, 26 steps, then one update of 32 episodes.
JAXMARL_Q = {"environments": 8, "rollout": 26, "updates": 1, "batch": 32, "sequence": 25}
# BenchMARL's, as in benchmarl_speed.py.
BENCHMARL_PPO = {"environments": 80, "rollout": 25, "epochs": 4, "minibatches": 4}
BENCHMARL_Q = {"environments": 80, "rollout": 10, "updates": 32, "batch": 128, "sequence": 1}


def repeat(job: Job, seconds: float, ready: Barrier, answer: Connection) -> None:
    """In a process of its own: SAMPLES speeds, each measured while the other processes measure theirs."""
    torch.set_num_threads(1)
    work = job.open()
    work()
    speeds = []
    for _ in range(SAMPLES):
        ready.wait()
        steps, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds / SAMPLES:
            steps += work()
        speeds.append(steps / spent)
    answer.send(speeds)


def speed(job: Job, processes: int, seconds: float) -> float:
    """Environment steps per second of all processes together, the median of SAMPLES."""
    context = get_context("spawn")
    barrier = context.Barrier(processes)
    with ExitStack() as stack:
        answers = []
        for _ in range(processes):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=repeat, args=(job, seconds, barrier, theirs), daemon=True)
            process.start()
            stack.callback(process.join)
            answers.append(mine)
        samples = [answer.recv() for answer in answers]
    return statistics.median(sum(sample) for sample in zip(*samples, strict=True))


def matmul_rate() -> float:
    """Floating point operations per second of a large float32 product on one thread."""
    a, b = torch.randn(2, 1024, 1024)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - began)
    return 2 * 1024**3 / statistics.median(times)


def table(title: str, head: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print("| " + " | ".join(f"{x:,.0f}" if isinstance(x, float) else str(x) for x in row) + " |", flush=True)


def stepping_rows(seconds: float) -> Iterator[tuple[object, ...]]:
    for task, environments in [
        *((SPREAD, count) for count in (16, 128, 1024, 4096)),
        *((f"{SPREAD}?agents={agents}", 1024) for agents in (5, 10)),
        *((name, 1024) for name in ("mpe/simple_reference", "mpe/simple_speaker_listener", "mpe/simple_spread_sparse")),
        *((name, 1024) for name in ("lbf/8x8-2p-2f-coop", "lbf/15x15-4p-5f")),
    ]:
        job = Stepping(task, environments)
        yield task, environments, speed(job, 1, seconds), speed(job, CORES, seconds)


def training_rows(seconds: float, rate: float) -> Iterator[tuple[object, ...]]:
    for words, settings, algorithms, counts in (
        ("JaxMARL's", JAXMARL_PPO, ("ippo", "mappo"), (1, 4, 8)),
        ("JaxMARL's", JAXMARL_Q, ("vdn", "qmix"), (1, 4, 8)),
        ("JaxMARL's, GRU", {**JAXMARL_PPO, "network": "gru"}, ("ippo",), (4,)),
        ("JaxMARL's, GRU", {**JAXMARL_Q, "network": "gru"}, ("qmix",), (4,)),
        ("BenchMARL's", BENCHMARL_PPO, ("ippo", "mappo"), (1, 4)),
        ("BenchMARL's", BENCHMARL_Q, ("qmix",), (1, 4)),
        ("our presets", DEFAULTS, ("mappo", "ippo", "vdn", "qmix"), (4,)),
    ):
        for name in algorithms:
            for seeds in counts:
                job = Training(name, seeds, settings=settings)
                alone, together = speed(job, 1, seconds), speed(job, CORES, seconds)
                yield name, words, seeds, alone, together, f"{alone * job.flops() / rate:.0%}"


def growth_rows(seconds: float) -> Iterator[tuple[object, ...]]:
    """Seconds for one environment step of every seed and environment, as a multiple of the row before."""
    sizes: dict[str, list[tuple[int, Training, int]]] = {
        "seeds": [(n, Training("ippo", n, settings=JAXMARL_PPO), n) for n in (1, 2, 4, 8, 16)],
        "environments": [
            (n, Training("ippo", 4, settings={**JAXMARL_PPO, "environments": n}), n) for n in (8, 16, 32, 64)
        ],
        "agents": [(n, Training("ippo", 4, f"{SPREAD}?agents={n}", JAXMARL_PPO), 1) for n in (3, 5, 10)],
    }
    for what, jobs in sizes.items():
        before: float | None = None
        for number, job, copies in jobs:
            found = speed(job, 1, seconds)
            cost = copies / found
            yield what, number, found, "" if before is None else f"{cost / before:.2f}"
            before = cost


def benchmarl_rows(python: str) -> Iterator[tuple[object, ...]]:
    script = str(Path(__file__).with_name("benchmarl_speed.py"))
    found: dict[str, dict[int, float]] = {}
    for threads in (1, CORES):
        done = subprocess.run([python, script, str(threads)], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            said = json.loads(line)
            found.setdefault(said["algorithm"], {})[threads] = float(said["environment_steps_per_second"])
    for algorithm, speeds in found.items():
        yield algorithm, *speeds.values()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    torch.set_num_threads(1)
    os.environ.update(KEEP_MEMORY)  # the processes are to be like those that train
    rate = matmul_rate()
    print(f"{CORES} cores; a float32 product of 1,024 x 1,024 runs at {rate / 1e9:.0f} GFLOP/s on one thread.")
    head = ("one core", "all cores")
    table("Stepping alone, environment steps/s", ("task", "environments", *head), stepping_rows(seconds))
    table(
        "Training simple_spread, environment steps/s of all seeds",
        ("algorithm", "settings", "seeds a process", *head, "of the matmul rate"),
        training_rows(seconds, rate),
    )
    table(
        "Growth on one core: cost against the row before (IPPO)",
        ("of", "number", "steps/s", "times the cost"),
        growth_rows(seconds),
    )
    if python := os.environ.get("BENCHMARL_PYTHON"):
        head = ("algorithm", "one thread", "a thread on each core")
        table("BenchMARL on VMAS simple_spread, environment steps/s", head, benchmarl_rows(python))


if __name__ == "__main__":
    main()
