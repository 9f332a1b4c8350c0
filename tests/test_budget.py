"""A budget on the command line: the run pauses where it is used up, and a larger one lets it go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from marlsmith.cli import app

SMALL = [
    "--steps", "2800", "--episodes", "5", "--seeds", "2", "--confirm-seeds", "2", "--workers", "2",
    "--rounds", "1", "--candidates", "1", "--population", "1", "--no-validator",
]  # fmt: skip
CODE = 'def agent_reward(state):\n    return {"still": -0.1 * state.agent_vel.norm(dim=-1) * NUMBER}\n'


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_pauses_at_its_budget_and_goes_on_with_a_larger_one(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    made: list[int] = []

    def content(request: dict[str, Any]) -> str:
        made.append(len(made) + 1)
        code = CODE.replace("NUMBER", str(made[-1]))
        return json.dumps({"proposals": [{"kind": "new", "parents": [], "rationale": "calm down", "code": code}]})

    endpoint, out = chat_endpoint(content), tmp_path / "run"
    paused = marlsmith(
        "run", *SMALL, "--generator", endpoint.spec(), "--budget", "generator.calls=0", "--out", out, "--json"
    )
    assert paused.exit_code == 75, paused.output
    (sentence,) = paused.stderr.strip().splitlines()
    assert "the budget of the generator, calls=0, does not suffice (0 made)" in sentence
    assert "--budget generator.calls=N" in sentence
    assert f"marlsmith resume {out}" in sentence
    assert not made

    resumed = marlsmith("resume", out, "--budget", "generator.calls=5", "--json")
    assert resumed.exit_code == 0, resumed.output
    lines = [json.loads(line) for line in (out / "llm.jsonl").read_text().splitlines()]
    asked = [line for line in lines if "messages" in line]
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert len(asked) == len(made)
    assert events[-1]["tokens"] == 15 * len(made)
    assert [event["tokens"] for event in events] == sorted(event["tokens"] for event in events)
    assert events[-1]["money"] is None


def test_a_replay_of_a_paused_run_names_the_run_that_is_to_go_on(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    endpoint, out, again = (
        chat_endpoint(json.dumps({"code": CODE.replace("NUMBER", "1")})),
        tmp_path / "run",
        tmp_path / "again",
    )
    budget = ["--generator", endpoint.spec(), "--budget", "generator.calls=0"]
    assert marlsmith("run", *SMALL, *budget, "--out", out, "--json").exit_code == 75
    for arguments in (("run", "--replay", out, "--out", again), ("resume", again)):
        replayed = marlsmith(*arguments, "--json")
        assert replayed.exit_code == 75, replayed.output
        (sentence,) = replayed.stderr.strip().splitlines()
        assert sentence == (
            f"marlsmith: the record of {out} ends here, where that run paused (the budget of the generator, calls=0, "
            f"does not suffice (0 made)): `marlsmith resume {out}` to its end, then `marlsmith resume {again}`"
        )
    assert marlsmith("resume", out, "--budget", "generator.calls=5", "--json").exit_code == 0
    assert marlsmith("resume", again, "--json").exit_code == 0


def test_a_budget_of_money_without_a_price_is_refused_before_anything_happens(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    endpoint, out = chat_endpoint(), tmp_path / "run"
    result = marlsmith("run", *SMALL, "--generator", endpoint.spec(), "--budget", "money=1", "--out", out)
    assert result.exit_code == 2
    assert f"needs the price of good at {endpoint.url}" in result.stderr
    assert not out.exists()
    assert endpoint.requests == []
