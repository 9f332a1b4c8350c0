"""`marlsmith prompts`: what is printed is what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app
from marlsmith.prompts import OURS, Prompts


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def printed(*arguments: object) -> list[dict[str, Any]]:
    result = marlsmith("prompts", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_printed_is_what_a_run_sends(tmp_path: Path, chat_endpoint: Callable[..., Any]) -> None:
    endpoint = chat_endpoint("no idea")
    chosen = ["--evolve", "observation", "--scope", "team", "--signals", "config", "--candidates", 2]
    made = marlsmith("run", *chosen, "--generator", endpoint.spec(), "--out", tmp_path / "run", "--json")
    assert made.exit_code == 75, made.stderr  # it pauses, for nobody gave a usable proposal
    told = printed("generator", *chosen, "--generator", endpoint.spec())
    sent = printed("generator", "--run", tmp_path / "run")
    by_place = {each["place"]: each["messages"][:2] for each in sent if len(each["messages"]) == 2}
    assert {each["place"]: each["messages"] for each in told} == by_place
    assert len(told) == 2
    assert not any(each["example"] for each in told)
    (one,) = {each["place"] for each in printed("--run", tmp_path / "run", "--place", told[0]["place"])}
    assert one == told[0]["place"]
    missing = marlsmith("prompts", "--run", tmp_path / "run", "--place", "s9r9")
    assert missing.exit_code == 2
    assert told[0]["place"] in missing.stderr


def test_all_roles_are_printed_and_what_is_made_up_says_so() -> None:
    told = printed("--task", "mpe/simple_spread")
    assert list(dict.fromkeys(each["role"] for each in told)) == ["generator", "critic", "validator"]
    assert {each["role"] for each in told if each["example"]} == {"critic", "validator"}
    assert {each["version"] for each in told} == {Prompts().version}
    text = marlsmith("prompts").stdout
    assert text.count("\n===== generator, s1r1a0/1: user =====\n") == 1
    assert "(as above)" in text
    assert "made up" in text
    assert "mpe/simple_spread" in text


def test_of_a_main_run_a_second_round_after_a_refused_first_is_printed() -> None:
    told = printed("--method", "llm-also", "--candidates", 1)
    assert [each["place"] for each in told if each["role"] == "critic"] == ["s1r1", "s1r2"]
    assert [each["place"] for each in told if each["role"] == "generator"] == ["s1r1a0/1", "s1r2a0/1"]
    assert all(each["example"] for each in told), "the main run that they are told of is made up"
    first, second = (each["messages"][-1]["content"] for each in told if each["role"] == "generator")
    refused = "the lower bound -0.020 of the mean gain +0.100 does not exceed the margin 0"
    assert refused not in first
    assert refused in second
    (again,) = (each["messages"][-1]["content"] for each in told if each["place"] == "s1r2")
    assert "s1r1c1.gain = 0.1" in again
    assert "stage 1 round 1: found nothing; nothing promoted; s1r1c1" in again


def test_a_prelude_is_printed_before_the_main_run_that_carries_its_winner() -> None:
    told = [each for each in printed("generator", "--method", "lero+also") if each["place"].endswith("/1")]
    assert [(each["place"], each["example"]) for each in told] == [
        ("s1r1a0/1", False),
        ("s2r1a0/1", True),
        ("s2r2a0/1", True),
    ]
    searched, adapted, _ = (each["messages"][-1]["content"] for each in told)
    assert "s1r1c1" not in searched
    assert "s1r1c1" in adapted


def test_the_templates_can_be_copied_changed_and_used(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert marlsmith("prompts", "--copy", own).exit_code == 0
    assert {p.relative_to(own) for p in own.rglob("*.md")} == {p.relative_to(OURS) for p in OURS.rglob("*.md")}
    again = marlsmith("prompts", "--copy", own)
    assert again.exit_code == 2
    assert "is not empty" in again.stderr
    (own / "critic" / "system.md").write_text("You are terse.")
    (critic,) = printed("critic", "--prompts", own)
    assert critic["messages"][0]["content"] == "You are terse."
    assert critic["version"] != Prompts().version
    assert "critic/system" in critic["overridden"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["judge"], "there is no role 'judge'"),
        (["--task", "mpe/nothing"], "mpe/nothing"),
        (["--run", "absent"], "is not a run"),
        (["--prompts", "absent"], "is no directory"),
        (["--place", "s1r1"], "say which with --run RUN"),
        (["--run", "absent", "--task", "mpe/simple_spread"], "leave out --task"),
    ],
)
def test_a_fault_is_one_sentence(arguments: list[str], said: str) -> None:
    result = marlsmith("prompts", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
