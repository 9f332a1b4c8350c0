"""What the validator is worth: the same searches with and without it, paired by run seed.

python benchmarks/validator.py [RUNS] [--steps STEPS] [--rounds ROUNDS] [--workers WORKERS]

Two generators: the offline designer, and the same with every second design spoilt in a way that models are
known for (a sign turned round, only penalties, a threshold in the wrong unit, parts switched off, everybody
sent to one target; a rule can see all but the last). All roles are offline, so nothing here needs a key.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.offline import OfflineCritic, OfflineGenerator, OfflineValidator
from marlsmith.agents.roles import Generator, Roles
from marlsmith.graph.context import Parts
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import EvaluationConfig, TrainConfig
from marlsmith.marl.executor import Executor
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.statistics import paired_gain
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import Proposal, ProposalBrief, RewardConfig, Signal

SPOILT: tuple[tuple[str, dict[str, object]], ...] = (
    ("come nearer", {"terms": [{"kind": "approach", "weight": -1}]}),
    ("do not collide", {"terms": [{"kind": "collision"}]}),
    ("be at a target", {"terms": [{"kind": "reach", "threshold": 10.0}]}),
    ("succeed together", {"alpha": 1.0, "terms": [{"kind": "crowding"}, {"kind": "team_success", "credit": "team"}]}),
    ("go where the others go", {"terms": [{"kind": "approach", "assignment": "together"}]}),
)


class SpoilingGenerator:
    """Every second first design of a round is one of SPOILT, with a weight of its own so that none is a double."""

    name = "spoiling generator"

    def __init__(self) -> None:
        self._designer = OfflineGenerator()

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        proposals = self._designer.propose(brief)
        if brief.rejected:
            return proposals
        draw = random.Random(brief.seed)
        return [_spoilt(draw) if slot % 2 else proposal for slot, proposal in enumerate(proposals)]


def _spoilt(draw: random.Random) -> Proposal:
    rationale, reward = draw.choice(SPOILT)
    config = RewardConfig.model_validate(reward)
    scale = round(draw.uniform(0.5, 2.0), 3)
    terms = tuple(term.model_copy(update={"weight": scale * term.weight}) for term in config.terms)
    return Proposal(signal=Signal(reward=config.model_copy(update={"terms": terms})), kind="new", rationale=rationale)


@dataclass(frozen=True)
class Bench:
    """An outfitter: offline roles, with or without the validator."""

    generator: Generator
    reviewed: bool

    def engage(self, settings: RunSettings) -> Executor:
        return LocalExecutor(settings.workers, branch_seconds=settings.branch_seconds)

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        roles = Roles((self.generator,), OfflineCritic(), OfflineValidator() if self.reviewed else None)
        return Parts(make_task(directory.settings.task).card, roles, executor, to_code, Accounts().spent)


@dataclass(frozen=True)
class Outcome:
    score: float
    """Of what the run ends with, on fresh seeds: the promoted signal, else the native task."""
    steps: float
    trainings: float
    refused: int
    vetoed: int


def outcome(settings: RunSettings, bench: Bench) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        events = list(start(settings, bench, Path(scratch) / "run"))
    last = events[-1]
    effect = last["validator"] or {"refused": 0, "vetoed": 0}
    return Outcome(
        score=(last["best"] if last["promoted"] else last["native"])["score"],
        steps=last["environment_steps"],
        trainings=sum(event["event"] == "tool_result" for event in events),
        refused=effect["refused"],
        vetoed=effect["vetoed"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", nargs="?", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print("| generator | runs | score with | without | difference | environment steps | trainings | refused | vetoed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for generator in (OfflineGenerator(), SpoilingGenerator()):
        pairs = []
        for seed in range(options.runs):
            settings = RunSettings(
                task="mpe/simple_spread",
                method=method_from("lero", {"rounds": options.rounds, "candidates": 4}),
                train=TrainConfig(steps=options.steps),
                evaluation=EvaluationConfig(),
                seed=seed,
                workers=options.workers,
            )
            pairs.append((outcome(settings, Bench(generator, True)), outcome(settings, Bench(generator, False))))
        print(row(generator.name, pairs), flush=True)


def row(name: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> str:
    withs, withouts = zip(*pairs, strict=True)

    def difference(field: str, form: str) -> str:
        gain = paired_gain([getattr(w, field) for w in withs], [getattr(w, field) for w in withouts], 0.05)
        return f"{gain.mean:{form}} [{gain.interval[0]:{form}}, {gain.interval[1]:{form}}]"

    cells = (
        name,
        str(len(pairs)),
        f"{sum(w.score for w in withs) / len(pairs):.3f}",
        f"{sum(w.score for w in withouts) / len(pairs):.3f}",
        difference("score", "+.3f"),
        difference("steps", "+,.0f"),
        difference("trainings", "+.1f"),
        str(sum(w.refused for w in withs)),
        str(sum(w.vetoed for w in withs)),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
