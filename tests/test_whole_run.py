"""The whole path on real training: models as roles, candidates that fail on the way, kill -9 at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

SECRET = "sk-very-secret-0123456789abcdef"
STEPS = 2800
SMALL = ["--steps", str(STEPS), "--episodes", "5", "--seeds", "2", "--confirm-seeds", "2", "--workers", "2"]

GOOD = """
import torch
ALPHA = 0.7

def agent_reward(state):
    distance = torch.cdist(state.agent_pos, state.landmark_pos)
    return {"near": -distance.amin(-1), "arrived": (distance.amin(-1) < 0.1).float()}

def global_reward(state):
    return {"covered": (torch.cdist(state.landmark_pos, state.agent_pos).amin(-1) < 0.1).float().mean(-1)}

def enhance_observation(obs):
    targets = obs[..., 4:10].unflatten(-1, (3, 2))
    nearest = targets.norm(dim=-1).argmin(-1)
    return targets.gather(-2, nearest[..., None, None].expand(*nearest.shape, 1, 2)).squeeze(-2)
"""

# Sound on every state that the checks sample; each fails in its own way in the sixth of seven rollouts.
NAN = """
import torch
def agent_reward(state):
    return state.reward * torch.sqrt((state.training_progress - 5 / 7).abs() - 0.0002)[:, None]
"""
CRASH = """
def agent_reward(state):
    late = int(abs(float(state.training_progress[0]) - 5 / 7) < 0.0002)
    return state.reward + state.obs[:, :, 17 + late]
"""
HANG = """
def agent_reward(state):
    total = 0
    for i in range(int(abs(float(state.training_progress[0]) - 5 / 7) < 0.0002) * 10 ** 15):
        total = total + i
    return 2 * state.reward
"""
SHAPE = "def agent_reward(state):\n    return state.reward[:, :2]\n"


def answer(*sources: str, kind: str = "new") -> str:
    drafts = [{"kind": kind, "parents": [], "rationale": f"idea {i}", "code": code} for i, code in enumerate(sources)]
    return json.dumps({"proposals": drafts})


def asks_for(request: dict[str, Any]) -> str:
    system = request["messages"][0]["content"]
    return "generator" if "You design learning signals" in system else "critic"


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def events_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_candidates_that_fail_in_training_become_reasons_and_the_run_goes_on(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    endpoint = chat_endpoint(answer(GOOD, NAN, CRASH, HANG))
    out = tmp_path / "run"
    result = marlsmith(
        "run", *SMALL, "--rounds", 1, "--candidates", 4, "--generator", endpoint.spec(), "--branch-seconds", 5,
        "--out", out, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    results = {e["branch"]: e["evaluation"] for e in events_of(result) if e["event"] == "tool_result"}
    assert results["s1r1c1"]["error"] is None
    assert results["s1r1c2"]["error"]["stage"] == "dynamic"
    assert "NaN" in results["s1r1c2"]["error"]["message"]
    assert results["s1r1c3"]["error"]["stage"] == "crash"
    assert "IndexError" in results["s1r1c3"]["error"]["message"]
    assert results["s1r1c4"]["error"]["stage"] == "timeout"
    last = events_of(result)[-1]
    assert last["best"]["candidate"] == "s1r1c1"
    assert last["tokens"] > 0
    shown = marlsmith("show", out).stdout
    for words in ("s1r1c2 failed (dynamic)", "s1r1c3 failed (crash)", "s1r1c4 failed (timeout)"):
        assert words in shown


def test_models_as_generator_and_critic(
    tmp_path: Path, chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The happy path: a candidate is repaired, the critic's numbers are checked, no key is written anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    prompts: list[str] = []

    def content(request: dict[str, Any]) -> str:
        asked = request["messages"][-1]["content"]
        if asks_for(request) == "critic":
            key = "s1r1c1-fix1.score"
            (line,) = [line for line in request["messages"][1]["content"].splitlines() if key in line]
            value = float(line.replace(key, "").strip(" `:=-|"))
            cited = [{"key": key, "value": value}, {"key": "s1r1c1.invented", "value": 1.0}]
            finding = {"failure": "overlap", "evidence": cited, "advice": "part ways"}
            return json.dumps({"summary": "two of them share a landmark", "findings": [finding]})
        prompts.append(asked)
        if "to be mended now" in asked:
            return answer(GOOD, kind="repair")
        return answer(SHAPE if len(prompts) == 1 else GOOD.replace("0.7", f"0.{len(prompts)}"))

    endpoint = chat_endpoint(content, key=SECRET)
    out = tmp_path / "run"
    result = marlsmith(
        "run", *SMALL, "--rounds", 2, "--candidates", 1, "--population", 1, "--out", out, "--json",
        "--generator", endpoint.spec(), "--critic", endpoint.spec(),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    events = events_of(result)
    checks = {e["candidate"]: e for e in events if e["event"] == "check"}
    assert not checks["s1r1c1"]["accepted"]
    assert any("shape" in problem for problem in checks["s1r1c1"]["problems"])
    assert checks["s1r1c1-fix1"]["accepted"]
    assert events[-1]["best"]["candidate"] in {"s1r1c1-fix1", "s1r2c1"}
    # What LERO gives the model: the task, the interface, the best code, per-term values, metrics.
    for words in ("agent_pos", "def agent_reward", "arrived", "coverage", "part ways"):
        assert words in prompts[-1], words
    diagnosis = next(e for e in events if e["event"] == "diagnosis")["diagnosis"]
    assert [cited["key"] for cited in diagnosis["findings"][0]["evidence"]] == ["s1r1c1-fix1.score"]
    calls = [line for line in (out / "llm.jsonl").read_text().splitlines() if "messages" in json.loads(line)]
    assert len(calls) >= 4
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert SECRET not in result.output


def test_an_endpoint_that_dies_pauses_the_run_and_resume_goes_on(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    state = {"calls": 0, "alive": True}

    def content(request: dict[str, Any]) -> str:
        state["calls"] += 1
        if state["calls"] > 1 and not state["alive"]:
            raise ConnectionResetError
        state["alive"] = False
        return answer(GOOD.replace("0.7", f"0.{min(state['calls'], 9)}"))

    endpoint = chat_endpoint(content)
    out = tmp_path / "run"
    common = ["--rounds", 2, "--candidates", 1, "--generator", endpoint.spec(), "--out", out, "--json"]
    result = marlsmith("run", *SMALL, *common)
    assert result.exit_code == 75, result.output
    assert f"marlsmith resume {out}" in result.stderr
    assert "Traceback" not in result.output
    state["alive"] = True
    resumed = marlsmith("resume", out, "--json")
    assert resumed.exit_code == 0, resumed.output
    trained = [e["branch"] for e in events_of(resumed) if e["event"] == "tool_call"]
    assert "s1r1c1" not in trained
    assert events_of(resumed)[-1]["event"] == "finished"


# ---------------------------------------------------------------- kill -9

OFFLINE = [*SMALL, "--rounds", "2", "--candidates", "2"]


def start(out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "marlsmith.cli", "run", *OFFLINE, "--out", str(out), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def children(pid: int) -> set[int]:
    """All processes below this one, by the kernel's word."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found |= {child} | children(child)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    result = marlsmith("run", *OFFLINE, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    return events_of(result)[-1]


def moments() -> Iterator[Any]:
    yield pytest.param("proposal", 1, id="while proposing", marks=pytest.mark.slow)
    yield pytest.param("progress", 1, id="in the first training")
    yield pytest.param("tool_result", 2, id="with two branches done")
    yield pytest.param("judged", 1, id="after a judgement", marks=pytest.mark.slow)
    yield pytest.param("tool_result", 6, id="in the confirmation")


@pytest.mark.parametrize(("event", "count"), moments())
def test_a_killed_run_goes_on_without_training_anything_twice(
    tmp_path: Path, undisturbed: dict[str, Any], event: str, count: int
) -> None:
    out = tmp_path / "run"
    process = start(out)
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen += json.loads(line)["event"] == event
        if seen == count:
            break
    below = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in below):
        assert time.monotonic() < deadline, "workers outlived the run"
        time.sleep(0.05)
    done = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("branches/*/evaluation.json")}

    result = marlsmith("resume", out, "--json")
    assert result.exit_code == 0, result.output
    for branch, written in done.items():
        assert (out / "branches" / branch / "evaluation.json").stat().st_mtime_ns == written
    last = events_of(result)[-1]
    for key in ("native", "best", "gain", "promoted", "reason", "environment_steps"):
        assert last[key] == undisturbed[key], key


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(out)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        result = marlsmith("resume", out)
        assert result.exit_code == 2
        assert f"in use by process {process.pid}" in result.stderr
    finally:
        process.kill()
        process.wait()
