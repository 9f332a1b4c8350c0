"""A run that pauses says why, in the trace and again in `show`, and what helps; at its end it says who cost what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

SMALL = [
    "--steps", "400", "--episodes", "2", "--seeds", "2", "--confirm-seeds", "2", "--workers", "2",
    "--rounds", "1", "--candidates", "1", "--population", "1", "--no-validator",
]  # fmt: skip
CODE = 'def agent_reward(state):\n    return {"still": -0.1 * state.agent_vel.norm(dim=-1)}\n'
ANSWER = json.dumps({"proposals": [{"kind": "new", "parents": [], "rationale": "calm down", "code": CODE}]})


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def config(tmp_path: Path, chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the endpoint is that has no such model."""
    monkeypatch.setenv("COLUMNS", "200")
    url: str = chat_endpoint(ANSWER).url
    (tmp_path / "m.toml").write_text(
        f'[models]\nfast = {{ model = "missing", base_url = "{url}", key = "MY_KEY", price = {{ input = 2, '
        'output = 4 } }\n[roles]\ngenerator = "fast"\n'
    )
    return url


def test_a_wrong_model_is_named_corrected_and_the_run_goes_on(tmp_path: Path, config: str) -> None:
    out = tmp_path / "run"
    paused = marlsmith("run", *SMALL, "--config", tmp_path / "m.toml", "--out", out, "--json")
    assert paused.exit_code == 75, paused.output
    *_, last = events(paused)
    assert last["event"] == "paused"
    assert "knows no model missing" in last["reason"]
    sentence = paused.stderr.strip().splitlines()[-1]
    assert sentence.endswith(f"first correct `model` or `base_url` of fast in {out / 'run.toml'}")

    shown = marlsmith("show", out)
    assert "paused" in shown.stdout
    assert "knows no model missing" in flat(shown.stdout)
    assert shown.stdout.splitlines()[-1] == f"next    marlsmith resume {out}"
    assert events(marlsmith("show", out, "--json")) == [json.loads(line) for line in (out / "events.jsonl").open()]

    toml = out / "run.toml"
    toml.write_text(toml.read_text().replace('model = "missing"', 'model = "good"'))
    resumed = marlsmith("resume", out, "--plain")
    assert resumed.exit_code == 0, resumed.output
    assert "paused" not in resumed.stderr, "what is over is not told again"
    *_, before, last = events(marlsmith("show", out, "--json"))
    assert before["event"] != "paused"
    players = {(player["role"], player["name"]): player for player in last["roles"]}
    assert set(players) == {("generator", "fast"), ("critic", "offline"), ("generator", None)}
    fast, wrong = players["generator", "fast"], players["generator", None]
    assert (fast["model"], fast["address"], fast["calls"], fast["failed"]) == ("good", config, 1, 0)
    assert (fast["tokens"], fast["money"], fast["currency"]) == (15, 40 / 1e6, None)
    assert (wrong["model"], wrong["calls"], wrong["failed"]) == ("missing", 1, 1)
    assert last["tokens"] == sum(player["tokens"] for player in last["roles"])
    told = flat(marlsmith("show", out).stdout)
    assert "fast, good at 127.0.0.1" in told
    assert "1 call, 0 failed; 15 tokens; 0.00004 in the currency of its price" in told


def test_a_model_that_has_answered_has_the_right_name(tmp_path: Path, config: str) -> None:
    out = tmp_path / "run"
    toml = tmp_path / "m.toml"
    toml.write_text(toml.read_text().replace('model = "missing"', 'model = "good"') + 'critic = "gone"\n')
    toml.write_text(
        toml.read_text().replace("[models]\n", f'[models]\ngone = {{ model = "missing", base_url = "{config}" }}\n')
    )
    paused = marlsmith("run", *SMALL, "--rounds", 2, "--config", toml, "--out", out, "--json")
    assert paused.exit_code == 75, paused.output
    assert "`base_url` of gone in " in paused.stderr


def test_a_budget_is_no_matter_of_names(tmp_path: Path, config: str) -> None:
    out = tmp_path / "run"
    paused = marlsmith("run", *SMALL, "--config", tmp_path / "m.toml", "--budget", "calls=0", "--out", out, "--plain")
    assert paused.exit_code == 75, paused.output
    assert "correct" not in paused.stderr
    assert paused.stderr.count("does not suffice") == 1, "people are told once"
    assert "does not suffice" in flat(marlsmith("show", out).stdout)
