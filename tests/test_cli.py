"""The command line: contracts of DESIGN section 8, and one clear sentence with exit 2 for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

SMALL = ["--steps", "400", "--episodes", "4", "--seeds", "2", "--confirm-seeds", "2"]
SMALL += ["--rounds", "2", "--candidates", "1"]
GOOD = {
    "terms": [{"kind": "approach", "assignment": "optimal"}],
    "features": [{"kind": "target_offset", "assignment": "optimal"}],
}

GOOD_CODE = "def agent_reward(state):\n    return -state.agent_pos.norm(dim=-1)\n"


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    """Exit 2, one sentence on stderr, no traceback, nothing on stdout."""
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("marlsmith: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory that must stay empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize("command", ["run", "train"])
def test_unknown_task(here: Path, command: str) -> None:
    refused(marlsmith(command, "--task", "mpe/simple_sprad"), "no task 'mpe/simple_sprad'", "mpe/simple_spread")


def test_a_task_that_gives_the_offline_generator_no_means(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from marlsmith.marl.tasks import TASKS
    from marlsmith.marl.tasks.simple_spread import SimpleSpread

    class Undescribed(SimpleSpread):
        def __init__(self) -> None:
            super().__init__()
            unknown = {"entities": (), "target": None, "reach": None, "collide": None, "observation": ()}
            self.card = self.card.model_copy(update=unknown)

    monkeypatch.setitem(TASKS, "toy/undescribed", Undescribed)
    refused(marlsmith("run", "--task", "toy/undescribed"), "offline generator", "--generator MODEL", "task card")


def test_parameters_need_a_task_and_values_of_their_kind(here: Path) -> None:
    refused(marlsmith("tasks", "--task-option", "agents=5"), "tasks NAME --task-option KEY=VALUE")
    refused(
        marlsmith("tasks", "mpe/simple_spread", "--task-option", "agents=x"), "agents is 'x' and must be a whole number"
    )


@pytest.mark.parametrize("command", ["run", "train"])
def test_unknown_algorithm(here: Path, command: str) -> None:
    refused(marlsmith(command, "--algorithm", "mapo"), "no algorithm 'mapo'", "mappo")


@pytest.mark.parametrize("role", ["--generator", "--critic", "--validator"])
def test_unknown_role(here: Path, role: str) -> None:
    refused(marlsmith("run", role, "offlin"), "offlin", "MODEL@BASE_URL", "OPENAI_API_KEY")


@pytest.mark.parametrize("role", ["--generator", "--critic", "--validator"])
def test_dead_endpoint(here: Path, role: str) -> None:
    refused(marlsmith("run", role, "model@http://127.0.0.1:9/v1"), "127.0.0.1:9")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--method", "leroo", "lero"),
        ("--evolve", "all", "evolve"),
        ("--scope", "world", "scope"),
        ("--selection", "best", "selection"),
        ("--signals", "code", "signals"),
    ],
)
def test_unknown_settings(here: Path, option: str, value: str, words: str) -> None:
    refused(marlsmith("run", option, value), words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--rounds", "0"],
        ["run", "--repairs", "6"],
        ["run", "--steps", "x"],
        ["train", "--seeds", "0"],
        ["fly"],
        ["run", "--fly"],
    ],
)
def test_usage_errors_exit_with_two(here: Path, arguments: list[str]) -> None:
    result = marlsmith(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_run_directory_that_exists(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    refused(marlsmith("run", "--out", tmp_path / "run"), "exists")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("command", ["resume", "show"])
def test_what_is_not_a_run(here: Path, command: str) -> None:
    refused(marlsmith(command, here), "not a run")
    refused(marlsmith(command, here / "nowhere"), "not a run")


def test_a_run_directory_that_cannot_be_made(here: Path) -> None:
    refused(marlsmith("run", "--out", "/proc/marlsmith-run"), "/proc has 0 MB free")
    refused(marlsmith("train", "--out", "/proc/marlsmith-run", "--steps", "200"), "/proc/marlsmith-run")


BAD_SIGNALS = {
    "does_not_parse.py": ("def agent_reward(state:", "line 1"),
    "no_function.py": ("def reward(state):\n    return state.reward", "agent_reward"),
    "wrong_shape.py": ("def agent_reward(state):\n    return state.reward[:, :2]", "shape"),
    "nan.py": ("def agent_reward(state):\n    return state.reward / (state.reward - state.reward)", "NaN"),
    "raises.py": ("def agent_reward(state):\n    return state.nothing", "nothing"),
    "not_utf8.py": ("\udcff", "UTF-8"),
    "never_returns.py": (
        "def agent_reward(state):\n    for i in range(10**6):\n        for j in range(10**6):\n            x = i * j\n"
        "    return state.reward",
        "",
    ),
    "config.json": ('{"terms": [{"kind": "fly"}]}', "fly"),
    "list.json": ("[1, 2]", "object"),
}


@pytest.mark.parametrize("name", [name for name in BAD_SIGNALS if name != "never_returns.py"])
def test_a_bad_signal_is_refused_before_it_is_trained(tmp_path: Path, name: str) -> None:
    source, word = BAD_SIGNALS[name]
    (tmp_path / name).write_bytes(source.encode("utf-8", "surrogateescape"))
    refused(marlsmith("train", "--signal", tmp_path / name), name, word)


def test_a_signal_file_that_is_missing(here: Path) -> None:
    refused(marlsmith("train", "--signal", "gone.py"), "gone.py", "no such file")
    refused(marlsmith("check", "gone.py"), "gone.py")


def test_a_signal_that_never_returns_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "never_returns.py"
    file.write_text(BAD_SIGNALS[file.name][0])
    began = time.monotonic()
    refused(marlsmith("train", "--signal", file), "timeout")
    assert time.monotonic() - began < 30


# ---------------------------------------------------------------- check


def test_check_prints_one_object_per_file(tmp_path: Path) -> None:
    names = ["good.json", *(name for name in BAD_SIGNALS if name != "never_returns.py")]
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    for name, (source, _) in BAD_SIGNALS.items():
        (tmp_path / name).write_bytes(source.encode("utf-8", "surrogateescape"))
    result = marlsmith("check", *(tmp_path / name for name in names), "--task", "mpe/simple_spread", "--json")
    assert result.exit_code == 1
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(one["file"]).name for one in said] == names
    for one in said:
        assert set(one) == {"file", "accepted", "stage", "problems"}
        assert one["accepted"] == (Path(one["file"]).name == "good.json") == (one["problems"] == [])
        assert one["stage"] in ({None} if one["accepted"] else {"static", "dynamic", "crash"})
    assert marlsmith("check", tmp_path / "good.json").exit_code == 0


def test_check_enforces_the_scope(tmp_path: Path) -> None:
    file = tmp_path / "team.py"
    file.write_text('SCOPE = "team"\ndef enhance_observation(obs):\n    return obs.roll(1, 1)\n')
    assert marlsmith("check", file).exit_code == 1
    assert marlsmith("check", file, "--scope", "team").exit_code == 0
    refused(marlsmith("check", file, "--scope", "all"), "scope")


def test_many_files_are_told_in_their_order_while_a_bar_moves_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    files = []
    for number in range(24):
        files.append(tmp_path / f"{number:02}.py")
        files[-1].write_text(GOOD_CODE if number % 8 else "import os\n" + GOOD_CODE)
    result = marlsmith("check", *files, "--json")
    assert result.exit_code == 1
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["file"] for one in said] == [str(file) for file in files]
    assert [one["accepted"] for one in said] == [bool(number % 8) for number in range(24)]
    assert "checking" in result.stderr
    assert "checking" not in marlsmith("check", *files[:3]).stderr


def test_a_file_twice_is_told_twice(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os")
    result = marlsmith("check", tmp_path / "a.py", tmp_path / "a.py", "--json")
    assert len(result.stdout.splitlines()) == 2


def test_a_pipe_is_no_signal(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    for command in (("check",), ("train", "--signal")):
        refused(marlsmith(*command, pipe), f"{pipe} is a pipe")


def test_a_name_of_a_file_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[31m\nb.py"
    file.write_text("import os\n")
    plain = marlsmith("check", file)
    assert plain.exit_code == 1
    assert len(plain.stdout.splitlines()) == 1
    assert "\x1b" not in plain.output
    assert "a [31m b.py: refused (static)" in plain.stdout
    assert json.loads(marlsmith("check", file, "--json").stdout)["file"] == str(file)
    file.unlink()
    missing = marlsmith("check", file)
    refused(missing, "a [31m b.py (no such file or directory)")
    assert "\x1b" not in missing.output


def test_a_directory_is_no_signal(here: Path) -> None:
    refused(marlsmith("check", "."), ". is a directory", "./*.py")
    refused(marlsmith("train", "--signal", "."), ". is a directory")


def test_what_is_far_too_large_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("x = 1\n" * 200_000)
    result = marlsmith("check", tmp_path / "large.py", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["stage"] == "static"
    assert "1,000,000 bytes" in said["problems"][0]


def test_words_of_a_file_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "shouts.json"
    file.write_text('{"terms": [{"kind": "\\u001b[2J\\u202e[red]fly\\n"}]}')
    result = marlsmith("check", file)
    assert result.exit_code == 1
    assert "[red]fly" in result.stdout
    assert len(result.stdout.splitlines()) == 1
    for character in ("\x1b", "\u202e"):
        assert character not in result.stdout
    trained = marlsmith("train", "--signal", file)
    refused(trained, "[red]fly")
    assert "\x1b" not in trained.stderr


def test_a_candidate_of_another_task_is_pointed_out(tmp_path: Path) -> None:
    header = '"""Learning signal for mpe/simple_reference, printed by marlsmith from a config."""\n'
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(header + GOOD_CODE)
    result = marlsmith("check", tmp_path / "a.py", tmp_path / "b.py")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        f"marlsmith: warning: {tmp_path / 'a.py'} and 1 more were printed for the task mpe/simple_reference, "
        "which is not mpe/simple_spread: is --task right?"
    ]
    assert marlsmith("check", tmp_path / "a.py", "--task", "mpe/simple_reference").stderr == ""


# ---------------------------------------------------------------- train


def test_train_keeps_its_contract(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    arguments = ["train", "--task", "mpe/simple_spread", "--algorithm", "mappo", "--steps", "800", "--seeds", "3"]
    kept = tmp_path / "kept"
    result = marlsmith(*arguments, "--signal", tmp_path / "good.json", "--out", kept, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert set(said) == {"score", "scores", "interval", "metrics", "steps_per_second", "seconds"}
    assert len(said["scores"]) == 3
    assert said["interval"][0] <= said["score"] <= said["interval"][1]
    assert set(said["metrics"]) == {"coverage", "final_coverage", "collisions", "native_return"}
    assert said["score"] == said["metrics"]["coverage"]
    assert [path.name for path in kept.iterdir()] == ["checkpoint.safetensors"]
    again = json.loads(marlsmith(*arguments, "--signal", tmp_path / "good.json", "--json").stdout)
    assert again["scores"] == said["scores"]
    assert again["metrics"] == said["metrics"]


# ---------------------------------------------------------------- tasks, graph, show, run


def test_tasks_and_graph(here: Path) -> None:
    assert "mpe/simple_spread" in marlsmith("tasks").stdout
    card = json.loads(marlsmith("tasks", "mpe/simple_spread", "--json").stdout)
    assert card["score"] == "coverage"
    shown = marlsmith("tasks", "mpe/simple_spread").stdout
    for field in ("agent_pos", "landmark_pos", "[10:14]", "final_coverage"):
        assert field in shown
    drawn = marlsmith("graph").stdout
    for node in ("start_stage", "diagnose", "propose", "check", "branch", "judge", "approve", "promote", "finish"):
        assert node in drawn


def test_run_show_resume(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = marlsmith("run", *SMALL, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "finished"
    for kind in ("diagnosis", "proposal", "check", "tool_call", "tool_result", "judged"):
        assert kind in kinds
    last = events[-1]
    assert last["run"] == str(out)
    for side in ("native", "best"):
        assert {"score", "scores", "interval", "metrics"} <= set(last[side])
        assert len(last[side]["scores"]) == 2
    assert set(last["gain"]) == {"mean", "interval"}
    # control and 2 candidates with 2 seeds, then 2 finalists with 2 fresh seeds; 400 steps each
    assert last["environment_steps"] == (3 * 2 + 2 * 2) * 400
    assert last["tokens"] == 0
    for name in ("run.toml", "graph.sqlite", "events.jsonl", "candidates", "branches", "main"):
        assert (out / name).exists()

    shown = marlsmith("show", out)
    assert shown.exit_code == 0
    for words in ("critic", "generator", "validator", "train_branch", "s1r1c1", "native", "result"):
        assert words in shown.stdout
    picture = tmp_path / "trace.svg"
    assert marlsmith("show", out, "--svg", picture).exit_code == 0
    assert picture.read_text().startswith("<svg")
    refused(marlsmith("show", out, "--svg", tmp_path / "no" / "trace.svg"), "cannot write")

    resumed = marlsmith("resume", out, "--json")
    assert resumed.exit_code == 0
    assert [json.loads(line)["event"] for line in resumed.stdout.splitlines()] == ["finished"]
    refused(marlsmith("run", "--out", out), "exists", "marlsmith resume")


def test_the_result_goes_to_stdout_and_the_story_to_stderr(tmp_path: Path) -> None:
    result = marlsmith("run", *SMALL, "--out", tmp_path / "run", "--plain")
    assert result.exit_code == 0, result.output
    assert "fresh seeds" in result.stdout
    assert "generator" not in result.stdout
    assert "generator" in result.stderr
    assert "fresh seeds;" not in result.stderr
    assert "\x1b" not in result.output


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    assert marlsmith("run", *SMALL, "--out", tmp_path / "run", "--plain").exit_code == 0
    show = [sys.executable, "-m", "marlsmith.cli", "show", str(tmp_path / "run")]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(show, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_paths_that_no_file_system_takes(here: Path) -> None:
    long = "x" * 300
    refused(marlsmith("run", "--out", long), "name too long")
    refused(marlsmith("train", "--out", long, "--steps", "400"), "name too long")
    refused(marlsmith("show", long), "name too long")
    refused(marlsmith("run", "--out", "run-\udcff"), "not UTF-8")


def test_a_resumed_run_tells_the_story_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    """Killed after round 1: the table of round 2 still has the native task, its gains, and all candidates."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "marlsmith.cli", "run", *SMALL, "--out", str(out), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "judged":
            process.kill()
            break
    process.wait()
    result = marlsmith("resume", out, "--plain")
    assert result.exit_code == 0, result.output
    table = result.stderr[result.stderr.index("round 2 of 2") :]
    for words in ("s1r1c1", "s1r2c1", "native", "+0.000"):
        assert words in table


def test_version() -> None:
    assert marlsmith("--version").stdout.startswith("marlsmith 0.")


def test_approval_waits_for_a_person(tmp_path: Path) -> None:
    """With every promotion asked for: exit 10 until somebody answers. A margin of -100 lets anything pass the gate."""
    out = tmp_path / "run"
    from marlsmith.graph.methods import PRESETS

    easy = PRESETS["lero"].model_copy(update={"margin": -100.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lero", easy)
        result = marlsmith("run", *SMALL, "--out", out, "--approve", "--plain")
    assert result.exit_code == 10, result.output
    assert "marlsmith approve" in result.stderr
    assert list((out / "main").iterdir()) == []
    assert marlsmith("resume", out, "--plain").exit_code == 10
    answered = marlsmith("approve", out, "--yes", "--json")
    assert answered.exit_code == 0, answered.output
    assert json.loads(answered.stdout.splitlines()[-1])["promoted"] is True
    assert {path.name for path in (out / "main").iterdir()} >= {"signal.py", "checkpoint.safetensors"}
    refused(marlsmith("approve", out, "--yes"), "finished")


def test_interrupting_a_run_pauses_it_and_resume_ends_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "marlsmith.cli", "run", *SMALL, "--steps", "6000", "--out", str(out), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "progress":
            process.send_signal(2)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert f"marlsmith resume {out}" in errors
    assert "Traceback" not in errors
    result = marlsmith("resume", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["event"] == "finished"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_said_to_be_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small file system here")
    try:
        refused(marlsmith("run", *SMALL, "--out", disk / "run"), "MB free")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
