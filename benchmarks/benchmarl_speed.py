"""How fast BenchMARL trains VMAS simple_spread. Runs in an environment of its own, without marlsmith.

VMAS is GPLv3 and torchrl wants its own versions, so neither belongs among our dependencies:

    python3.11 -m venv ~/benchmarl
    ~/benchmarl/bin/pip install benchmarl==1.5.2 vmas==1.5.2 torchrl==0.11.1 tensordict==0.11.0 torch==2.13.0 \
        torchvision==0.28.0 numpy==2.4.6
    ~/benchmarl/bin/python benchmarks/benchmarl_speed.py [THREADS]     2 threads by default
    BENCHMARL_PYTHON=~/benchmarl/bin/python make bench                 beside our own numbers

Prints one JSON object per algorithm; what the library itself says goes to stderr. The speed is the median of SAMPLES
measurements, after one iteration that does not count; `frames` and `seconds` are those of the median. A frame is one
step of one environment, all agents together. An iteration is everything: playing, learning, its own bookkeeping of
returns; without loggers, checkpoints and evaluation. Only a quiet machine gives numbers that mean anything: where other
programs use the cores, two threads are several times slower than one.

The setting: 3 agents, episodes of 25 steps, two hidden layers of 64 with ReLU, shared by the agents; 80 environments.
IPPO and MAPPO: 4 epochs of 4 minibatches over 2,000 frames. QMIX: 32 updates of 128 frames for every 800 played. All
else is BenchMARL's default. VMAS's simple_spread is not quite PettingZoo's: 9 discrete actions (ours 5), observations
of 14 numbers (ours 18), other physics; the work of a step is alike, returns cannot be compared.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
import tempfile
import time
from contextlib import redirect_stdout

import torch

try:
    from benchmarl.algorithms import IppoConfig, MappoConfig, QmixConfig
    from benchmarl.environments import VmasTask
    from benchmarl.experiment import Callback, Experiment, ExperimentConfig
    from benchmarl.models.mlp import MlpConfig
except ImportError as missing:
    sys.exit(f"{sys.executable} has no {missing.name}: make an environment with the commands at the top of {__file__}")

ALGORITHMS = {"ippo": IppoConfig, "mappo": MappoConfig, "qmix": QmixConfig}
SAMPLES = 5
ITERATIONS = 5  # of a sample: a whole number of episodes on policy (25 steps each) and off policy (10 steps each)


class Marks(Callback):
    """Frames played and the time at the end of each iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[tuple[int, float]] = []

    def on_train_end(self, training_td: object, group: str) -> None:
        self.at.append((self.experiment.total_frames, time.perf_counter()))


def settings(folder: str) -> ExperimentConfig:
    config = ExperimentConfig.get_from_yaml()
    config.prefer_continuous_actions = False
    config.max_n_frames = None
    config.max_n_iters = 1 + SAMPLES * ITERATIONS
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = 80
    config.on_policy_collected_frames_per_batch = 2000
    config.on_policy_n_minibatch_iters = 4
    config.on_policy_minibatch_size = 500
    config.off_policy_collected_frames_per_batch = 800
    config.off_policy_n_optimizer_steps = 32
    config.off_policy_train_batch_size = 128
    config.off_policy_memory_size = 20_000
    config.evaluation = config.create_json = False
    config.loggers = []
    config.checkpoint_interval = 0
    config.save_folder = folder
    return config


def measure(algorithm: str) -> dict[str, object]:
    task = VmasTask.SIMPLE_SPREAD.get_from_yaml()
    task.config["max_steps"] = 25
    model = MlpConfig(num_cells=[64, 64], layer_class=torch.nn.Linear, activation_class=torch.nn.ReLU)
    marks = Marks()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        Experiment(
            task=task,
            algorithm_config=ALGORITHMS[algorithm].get_from_yaml(),
            model_config=model,
            seed=0,
            config=settings(folder),
            callbacks=[marks],
        ).run()
    samples = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(marks.at[::ITERATIONS])]
    frames, seconds = sorted(samples, key=lambda sample: sample[0] / sample[1])[SAMPLES // 2]
    return {
        "algorithm": algorithm,
        "environment_steps_per_second": round(frames / seconds),
        "frames": frames,
        "seconds": round(seconds, 3),
    }


def main() -> None:
    logging.getLogger("torchrl").setLevel(logging.WARNING)  # it writes to stdout, where only our objects belong
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for algorithm in ALGORITHMS:
        print(json.dumps(measure(algorithm)), flush=True)


if __name__ == "__main__":
    main()
