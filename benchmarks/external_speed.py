"""Environment steps per second of environments of others: through the whole chain, and stepped directly.

    .venv/bin/python benchmarks/external_speed.py

Random actions; 32 environments behind 1 and 2 host processes, against one environment in this process.
"""

from __future__ import annotations

import argparse
import time

import torch

from marlsmith.marl.external.adapt import build
from marlsmith.marl.external.client import Channel
from marlsmith.marl.external.launch import EnvironmentServer, examine
from marlsmith.marl.external.task import ExternalTask
from marlsmith.marl.seeding import generator

TASKS = (
    "gymnasium:rware:rware-tiny-2ag-v2",
    "gymnasium:lbforaging:Foraging-8x8-2p-2f-coop-v3",
    "pettingzoo:pettingzoo.sisl.multiwalker_v9:parallel_env?n_walkers=2",
)
MEMBERS, ENVIRONMENTS = 4, 8


def chain(reference: str, hosts: int, seconds: float) -> float:
    """Steps of all environments together, restarts included."""
    source, found = examine(reference)
    server = EnvironmentServer(source, found, hosts)
    try:
        task = ExternalTask(source, found, Channel(server.connection))
        running = task.open([generator(seed, "resets") for seed in range(MEMBERS)], ENVIRONMENTS)
        draws, layout = generator(0, "actions"), task.layout
        lead = (MEMBERS, ENVIRONMENTS, layout.agents)
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            if layout.continuous:
                action = torch.rand(*lead, layout.actions, generator=draws) * 2 - 1
            else:
                action = torch.randint(layout.actions, lead, generator=draws)
            outcome = running.step(action)
            done = outcome.terminated | outcome.truncated
            if bool(done.any()):
                running.restart(done)
            steps += done.numel()
        return steps / (time.perf_counter() - start)
    finally:
        server.stop()


def direct(reference: str, seconds: float) -> float:
    """The same environment alone, in a loop without anything else."""
    source, _ = examine(reference)
    environment = build(source)
    parallel = hasattr(environment, "possible_agents")
    environment.reset(seed=0)
    if not parallel:
        environment.action_space.seed(0)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        if parallel:
            environment.step({agent: environment.action_space(agent).sample() for agent in environment.agents})
            over = not environment.agents
        else:
            _, _, done, truncated, _ = environment.step(environment.action_space.sample())
            over = done or truncated
        if over:
            environment.reset()
        steps += 1
    return steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    print(f"{'task':70} {'direct':>8} {'1 host':>8} {'2 hosts':>8}  environment steps/s")
    for reference in TASKS:
        rates = (direct(reference, seconds), chain(reference, 1, seconds), chain(reference, 2, seconds))
        print(f"{reference:70} " + " ".join(f"{rate:8,.0f}" for rate in rates))


if __name__ == "__main__":
    main()
