"""What the offline generator's first designs bring a main run on the sparse tasks, without any gate.

python benchmarks/sparse_signals.py [MEMBERS] [BRIEF SEED]
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from marlsmith.agents.offline import OfflineGenerator
from marlsmith.graph.methods import PRESETS
from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import NATIVE, ProposalBrief, Scope, Signal

TASKS: dict[str, Scope] = {
    "mpe/simple_spread_sparse": "own",
    "mpe/simple_reference_sparse": "team",
    "lbf/8x8-2p-2f-coop": "own",
}
METHOD = PRESETS["llm-also"]
EPISODES, EVALUATION_SEED = 50, 1


def designs(name: str, seed: int) -> list[tuple[str, Signal]]:
    """The native task, and what is proposed first."""
    brief = ProposalBrief(
        task=make_task(name).card,
        count=METHOD.candidates,
        evolve="both",
        scope=TASKS[name],
        signals="config",
        reward_mode=METHOD.reward_mode,
        stage=1,
        round=1,
        seed=seed,
    )
    proposals = [proposal.signal for proposal in OfflineGenerator().propose(brief)]
    return [("native", NATIVE), *((f"proposal {i}", signal) for i, signal in enumerate(proposals, 1))]


def row(name: str, label: str, signal: Signal, members: int) -> str:
    """One training that takes up the signal at its start, as a main run does: new columns enter with no weights."""
    torch.set_num_threads(1)
    task = make_task(name)
    changes = {"steps": METHOD.stages * METHOD.branch_steps, "fade": METHOD.fade}
    trainer = Trainer(task, None, train_config(task.card, "mappo", changes), range(members), METHOD.reward_mode)
    if not signal.is_native:
        trainer.switch(build_program(signal, task.card), None, METHOD.value_warm_up)
    cells = []
    for stage in range(1, METHOD.stages + 1):
        while trainer.steps < stage * METHOD.branch_steps:
            trainer.advance()
        scores = task.metrics(trainer.evaluate(EPISODES, EVALUATION_SEED))[task.card.score].float().mean(-1)
        cells.append(f"{scores.mean():.2f}")
    return f"| {name} | {label} | {' | '.join(cells)} | {scores.min():.2f} |"


def main() -> None:
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    stages = [f"{stage * METHOD.branch_steps:,}" for stage in range(1, METHOD.stages + 1)]
    print(f"score after so many environment steps, mean of {members} members; the last column is the lowest member's\n")
    print(f"| task | signal | {' | '.join(stages)} | lowest |\n|---|---|{'---|' * (len(stages) + 1)}")
    jobs = [(name, label, signal, members) for name in TASKS for label, signal in designs(name, seed)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for line in pool.map(row, *zip(*jobs, strict=True)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
