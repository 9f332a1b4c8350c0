"""Where generators try their signals: the rules and checks of the run, in words, and told to the trace."""

from __future__ import annotations

import threading
from pathlib import Path

from graph_fakes import Equipment, FakeExecutor, make_settings, weighted

from marlsmith.agents.roles import Generator, Roles
from marlsmith.graph.context import Parts
from marlsmith.graph.proposing.workbench import MOST_COLUMNS, ExecutorWorkbench, described
from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.executor import Cancelled, Executor
from marlsmith.schemas import (
    NATIVE,
    Failure,
    Fingerprint,
    Proposal,
    ProposalBrief,
    Scope,
    Signal,
    SignalValues,
    TermValues,
    ToolUse,
    Values,
)

COLUMN = Values(mean=0.5, spread=0.25, least=-1, most=1, share=0.75)
TERM = TermValues(mean=0.5, spread=0.25, least=-1, most=1, share=0.75, native=0.125, means={"random play": 0.0625})
FLAT = TermValues(mean=2, spread=0, least=2, most=2, share=1)
VALUES = SignalValues(rows=8, terms={"near": TERM, "flat": FLAT}, reward=TERM, fingerprint=Fingerprint(rows=8))


def bench(executor: FakeExecutor | None = None, **settings: object) -> ExecutorWorkbench:
    return ExecutorWorkbench(executor or FakeExecutor(), make_settings(**settings))


def test_a_check_says_what_rules_and_executor_would() -> None:
    assert bench().check(weighted(1)) == []
    assert bench(FakeExecutor(unsound=lambda signal: True)).check(weighted(1)) == ["not a number"]
    assert "changes nothing" in bench().check(NATIVE)[0]
    assert "evolves the observation only" in bench(evolve="observation").check(weighted(1))[0]


def test_a_probe_is_of_sound_signals_only() -> None:
    executor = FakeExecutor(unsound=lambda signal: True)
    assert bench(executor).probe(weighted(1)) == "It would be refused, so it was not probed:\n- not a number"
    assert executor.probed == []
    assert bench().probe(weighted(1)).startswith("Values on ")


def test_neither_raises_when_the_run_is_being_halted() -> None:
    class Halted(FakeExecutor):
        def check(self, signal: Signal, task: str, scope: Scope, rows: int = 1) -> list[Failure]:
            raise Cancelled("halt")

    assert "cannot be tried now (halt)" in bench(Halted()).check(weighted(1))[0]
    assert "cannot be tried now (halt)" in bench(Halted()).probe(weighted(1))


def test_values_in_words() -> None:
    lines = described(VALUES).splitlines()
    said = "mean 0.5, spread 0.25, from -1 to 1, not zero in 75%"
    assert f"- near: {said}; correlation with the native reward 0.12; mean in random play 0.0625" in lines
    assert "- flat: always 2" in lines
    many = described(VALUES.model_copy(update={"terms": {}, "reward": None, "features": (COLUMN,) * 60}))
    assert many.splitlines()[-1] == f"- and {60 - MOST_COLUMNS} more columns"
    assert len(many.splitlines()) == MOST_COLUMNS + 3


class Trying:
    """A generator that tries its signal first, from a thread of its own."""

    name = "trying"

    def __init__(self, workbench: ExecutorWorkbench, inner: Generator) -> None:
        self.workbench, self.inner = workbench, inner

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        use = ToolUse(
            role="generator",
            author=self.name,
            place=f"s1r{brief.round}a0/1",
            number=1,
            tool="check_candidate",
            result="Accepted.",
            took=0.125,
        )
        thread = threading.Thread(target=self.workbench.tell, args=(use,))
        thread.start()
        thread.join()
        return self.inner.propose(brief)


class WithWorkbench(Equipment):
    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        parts = super().equip(directory, executor)
        made = ExecutorWorkbench(executor, directory.settings)
        roles = Roles((Trying(made, self.generator),), parts.roles.critic, None)
        return Parts(parts.card, roles, executor, parts.signal_to_code, parts.spent, heard=made.heard)


def test_every_use_stands_in_the_trace(tmp_path: Path) -> None:
    events = list(start(make_settings(rounds=2), WithWorkbench(), tmp_path / "run"))
    told = [event for event in events if event["event"] == "role_tool"]
    assert [event["place"] for event in told] == ["s1r1a0/1", "s1r2a0/1"]
    assert (told[0]["tool"], told[0]["result"], told[0]["author"]) == ("check_candidate", "Accepted.", "trying")
