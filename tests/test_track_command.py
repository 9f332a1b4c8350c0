"""`marlsmith track`, and `--track` on the commands that work on a run: both tell a tracker the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app
from marlsmith.graph.methods import PRESETS, RunSettings
from marlsmith.graph.run_directory import RunDirectory

SMALL = [
    "--steps", "400", "--episodes", "1", "--seeds", "2", "--confirm-seeds", "2", "--workers", "1",
    "--rounds", "1", "--candidates", "1", "--population", "1", "--no-validator",
]  # fmt: skip


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def scalars(run: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """By line and name, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for file in (run / "tensorboard").rglob("events.*"):
        data = EventAccumulator(str(file.parent)).Reload()
        for tag in data.Tags()["scalars"]:
            found[str(file.parent.relative_to(run)), tag] = [(event.step, event.value) for event in data.Scalars(tag)]
    return found


def test_a_run_and_its_resume_tell_what_track_tells_afterwards(tmp_path: Path) -> None:
    """From the command line to the curves in the tracker's files. A margin of -100 lets anything pass the gate."""
    pytest.importorskip("tensorboard")
    run, later = tmp_path / "run", tmp_path / "later"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lero", PRESETS["lero"].model_copy(update={"margin": -100.0}))
        first = marlsmith("run", *SMALL, "--out", run, "--approve", "--json", "--track", "tensorboard")
    assert first.exit_code == 10, first.output
    assert f"tensorboard --logdir {run}/tensorboard" in first.stderr
    for line in first.stdout.splitlines():
        json.loads(line)  # nothing of a tracker between the events
    assert ("tensorboard", "result/gain") not in scalars(run)
    assert marlsmith("approve", run, "--yes", "--plain", "--track", "tensorboard").exit_code == 0
    shutil.copytree(run, later, ignore=shutil.ignore_patterns("tensorboard"))
    told = marlsmith("track", later, "--with", "tensorboard", "--with", "tensorboard")
    assert told.stdout == f"tensorboard --logdir {later}/tensorboard\n"
    live = scalars(run)
    assert {key: sorted(points) for key, points in live.items()} == scalars(later)
    expected = results(run)
    best = dict(live["tensorboard/result/best", "curve/score"])
    assert best == pytest.approx(expected["best"], abs=1e-6)
    assert live["tensorboard", "result/gain"][0][1] == pytest.approx(expected["gain"], abs=1e-6)


def results(run: Path) -> dict[str, Any]:
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    finished = events[-1]
    branch = f"{finished['best']['candidate']}-confirm"
    (evaluation,) = [e["evaluation"] for e in events if e["event"] == "tool_result" and e["branch"] == branch]
    return {
        "best": {point["steps"]: point["score"] for point in evaluation["curve"]},
        "gain": finished["gain"]["mean"],
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--track", "mlflow"], "there is no tracker 'mlflow': use tensorboard or wandb"),
        (["resume", "nowhere", "--track", "mlflow"], "there is no tracker 'mlflow'"),
        (["track", "nowhere", "--with", "tensorboard"], "nowhere"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    result = marlsmith(*words)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("marlsmith: ")
    assert sentence in line
    assert not list(tmp_path.iterdir())


def test_a_damaged_trace_is_said_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    directory = RunDirectory.create(tmp_path / "run", RunSettings(task="mpe/simple_spread"), "")
    directory.append_event({"event": "tool_result"})
    result = marlsmith("track", directory.path, "--with", "tensorboard")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "events.jsonl is damaged" in line
