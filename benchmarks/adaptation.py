"""LLM-ALSO against its arms: final score and area under the main run's curve, at the same number of main-run steps.

python benchmarks/adaptation.py [TASK...] [--runs RUNS] [--arms ARM,ARM] [--branch-steps STEPS] [--out DIR]
                                [--generator WHO] [--critic WHO] [--finished]

Each run is one `marlsmith run --method ARM --seed SEED` with eight members; arms are paired by run seed, and so by
members, start states and evaluation episodes. `saboteur` is llm-also without a validator and with a generator that
turns the designer's rewards round and keeps its words. Runs are kept in DIR: what has finished is not run again, and
`--finished` runs nothing more. The results are printed as Markdown and written to benchmarks/results/adaptation.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from marlsmith.agents.config import Choice
from marlsmith.agents.offline import OfflineCritic, OfflineGenerator
from marlsmith.agents.roles import Roles
from marlsmith.commands.local import Local
from marlsmith.commands.options import BranchOptions
from marlsmith.commands.run import RunOptions, run_settings
from marlsmith.graph.context import Parts
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.executor import Executor
from marlsmith.marl.statistics import bootstrap_interval, iqm, paired_gain
from marlsmith.schemas import Proposal, ProposalBrief, RewardConfig

FULL, SABOTEUR = "llm-also", "saboteur"
ARMS = (FULL, "also-metrics", "also-one-shot", "also-always", "also-sparse", SABOTEUR)
SCOPES = {"mpe/simple_spread_sparse": "own", "mpe/simple_reference_sparse": "team", "lbf/8x8-2p-2f-coop": "own"}
RESULTS = Path(__file__).parent / "results" / "adaptation.json"
EVALUATION_SEED = 20_261_121


class Saboteur:
    """Proposes what the designer would, with every weight of the reward turned round, in the designer's words."""

    name = "saboteur"

    def __init__(self) -> None:
        self._designer = OfflineGenerator()

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        return [_turned_round(proposal) for proposal in self._designer.propose(brief)]


def _turned_round(proposal: Proposal) -> Proposal:
    reward = proposal.signal.reward
    if not isinstance(reward, RewardConfig):
        return proposal
    terms = tuple(term.model_copy(update={"weight": -term.weight}) for term in reward.terms)
    signal = proposal.signal.model_copy(update={"reward": reward.model_copy(update={"terms": terms})})
    return proposal.model_copy(update={"signal": signal})


class Sabotaged(Local):
    """The outfitter of a run on this machine, with the saboteur for a generator and nobody to review."""

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        parts = super().equip(directory, executor)
        return replace(parts, roles=Roles((Saboteur(),), OfflineCritic(), None))


@dataclass(frozen=True)
class Result:
    """One run."""

    task: str
    arm: str
    seed: int
    final: float
    """Interquartile mean over the members, on episodes that only the last comparison sees."""
    area: float
    peak: float
    promotions: int
    rollbacks: int
    main_steps: int
    search_steps: int
    seconds: float
    competence: float | None
    dropped: int
    audited: int
    missed: int


def result(task: str, arm: str, seed: int, options: argparse.Namespace) -> Result:
    settings, path = _settings(task, arm, seed, options), _place(task, arm, seed, options)
    if not _has_finished(path):
        outfitter = (Sabotaged if arm == SABOTEUR else Local)(unsafe_jail=False)
        for _ in resume(path, outfitter) if path.exists() else start(settings, outfitter, path):
            pass
    told = list(RunDirectory.open(path).events())
    last = next(event for event in told if event["event"] == "finished")
    main: Mapping[str, Any] = last["main"]
    return Result(
        task=task,
        arm=arm,
        seed=seed,
        final=(last["best"] or last["native"])["score"],
        area=main["area"],
        peak=main["peak"],
        promotions=sum(event["event"] == "promoted" for event in told),
        rollbacks=sum(lap["rolled_back_to"] is not None for lap in main["laps"]),
        main_steps=main["main_steps"],
        search_steps=main["search_steps"],
        seconds=last["seconds"],
        **{name: main[name] for name in ("competence", "dropped", "audited", "missed")},
    )


def _place(task: str, arm: str, seed: int, options: argparse.Namespace) -> Path:
    return Path(options.out) / f"{task.replace('/', '-')}-{arm}-{seed}"


def _has_finished(path: Path) -> bool:
    return path.exists() and any(event["event"] == "finished" for event in RunDirectory.open(path).events())


def _settings(task: str, arm: str, seed: int, options: argparse.Namespace) -> RunSettings:
    branch = BranchOptions(
        task=task,
        task_options=(),
        algorithm="mappo",
        train_options=(),
        device="cpu",
        steps=None,
        episodes=50,
        evaluation_seed=EVALUATION_SEED,
        branch_seconds=1200,
        unsafe_jail=False,
    )
    roles = Choice(generators=(options.generator,), critic=options.critic)
    method = FULL if arm == SABOTEUR else arm
    overrides: dict[str, object] = {"scope": SCOPES.get(task, "own"), "plain": False}  # that is an arm of its own
    if options.branch_steps is not None:
        overrides["branch_steps"] = options.branch_steps
    return run_settings(RunOptions(branch, method, overrides, roles, seed=seed, workers=None, out=None))


# ---------------------------------------------------------------- telling


def tables(results: Sequence[Result]) -> Iterator[str]:
    yield (
        "| task | arm | runs | final | 95% | area | 95% | area, full above it | final, full above it | promotions | "
        "rollbacks | search steps | seconds |"
    )
    yield "|" + "---|" * 13
    for task in dict.fromkeys(one.task for one in results):
        of_task = {arm: [r for r in results if (r.task, r.arm) == (task, arm)] for arm in ARMS}
        for arm, runs in of_task.items():
            if runs:
                yield _row(task, arm, runs, of_task[FULL])


def _row(task: str, arm: str, runs: Sequence[Result], full: Sequence[Result]) -> str:
    finals, areas = [run.final for run in runs], [run.area for run in runs]
    cells = [task, arm, str(len(runs)), f"{iqm(finals):.3f}", _interval(finals), f"{iqm(areas):.3f}", _interval(areas)]
    cells += ["", ""] if arm == FULL else [_above(full, runs, "area"), _above(full, runs, "final")]
    cells += [f"{sum(run.promotions for run in runs)}", f"{sum(run.rollbacks for run in runs)}"]
    cells += [f"{sum(run.search_steps for run in runs) / len(runs):,.0f}"]
    cells += [f"{sum(run.seconds for run in runs) / len(runs):.0f}"]
    return f"| {' | '.join(cells)} |"


def _interval(scores: Sequence[float]) -> str:
    low, high = bootstrap_interval(scores)
    return f"[{low:.3f}, {high:.3f}]"


def _above(full: Sequence[Result], arm: Sequence[Result], field: str) -> str:
    """Mean paired difference over the run seeds that both have, two-sided 95%."""
    ours = {run.seed: getattr(run, field) for run in full}
    theirs = {run.seed: getattr(run, field) for run in arm}
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < 2:
        return ""
    gain = paired_gain([ours[seed] for seed in shared], [theirs[seed] for seed in shared], 0.05)
    return f"{gain.mean:+.3f} [{gain.interval[0]:+.3f}, {gain.interval[1]:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tasks", nargs="*", default=list(SCOPES))
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", default="runs/adaptation")
    parser.add_argument("--generator", default="offline")
    parser.add_argument("--critic", default="offline")
    parser.add_argument("--branch-steps", type=int, default=None)
    parser.add_argument("--finished", action="store_true")
    options = parser.parse_args()
    results: list[Result] = []
    for task in options.tasks:
        for seed in range(options.runs):
            for arm in options.arms.split(","):
                if options.finished and not _has_finished(_place(task, arm, seed, options)):
                    continue
                found = result(task, arm, seed, options)
                results.append(found)
                print(json.dumps(asdict(found)), flush=True)
    print("\n".join(tables(results)))
    RESULTS.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
