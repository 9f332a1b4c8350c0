"""A signal that was accepted for training is not trained again under another spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graph_fakes import Equipment, FakeExecutor, ScriptedGenerator, ScriptedValidator, make_settings, proposal, weighted

from marlsmith.graph.proposing.twins import same
from marlsmith.graph.run import start
from marlsmith.schemas import Approach, Fingerprint, Proposal, RewardConfig, Signal, TeamSuccess


def run(path: Path, script: dict[Any, Any], executor: FakeExecutor | None = None, **settings: Any) -> list[dict]:
    equipment = Equipment(executor, ScriptedGenerator(script), validator=settings.pop("validator", None))
    return list(start(make_settings(**{"candidates": 1, "rounds": 2, **settings}), equipment, path))


def checks(events: list[dict]) -> dict[str, tuple[bool, str]]:
    told = [event for event in events if event["event"] == "check"]
    return {event["candidate"]: (event["accepted"], " ".join(event["problems"])) for event in told}


def trained(events: list[dict]) -> set[str]:
    return {event["candidate"] for event in events if event["event"] == "tool_call"}


def shaped(*terms: Any, alpha: float = 0.5) -> Proposal:
    return Proposal(signal=Signal(reward=RewardConfig(terms=terms, alpha=alpha)), kind="new", rationale="try")


ALONE, ALONE_TOO = shaped(Approach(weight=2)), shaped(Approach(weight=2), alpha=0.9)
OTHER = shaped(Approach(weight=2), TeamSuccess(), alpha=0.9)


def test_other_words_for_the_same_are_refused_and_go_to_the_repair(tmp_path: Path) -> None:
    executor = FakeExecutor()
    events = run(tmp_path / "run", {(1, 0): [ALONE], (2, 0): [ALONE_TOO], (2, 1): [OTHER]}, executor)
    found = checks(events)
    assert found["s1r1c1"][0]
    assert found["s1r2c1"] == (
        False,
        "it is s1r1c1 in other words, which was already tried: propose something else",
    )
    assert found["s1r2c1-fix1"][0]
    assert trained(events) == {"native", "s1r1c1", "s1r2c1-fix1"}
    assert ALONE_TOO.signal not in executor.probed  # its form was enough


def test_what_does_the_same_is_refused_with_the_name_of_its_twin_and_dropped_in_the_end(tmp_path: Path) -> None:
    executor = FakeExecutor(behaves=lambda signal: "the same")
    script = {(1, 0): [proposal(1)], (2, 0): [proposal(2)], (2, 1): [proposal(3)]}
    events = run(tmp_path / "run", script, executor)
    found = checks(events)
    words = "it behaves exactly as s1r1c1, which was already tried: propose something else"
    assert found["s1r2c1"] == found["s1r2c1-fix1"] == (False, words)
    assert trained(events) == {"native", "s1r1c1"}


def test_of_two_twins_in_one_pass_the_first_is_trained(tmp_path: Path) -> None:
    executor = FakeExecutor(behaves=lambda signal: "the same")
    events = run(tmp_path / "run", {(1, 0): [proposal(1), proposal(2)]}, executor, candidates=2, rounds=1, repairs=0)
    assert [accepted for accepted, _ in checks(events).values()] == [True, False]


def test_one_that_was_refused_may_come_again_mended(tmp_path: Path) -> None:
    """Only what is accepted for training counts: here the validator refused the first of two twins."""
    executor = FakeExecutor(behaves=lambda signal: "the same")
    script = {(1, 0): [proposal(1)], (2, 0): [proposal(2)]}
    events = run(tmp_path / "run", script, executor, repairs=0, validator=ScriptedValidator(vetoes=["s1r1c1"]))
    assert [accepted for accepted, _ in checks(events).values()] == [False, True]


def test_values_are_kept_so_that_a_resumed_run_asks_no_worker_again(tmp_path: Path) -> None:
    executor = FakeExecutor()
    run(tmp_path / "run", {(1, 0): [proposal(1)], (2, 0): [proposal(2)]}, executor)
    assert executor.probed == [weighted(1), weighted(2)]
    assert (tmp_path / "run/candidates/s1r1c1-values.json").is_file()


def printed(*reward: float, features: tuple[float, ...] = (), rows: int = 8) -> Fingerprint:
    return Fingerprint(rows=rows, reward=reward, features=features, columns=len(features))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (printed(100.0, 1.0), printed(100.00009, 1.00009), True),  # within a millionth of the largest
        (printed(100.0, 1.0), printed(100.0, 1.0002), False),
        (printed(1.0, 2.0), printed(2.0, 4.0), False),  # a constant factor
        (printed(0.0), printed(0.0), True),
        (printed(0.0), printed(1e-9), False),
        (printed(1.0), printed(1.0, features=(1.0,)), False),
        (printed(1.0, features=(1.0,)), printed(1.0, features=(1.0,)), True),
        (printed(1.0, features=(1.0,)), printed(1.0, features=(1.1,)), False),
        (printed(1.0), printed(1.0, rows=9), False),
        (printed(1.0), printed(), False),
    ],
)
def test_what_is_the_same(one: Fingerprint, other: Fingerprint, alike: bool) -> None:
    assert same(one, other) is same(other, one) is alike
