"""`marlsmith reproduce`: what it refuses, a small table for real, and what comes of Ctrl-C."""

from __future__ import annotations

import importlib
import json
import os
import re
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
from marlsmith.commands.local import Local

sys.path.insert(0, str(Path(__file__).parent / "graph"))
fakes: Any = importlib.import_module("graph_fakes")

SMALL = [
    "table2",
    "--rows",
    "native,lr",
    "--columns",
    "mappo-spread",
    "--steps",
    "400",
    "--seeds",
    "5",
    "--workers",
    "2",
]


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("table3", "table3 is no table: choose table2 or checks"),
        ("table2 --rows native", "--rows native: it is measured beside another row"),
        ("table2 --columns mappo", "--columns mappo: choose from mappo-spread,vdn-spread"),
        ("table2 --scope mine", "--scope mine: choose own, team or both"),
        ("table2 --runs 3", "--runs is for checks"),
        ("checks --scope both", "--scope both: checks have one, own or team"),
        ("checks --rows model", "--rows model: choose from offline,random,best-of-n,plain"),
        ("table2 --train-option mapo.gamma=0.5", "there is no column mapo"),
        ("table2 --finished --out nowhere", "nowhere holds no finished run of this table yet"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    words: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = marlsmith(*words.split())
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_small_table_is_made_once_and_told_again(tmp_path: Path) -> None:
    out = tmp_path / "t"
    done = marlsmith(*SMALL, "--out", out, "--train-option", "mappo-spread.gamma=0.8")
    assert done.exit_code == 0, done.output
    assert "LR" in done.stdout
    assert "(0.320)" in done.stdout
    assert {file.name for file in out.iterdir()} == {
        "mappo-spread-lr", "made.json", "table2.md", "table2.csv", "table2.svg",
    }  # fmt: skip
    text = (out / "table2.md").read_text()
    assert "`marlsmith reproduce table2 --rows native,lr --columns mappo-spread --seeds 5" in text
    assert "fresh seeds 100 to 104" in text
    assert "gamma 0.8" in text

    before = (out / "mappo-spread-lr" / "events.jsonl").read_bytes()
    again = marlsmith(*SMALL, "--out", out, "--train-option", "gamma=0.8", "--json")
    assert again.exit_code == 0, again.output
    (line,) = again.stdout.splitlines()  # nothing was run, so there is nothing but the table
    entries = json.loads(line)["entries"]
    assert [(entry["row"], entry["seeds"]) for entry in entries] == [("native", 5), ("lr", 5)]
    assert entries[1]["final_coverage"] is not None
    assert (out / "mappo-spread-lr" / "events.jsonl").read_bytes() == before

    other = marlsmith(*SMALL, "--out", out)
    assert other.exit_code == 2
    assert "was run with train.gamma 0.8, and now it would be 0.9" in other.stderr
    goes_on = re.search("`marlsmith reproduce (.*)` goes on with what is there", other.stderr)
    assert goes_on is not None
    assert marlsmith(*goes_on[1].split()).exit_code == 0
    assert (out / "mappo-spread-lr" / "events.jsonl").read_bytes() == before

    told = marlsmith("table2", "--finished", "--out", out)  # its settings are those of its runs
    assert told.exit_code == 0, told.output
    assert "(0.320)" in told.stdout
    assert f"`marlsmith reproduce {goes_on[1].partition(' --out')[0]}`" in (out / "table2.md").read_text()
    assert marlsmith("table2", "--finished", "--out", out, "--rows", "lero").exit_code == 2


def test_a_table_stands_on_five_fresh_seeds_at_least() -> None:
    done = marlsmith("table2", "--seeds", "4")
    assert done.exit_code == 2
    assert "--seeds" in done.stderr


def test_a_budget_that_is_used_up_pauses_the_table(
    tmp_path: Path, chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Local, "engage", lambda *_: fakes.FakeExecutor())
    out, endpoint = tmp_path / "t", chat_endpoint("{}")
    done = marlsmith(*SMALL, "--out", out, "--generator", endpoint.spec(), "--budget", "generator.calls=0", "--plain")
    assert done.exit_code == 75, done.output
    assert "the budget of the generator, calls=0, does not suffice" in done.stderr
    assert "what the other runs have left of the table's budget" in done.stderr
    assert "the same command goes on with it" in done.stderr
    assert not list(out.glob("*/branches/*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_pauses_a_table_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "t"
    command = [sys.executable, "-m", "marlsmith.cli", "reproduce", *SMALL, "--out", str(out), "--plain"]
    command[command.index("400")] = "2000"
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    events = out / "mappo-spread-lr" / "events.jsonl"
    while not (events.exists() and '"tool_result"' in events.read_text()):
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 75, said
    assert f"{out} is paused: the same command goes on with it" in said
    trained = events.read_text().count('"tool_result"')
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| LR | 0." in (out / "table2.md").read_text()
    assert done.stderr.count("begins") == 1
    assert events.read_text().count('"tool_result"') == 6 > trained
