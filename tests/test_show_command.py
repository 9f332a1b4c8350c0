"""`marlsmith show`: decisions, one candidate, what was asked, and a run that is still under way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.agents.asking.accounting.book import Book, request_line
from marlsmith.agents.asking.question import Question, Reply, Usage
from marlsmith.agents.settings import ModelSettings
from marlsmith.cli import app
from marlsmith.commands import watch
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import Review

SMALL = [
    "--steps", "400", "--episodes", "1", "--seeds", "2", "--confirm-seeds", "2", "--population", "1", "--workers", "1",
    "--json",
]  # fmt: skip


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert (len(result.stderr.strip().splitlines()), result.stdout) == (1, ""), result.output
    for word in words:
        assert word in result.stderr, result.stderr


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("show") / "run"
    made = marlsmith("run", *SMALL, "--rounds", "2", "--candidates", "1", "--out", out)
    assert made.exit_code == 0, made.output
    return out


def events(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------- decisions


def test_decisions_are_told_in_their_order_and_nothing_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = marlsmith("show", run, "--decisions").stdout
    told = flat(shown)
    for role, deed in (
        ("generator", "proposes s1r1c1"),
        ("validator", "accepts s1r1c1"),
        ("critic", "diagnoses"),
        ("judge", "sends to be confirmed"),
        ("run", "ends with"),
    ):
        assert f"{role} {deed}" in told
    assert told.index("proposes s1r1c1") < told.index("accepts s1r1c1") < told.index("s1r2 critic diagnoses")
    assert "train_branch" not in told
    assert "scores" not in told.split("critic")[0], "trainings are no decisions"


def test_decisions_for_programs(run: Path) -> None:
    told = [json.loads(line) for line in marlsmith("show", run, "--decisions", "--json").stdout.splitlines()]
    assert all(set(each) == {"stage", "round", "role", "author", "deed", "about", "reason", "seconds"} for each in told)
    proposals = [each["about"] for each in told if each["deed"] == "proposes"]
    assert proposals == [event["candidate"] for event in events(run) if event["event"] == "proposal"]
    assert [each["seconds"] for each in told] == sorted(each["seconds"] for each in told)


# ---------------------------------------------------------------- one candidate


def test_a_candidate_with_all_that_came_of_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    id, parent = next(
        (e["candidate"], e["parents"][0]) for e in events(run) if e["event"] == "proposal" and e["parents"]
    )
    shown = marlsmith("show", run, "--candidate", id)
    assert shown.exit_code == 0, shown.output
    told = flat(shown.stdout)
    proposal = next(e for e in events(run) if e["event"] == "proposal" and e["candidate"] == id)
    found = next(e["evaluation"] for e in events(run) if e["event"] == "tool_result" and e["branch"] == id)
    for words in (flat(proposal["rationale"]), f"from {parent}", "in stage 1, round 2", f"accepts {id}"):
        assert words in told
    assert f"{id} 2 400 {found['score']:.3f}" in told
    assert all(term in told for term in found["terms"])
    code = (run / "candidates" / f"{id}.py").read_text()
    assert all(flat(line) in told for line in code.splitlines())
    assert f"--- {parent} +++ {id}" in told


def test_a_candidate_for_programs(run: Path) -> None:
    told = json.loads(marlsmith("show", run, "--candidate", "s1r1c1", "--json").stdout)
    control = next(e["evaluation"] for e in events(run) if e["event"] == "tool_result" and e["branch"] == "control-s1")
    branch = told["branches"][0]
    gains = [score - other for score, other in zip(branch["scores"], control["scores"], strict=True)]
    assert branch["gain"] == pytest.approx(sum(gains) / 2)
    assert told["code"] == (run / "candidates" / "s1r1c1.py").read_text()
    assert (told["parent"], told["diff"]) == (None, None)
    assert {each["about"] for each in told["decisions"]} == {"s1r1c1"}


def test_all_warnings_of_a_candidate_are_shown(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    told = events(copy)
    for event in told:
        if event["event"] == "tool_result" and event["candidate"] == "s1r1c1":
            event["evaluation"]["warnings"] = ["first [bold]", "second"]
    (copy / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in told))
    shown = flat(marlsmith("show", copy, "--candidate", "s1r1c1").stdout)
    assert "s1r1c1: first [bold] s1r1c1: second" in shown


@pytest.mark.parametrize("option", [[], ["--candidate", "s1r1c1"]])
def test_a_gain_is_the_mean_over_paired_seeds(run: Path, tmp_path: Path, option: list[str]) -> None:
    """Of 0, .6, .8 and 1 over a control of 0 that is .6; the interquartile means are .7 apart."""
    copy = shutil.copytree(run, tmp_path / "copy")
    told = events(copy)
    for event in told:
        if event["event"] == "tool_result" and event["branch"] in ("control-s1", "s1r1c1"):
            scores, score = ([0.0, 0.6, 0.8, 1.0], 0.7) if event["branch"] == "s1r1c1" else ([0.0] * 4, 0.0)
            event["evaluation"] |= {"seeds": [0, 1, 2, 3], "scores": scores, "score": score}
    (copy / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in told))
    rows = [line.split() for line in marlsmith("show", copy, *option).stdout.splitlines()]
    (row,) = [row for row in rows if row[:1] == ["s1r1c1"] and "0.700" in row][:1]
    assert "+0.600" in row


@pytest.mark.parametrize("option", [[], ["--decisions"]])
def test_events_that_nobody_knows_are_passed_over(run: Path, tmp_path: Path, option: list[str]) -> None:
    """Of a later version, or of nobody: named as parts of the tellers are."""
    copy = shutil.copytree(run, tmp_path / "run")
    known, shown = (copy / "events.jsonl").read_text(), marlsmith("show", copy, *option).stdout
    strange = ("move", "decision", "table", "heat", "waiting", "of", "_init__", "lines")
    (copy / "events.jsonl").write_text("".join(json.dumps({"event": name}) + "\n" for name in strange) + known)
    assert marlsmith("show", copy, *option).stdout == shown


def test_a_wrong_candidate_names_some_that_exist(run: Path) -> None:
    refused(marlsmith("show", run, "--candidate", "s1r9c1"), "no candidate 's1r9c1'", "s1r1c1", "s1r2c1")
    refused(marlsmith("show", run, "--candidate", "../run", "--json"), "no candidate '../run'")
    refused(marlsmith("show", run, "--candidate", "s1r9c1", "--prompts"), "no candidate 's1r9c1'")


def test_what_a_screen_hides_in_code_is_written_out(run: Path, tmp_path: Path) -> None:
    """Escapes, and letters that turn the text round."""
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "candidates" / "s1r1c1.py").write_text("x = 1  # \x1b[31mred \u202eback [bold]\n")
    shown = marlsmith("show", copy, "--candidate", "s1r1c1").stdout
    assert r"\x1b[31mred \u202eback [bold]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


# ---------------------------------------------------------------- prompts


def test_offline_roles_are_sent_nothing(run: Path) -> None:
    for arguments in (["--prompts"], ["--prompts", "--candidate", "s1r1c1"]):
        assert "no role of this run is a model or a person" in flat(marlsmith("show", run, *arguments).stdout)
    assert marlsmith("show", run, "--prompts", "--json").stdout == ""


QUESTION = Question(
    role="generator",
    place="s1r1a0/1",
    messages=({"role": "system", "content": "You design."}, {"role": "user", "content": "Go\n\tto \x1b[31mit"}),
    schema=Review,
)
REPLY = Reply(text="calm [red]down", usage=Usage(10, 5))


def test_what_a_model_was_sent_and_answered(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's words are no markup, and no commands to a terminal. Another candidate's questions are not told."""
    monkeypatch.setenv("COLUMNS", "120")
    out = shutil.copytree(run, tmp_path / "run")
    asked = ModelSettings(model="small", base_url="http://localhost/v1").model_dump_json()
    other = replace(QUESTION, place="s1r2c1/check", messages=({"role": "user", "content": "and this?"},))
    lines = [request_line(QUESTION, asked, "text", REPLY, None, REPLY.usage, 0.25, 1.0)]
    lines += [request_line(other, asked, "text", None, "it is gone", None, None, 2.0)]
    Book(out / "llm.jsonl").write(lines)

    shown = marlsmith("show", out, "--prompts").stdout
    told = flat(shown)
    for words in ("generator, s1r1a0/1: small", "You design.", r"Go to \x1b[31mit", "calm [red]down", "it is gone"):
        assert words in told
    assert "answer (15 tokens, money 0.25, 1.0 s)" in told
    assert "\x1b" not in shown

    first, second = (json.loads(line) for line in marlsmith("show", out, "--prompts", "--json").stdout.splitlines())
    assert (first["messages"], first["reply"], first["error"]) == (list(QUESTION.messages), "calm [red]down", None)
    assert (second["reply"], second["error"]) == (None, "it is gone")
    one = json.loads(marlsmith("show", out, "--prompts", "--candidate", "s1r1c1", "--json").stdout)
    assert [each["place"] for each in one["prompts"]] == ["s1r1a0/1"]


# ---------------------------------------------------------------- what cannot be had together


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--candidate", "s1r1c1", "--follow"], "--candidate shows one candidate as it stands: leave out --follow"),
        (["--candidate", "s1r1c1", "--decisions"], "leave out --decisions"),
        (["--prompts", "--follow", "--decisions"], "leave out --follow and --decisions"),
        (["--svg", "a.svg", "--follow"], "leave out --follow"),
        (["--svg", "a.svg", "--json"], "leave out --json"),
    ],
)
def test_options_that_exclude_each_other(run: Path, options: list[str], words: str) -> None:
    refused(marlsmith("show", run, *options), words)


def test_a_candidate_can_be_drawn(run: Path, tmp_path: Path) -> None:
    assert marlsmith("show", run, "--candidate", "s1r1c1", "--svg", tmp_path / "one.svg").exit_code == 0
    assert "s1r1c1" in (tmp_path / "one.svg").read_text()


# ---------------------------------------------------------------- following


def test_following_a_run_that_has_ended_is_showing_it(run: Path) -> None:
    assert marlsmith("show", run, "--follow").stdout == marlsmith("show", run).stdout
    assert marlsmith("show", run, "--follow", "--json").stdout == (run / "events.jsonl").read_text()


@pytest.fixture
def growing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of which events.jsonl is still empty, and on which this process is at work."""
    monkeypatch.setattr(watch, "EVERY", 0.01)
    path = tmp_path / "growing"
    path.mkdir()
    (path / "run.toml").write_text((run / "run.toml").read_text())
    (path / "events.jsonl").touch()
    (path / "lock").write_text(f"{os.getpid()}\n")
    return path


def test_events_are_told_once_and_whole_as_they_come(run: Path, growing: Path) -> None:
    """Written in pieces that end anywhere, even within a line; the last event ends the telling."""
    whole = (run / "events.jsonl").read_bytes()

    def write() -> None:
        for start in range(0, len(whole), 1 + len(whole) // 50):
            with (growing / "events.jsonl").open("ab") as file:
                file.write(whole[start : start + 1 + len(whole) // 50])
            time.sleep(0.004)

    writer = threading.Thread(target=write)
    writer.start()
    told = list(watch.watched(RunDirectory.open(growing)))
    writer.join()
    assert [event["event"] for event in told] == [event["event"] for event in events(run)]
    assert told[0]["run"] == str(growing), "it is where it is now"


@pytest.mark.parametrize(
    "last",
    [{"event": "paused", "reason": "enough"}, {"event": "approval", "status": "asked"}],
    ids=["paused", "asks a person"],
)
def test_a_run_at_rest_ends_the_telling(growing: Path, last: dict[str, Any]) -> None:
    (growing / "events.jsonl").write_text(json.dumps({"event": "warning"}) + "\n" + json.dumps(last) + "\n")
    assert [event["event"] for event in watch.watched(RunDirectory.open(growing))] == ["warning", last["event"]]


def test_a_run_that_was_resumed_is_not_at_rest(growing: Path) -> None:
    """Its last process paused, and another one has begun."""
    before = [{"event": "paused", "reason": "enough"}, {"event": "run_started"}]
    (growing / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in before))
    told = watch.watched(RunDirectory.open(growing))
    assert [next(told)["event"] for _ in before] == ["paused", "run_started"]
    with (growing / "events.jsonl").open("a") as file:
        file.write(json.dumps({"event": "finished"}) + "\n")
    assert [event["event"] for event in told] == ["finished"]


def test_the_last_word_of_a_process_that_goes_is_told(growing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written after the last look at the file and before it is asked whether anybody is at work."""
    monkeypatch.setattr(watch, "PATIENCE", 0.05)

    def goes(run: Path) -> bool:
        (run / "events.jsonl").write_text('{"event": "warning"}\n{"event": "finished"}\n')
        return False

    monkeypatch.setattr(watch, "at_work", goes)
    (growing / "events.jsonl").write_text('{"event": "warning"}\n')
    told = watch.watched(RunDirectory.open(growing))
    assert [event["event"] for event in told] == ["warning", "finished"]


def test_a_process_that_only_has_the_number_is_not_at_work(growing: Path) -> None:
    """As after a reboot: the lock is older than whoever has its number now."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not say when a process began")
    assert watch.at_work(growing) is True
    os.utime(growing / "lock", (0, 1_000_000_000))
    assert watch.at_work(growing) is False


@pytest.mark.parametrize("vacant", ["absent", "empty"])
def test_a_run_that_is_about_to_begin_is_waited_for(run: Path, tmp_path: Path, vacant: str) -> None:
    path = tmp_path / "soon"
    if vacant == "empty":
        path.mkdir()
    built = Path(shutil.copytree(run, tmp_path / "built"))
    begin = threading.Timer(0.3, built.rename, [path])
    begin.start()
    told = marlsmith("show", path, "--follow", "--decisions")
    begin.join()
    assert told.exit_code == 0
    assert told.stderr == f"marlsmith: there is no run in {path} yet: waiting up to 60 seconds for it\n"
    assert "ends with" in told.stdout


def test_what_cannot_become_a_run_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("another directory")
    refused(marlsmith("show", tmp_path, "--follow"), "is not a run")
    monkeypatch.setattr(watch, "BEGINNING", 0.0)
    told = marlsmith("show", tmp_path / "never", "--follow")
    assert (told.exit_code, told.stdout) == (2, "")
    assert "is not a run" in told.stderr


def test_a_run_whose_process_is_gone_ends_the_telling(growing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (growing / "lock").write_text(f"{gone.pid}\n")
    (growing / "events.jsonl").write_text('{"event": "warning"}\n')
    assert [event["event"] for event in watch.watched(RunDirectory.open(growing))] == ["warning"]
    assert watch.at_work(growing) is False
    (growing / "lock").write_text(f"{os.getpid()}\n")
    assert watch.at_work(growing) is True


def test_only_what_is_new_is_read(growing: Path) -> None:
    tail = watch.Tail(RunDirectory.open(growing))
    (growing / "events.jsonl").write_text('{"event": "warning"}\n{"event": "pau')
    assert [event["event"] for event in tail.news()] == ["warning"]
    size = (growing / "events.jsonl").stat().st_size
    with (growing / "events.jsonl").open("r+b") as file:  # damage behind it is never seen again
        file.write(b"x" * 10)
        file.seek(size)
        file.write(b'sed", "reason": ""}\n')
    assert [event["event"] for event in tail.news()] == ["paused"]
    assert tail.news() == []


def test_a_damaged_line_is_one_sentence(growing: Path) -> None:
    (growing / "events.jsonl").write_text('{"event": "warning"}\nnonsense\n')
    refused(marlsmith("show", growing, "--follow", "--decisions"), "damaged in line 2")


def test_ctrl_c_ends_the_telling_and_leaves_the_run_alone(growing: Path) -> None:
    (growing / "events.jsonl").write_text('{"event": "warning", "stage": 1, "round": 1, "message": "still here"}\n')
    before = {path: path.read_bytes() for path in growing.iterdir()}
    command = [sys.executable, "-u", "-m", "marlsmith.cli", "show", str(growing), "--follow", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "still here" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (130, "", "")
    assert {path: path.read_bytes() for path in growing.iterdir()} == before


# ---------------------------------------------------------------- the same run, compared


def test_a_comparison_agrees_with_the_runs_own_last_word(run: Path) -> None:
    """Here, for it takes a run as the command line makes them."""
    finished = events(run)[-1]
    (task,) = json.loads(marlsmith("compare", run, "--json").stdout)["tasks"]
    (row,) = task["runs"]
    assert row["native"]["scores"] == finished["native"]["scores"]
    assert row["best"]["scores"] == finished["best"]["scores"]
    assert row["outcome"] == (row["best"] if finished["promoted"] else row["native"])
    assert row["cost"]["environment_steps"] == finished["environment_steps"]
    confirmed = next(
        e["evaluation"] for e in events(run) if e.get("branch") == "control-s1-confirm" and "evaluation" in e
    )
    assert row["curves"]["native"] == [
        {"steps": point["steps"], "score": point["score"], "scores": point["scores"]} for point in confirmed["curve"]
    ]
    assert row["units"] == [f"seed_{seed}" for seed in confirmed["seeds"]]
