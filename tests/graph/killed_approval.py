"""A run with questions, of which each process answers one, and may die: killed_approval.py RUN MARKER LOG."""

from __future__ import annotations

import sys
from pathlib import Path

from graph_fakes import Deadly, Equipment, FakeExecutor, ScriptedGenerator, make_settings, proposal, weighted

from marlsmith.graph import nodes
from marlsmith.graph.approving import approval
from marlsmith.graph.approving.approval import Answer
from marlsmith.graph.methods import method_from
from marlsmith.graph.run import WaitingForApproval, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import TrainConfig

ANSWERS = {
    "s1r1c2-answer1": Answer(decision="edit", signal=weighted(-3.0)),
    "s1r1c2-answer2": Answer(decision="edit", signal=weighted(4.0)),
    "s1r1c2-edit2-answer1": Answer(decision="yes"),
}
WAITS = 10


def main(run: Path, marker: Path, log: Path) -> None:
    deadly = Deadly(marker)
    answered, advance, once = approval.answered, nodes.main_run_after, RunDirectory.once

    def keeping(self: RunDirectory, name: str, *arguments: object) -> object:
        kept = once(self, name, *arguments)  # type: ignore[arg-type]
        deadly.here(f"kept:{name}")
        return kept

    def deciding(answer: Answer, *arguments: object) -> object:
        deadly.here(f"before:{answer.decision}")
        decided = answered(answer, *arguments)  # type: ignore[arg-type]
        deadly.here(f"decided:{answer.decision}")
        return decided

    def promoting(*arguments: object) -> object:
        deadly.here("advance")
        return advance(*arguments)  # type: ignore[arg-type]

    RunDirectory.once = keeping  # type: ignore[method-assign, assignment]
    approval.answered = deciding  # type: ignore[assignment]
    nodes.main_run_after = promoting  # type: ignore[assignment]
    script = ScriptedGenerator({(1, 0): [proposal(1.0), proposal(2.0), proposal(1.5)]})
    equipment = Equipment(FakeExecutor(workers=1, log=log, deadly=deadly), script)
    method = method_from("llm-also", {"approve": True, "stages": 1, "rounds": 1, "audit": 0.0})
    settings = make_settings(method=method, train=TrainConfig(steps=method.branch_steps), workers=1)
    answer = None
    if run.exists():
        asked = [event for event in RunDirectory.open(run).events() if event["event"] == "approval"]
        name = approval.answer_name(asked[-1]) if asked and asked[-1]["status"] == "asked" else ""
        answer = None if RunDirectory.open(run).kept(name, Answer) else ANSWERS.get(name)
    try:
        for event in resume(run, equipment, answer=answer) if run.exists() else start(settings, equipment, run):
            deadly.here(f"after:{event['event']}")
    except WaitingForApproval:
        sys.exit(WAITS)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
