"""`marlsmith roles`: who would play, what an endpoint can do, and never a key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

SECRET = "sk-very-secret-0123456789abcdef"
READY = '{"ready": true}'


def roles(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["roles", *(str(argument) for argument in arguments)])


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def write(url: str, more: str = "") -> None:
    Path("marlsmith.toml").write_text(
        f'[models.fast]\nmodel = "good"\nbase_url = "{url}"\nkey = "MY_KEY"\ntemperature = 0.5\n'
        'price = { input = 1, output = 2 }\n[roles]\ngenerator = ["fast", "offline"]\ncritic = "manual"\n' + more
    )


def test_the_table_says_who_plays_and_how_they_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    write("http://localhost:1/v1", "[budget.generator]\ncalls = 40\n")
    shown = roles("--no-validator")
    assert shown.exit_code == 0, shown.output
    for words in (
        "the model good",
        "evolutionary designer",
        "a person",
        "nobody reviews",
        "http://localhost:1/v1",
        "MY_KEY is not set",
        "temperature 0.5",
        "1 in, 2 out",
        "generator 40 calls",
    ):
        assert words in shown.stdout, shown.stdout
    monkeypatch.setenv("MY_KEY", SECRET)
    shown = roles()
    assert "MY_KEY is set" in shown.stdout
    assert SECRET not in shown.output


def test_without_anything_all_are_offline() -> None:
    said = json.loads(roles("--json").stdout)
    assert [one["who"] for one in said["roles"]] == ["offline"] * 3
    assert said["models"] == {}
    assert roles("--ping").exit_code == 0


def test_ping_says_what_an_endpoint_can_do(chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    endpoint = chat_endpoint(READY, key=SECRET)
    write(endpoint.url, "[budget]\ncalls = 0\n")  # the run's budget is not for this
    asked = ("--ping", "--critic", endpoint.spec("json-object-only"), "--validator", "offline")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    result = roles(*asked, "--json")
    assert result.exit_code == 0, result.output
    pings = {name: model["ping"] for name, model in json.loads(result.stdout)["models"].items()}
    assert set(pings) == {"fast", "json-object-only"}
    for ping in pings.values():
        assert ping["answered"]
        assert ping["fault"] is None
        assert ping["usage"] is True
        assert ping["tools"] is False
    assert (pings["fast"]["rung"], pings["json-object-only"]["rung"]) == ("json_schema", "json_object")
    table = roles(*asked)
    assert "answers as JSON by a schema" in table.stdout
    assert SECRET not in result.output + table.output


def test_an_endpoint_that_fails_is_a_row_with_its_sentence(
    chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "wrong-key-12345")
    endpoint = chat_endpoint(READY, key=SECRET)
    write(endpoint.url)
    began = time.monotonic()
    result = roles("--ping", "--validator", "m@http://127.0.0.1:9/v1")
    assert time.monotonic() - began < 20
    assert result.exit_code == 1
    assert "MY_KEY is not accepted" in result.stdout
    assert "127.0.0.1:9" in result.stdout
    assert "Traceback" not in result.output
    assert "wrong-key" not in result.output


def test_a_budget_of_money_without_a_price_is_said_to_be_refused() -> None:
    shown = roles("--generator", "mine@http://localhost:1/v1", "--budget", "money=1")
    assert shown.exit_code == 0, shown.output
    assert "run would refuse" in shown.stdout
    assert "price = {" in shown.stdout


def test_counts_are_written_out() -> None:
    shown = roles("--budget", "tokens=1000000", "--budget", "critic.calls=2500", "--budget", "money=2.5")
    assert "budget: run 1,000,000 tokens, 2.5 money; critic 2,500 calls\n" in shown.stdout


def test_mistakes_are_one_sentence() -> None:
    Path("marlsmith.toml").write_text("[roles]\nvalidater = 'offline'\n")
    for command in ("roles", "run"):
        result = CliRunner().invoke(app, [command])
        assert result.exit_code == 2
        assert result.stderr == "marlsmith: marlsmith.toml: there is no roles.validater: did you mean validator?\n"


def test_ctrl_c_ends_a_ping_that_hangs(chat_endpoint: Callable[..., Any]) -> None:
    endpoint = chat_endpoint(READY)
    command = [sys.executable, "-m", "marlsmith.cli", "roles", "--ping", "--generator", endpoint.spec("hangs")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not endpoint.requests:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert process.wait(30) == 130
    assert time.monotonic() - began < 15  # of the 60 s that one try may take
