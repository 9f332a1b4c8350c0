"""What is said of the jail, by `doctor` and by the commands that run candidate code: only what was seen refused."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app
from marlsmith.graph.methods import PRESETS
from marlsmith.schemas import REQUIRED_GROUPS, JailReport, Probe, ProbeGroup

SMALL = ["--steps", "400", "--episodes", "4", "--seeds", "2", "--confirm-seeds", "2", "--rounds", "1"]
SMALL += ["--candidates", "1"]
GOOD = 'def agent_reward(state):\n    """Nearer is better."""\n    return -state.agent_pos.norm(dim=-1)\n'

REFUSED = tuple(Probe(act=f"try {g}", group=g, refused=True, answer="EPERM") for g in get_args(ProbeGroup))
THROUGH = Probe(act="connect by TCP", group="network", refused=False, answer="it was connected")
SOUND = JailReport(system="Linux 6.18 x86_64", layers=("landlock 7", "seccomp"), probes=REFUSED)
OPEN = JailReport(
    system="Linux 5.4 x86_64",
    layers=("seccomp",),
    probes=(*REFUSED, THROUGH),
    missing=("this kernel has no landlock (before 5.13, or switched off)",),
)

Find = Callable[[JailReport], None]


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Find:
    """Lets the executor find this, whatever the machine enforces."""

    def find(report: JailReport) -> None:
        def examine(
            probe: object, unsafe: bool, home: Path | None = None, profile: Literal["cpu", "accelerator"] = "cpu"
        ) -> JailReport:
            return report.model_copy(update={"unsafe": unsafe, "profile": profile})

        monkeypatch.setattr("marlsmith.marl.local.examine", examine)

    return find


def refused(result: Result) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("marlsmith: ")
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for words in ("connect by TCP", "marlsmith doctor", "--unsafe-jail"):
        assert words in result.stderr
    assert result.stdout == ""


# ---------------------------------------------------------------- doctor


def test_doctor_tries_this_machine(found: Find) -> None:
    said = json.loads(marlsmith("doctor", "--json").stdout)
    sound = said.pop("sound")
    report = JailReport.model_validate(said)
    assert report.sound is sound
    assert {probe.group for probe in report.probes} == set(get_args(ProbeGroup))
    found(report)  # to be shown, without trying it again
    shown = marlsmith("doctor")
    assert shown.exit_code == (0 if sound else 1)
    for probe in report.probes:
        assert probe.act in shown.stdout
    for words in (report.system, "python", "torch 2.", "cores", "GiB memory"):
        assert words in shown.stdout
    assert "\x1b" not in shown.stdout


def test_doctor_says_what_is_open_and_what_is_missing(found: Find) -> None:
    found(OPEN)
    shown = marlsmith("doctor")
    assert shown.exit_code == 1
    (line,) = [line for line in shown.stdout.splitlines() if line.split()[-4:] == ["OPEN", "it", "was", "connected"]]
    assert "connect by TCP" in line
    assert "no landlock (before 5.13, or switched off)" in shown.stdout
    last = shown.stdout.replace("\n", " ")
    assert "The jail is NOT sound (open: network): no candidate code is checked or trained here" in last
    said = json.loads(marlsmith("doctor", "--json").stdout)
    assert (said["sound"], said["unsafe"]) == (False, False)
    assert said["probes"][-1] == {
        "act": "connect by TCP",
        "group": "network",
        "refused": False,
        "answer": "it was connected",
    }


def test_doctor_is_content_where_only_other_groups_are_open(found: Find) -> None:
    thread = Probe(act="start a thread", group="limits", refused=False, answer="it ran")
    found(SOUND.model_copy(update={"probes": (*REFUSED, thread)}))
    shown = marlsmith("doctor")
    assert shown.exit_code == 0
    assert shown.stdout.rstrip().endswith("refused; open: limits.")


@pytest.mark.parametrize("group", REQUIRED_GROUPS)
def test_what_was_not_tried_does_not_count_as_refused(found: Find, group: str) -> None:
    found(SOUND.model_copy(update={"probes": tuple(probe for probe in REFUSED if probe.group != group)}))
    shown = marlsmith("doctor")
    assert shown.exit_code == 1
    assert f"not tried: {group}" in shown.stdout


def test_doctor_tries_a_gpus_jail_too() -> None:
    said = json.loads(marlsmith("doctor", "--device", "cuda", "--json").stdout)
    sound = said.pop("sound")
    report = JailReport.model_validate(said)
    assert (report.profile, report.sound) == ("accelerator", sound)
    assert "stat a file" in {probe.act for probe in report.open}  # what a driver needs is said to be open
    assert "fork" not in {probe.act for probe in report.open}


def test_doctor_says_whose_jail_it_is(found: Find) -> None:
    found(OPEN)
    shown = marlsmith("doctor", "--device", "cuda").stdout.replace("\n", " ")
    assert "The jail for a GPU is NOT sound (open: network): no candidate code is trained on a GPU here" in shown
    assert " GPU" in next(
        line for line in marlsmith("doctor", "--device", "cuda").stdout.splitlines() if "cores" in line
    )
    assert marlsmith("doctor", "--device", "tpu").exit_code == 2


def test_doctor_on_another_system_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    shown = marlsmith("doctor")
    assert shown.exit_code == 1, shown.output
    assert "macOS has neither seccomp nor landlock" in shown.stdout
    assert "nothing could be tried" in shown.stdout.replace("\n", " ")
    assert "Traceback" not in shown.output
    said = json.loads(marlsmith("doctor", "--json").stdout)
    assert (said["sound"], said["probes"]) == (False, [])


# ---------------------------------------------------------------- the commands that run candidate code


@pytest.fixture
def signal(tmp_path: Path) -> Path:
    file = tmp_path / "signal.py"
    file.write_text(GOOD)
    return file


def test_no_candidate_is_run_where_the_jail_is_open(tmp_path: Path, signal: Path, found: Find) -> None:
    found(OPEN)
    refused(marlsmith("check", signal))
    refused(marlsmith("train", "--signal", signal, "--steps", 400, "--seeds", 2, "--out", tmp_path / "kept"))
    refused(marlsmith("run", *SMALL, "--out", tmp_path / "runs" / "run"))
    assert list(tmp_path.iterdir()) == [signal]


def test_whoever_insists_is_warned_and_results_keep_their_form(signal: Path, found: Find) -> None:
    found(OPEN)
    checked = marlsmith("check", signal, "--unsafe-jail", "--json")
    assert checked.exit_code == 0, checked.output
    assert set(json.loads(checked.stdout)) == {"file", "accepted", "stage", "problems"}
    trained = marlsmith("train", "--signal", signal, "--steps", 400, "--seeds", 2, "--unsafe-jail", "--json")
    assert trained.exit_code == 0, trained.output
    keys = {"score", "scores", "interval", "metrics", "steps_per_second", "seconds"}
    assert set(json.loads(trained.stdout)) == keys
    for result in (checked, trained):
        warning = "marlsmith: warning: --unsafe-jail: candidate code runs without a sound jail"
        assert f"{warning} (open: network)\n" in result.stderr


def test_a_sound_jail_is_no_reason_to_warn(signal: Path, found: Find) -> None:
    found(SOUND)
    assert marlsmith("check", signal, "--unsafe-jail").stderr == ""


def test_an_unsafe_run_bears_its_stamp(tmp_path: Path, found: Find) -> None:
    found(OPEN)
    out = tmp_path / "run"
    result = marlsmith("run", *SMALL, "--out", out, "--unsafe-jail", "--plain")
    assert result.exit_code == 0, result.output
    manifest: dict[str, Any] = tomllib.loads((out / "run.toml").read_text())
    assert manifest["settings"]["unsafe_jail"] is True
    assert (manifest["jail"]["sound"], manifest["jail"]["unsafe"]) == (False, True)
    assert manifest["jail"]["open"] == {"network": ["connect by TCP: it was connected"]}
    for story in (result.stderr, marlsmith("show", out).stdout):
        assert "UNSAFE, open: network" in story
        assert "UNSAFE: candidate code ran without a sound jail (--unsafe-jail)" in f"{story}{result.stdout}"
    first = json.loads(marlsmith("show", out, "--json").stdout.splitlines()[0])
    assert JailReport.model_validate(first["jail"]).unsafe


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a run that waits for an approval: whatever it finds is worth one."""
    monkeypatch.setitem(PRESETS, "lero", PRESETS["lero"].model_copy(update={"margin": -100.0}))

    def run(*options: str) -> Path:
        result = marlsmith("run", *SMALL, "--out", tmp_path / "run", "--approve", "--plain", *options)
        assert result.exit_code == 10, result.output
        return tmp_path / "run"

    return run


def test_insisting_later_stamps_the_run_as_well(waiting: Callable[..., Path], found: Find) -> None:
    found(SOUND)
    out = waiting()
    before = (out / "run.toml").read_bytes()
    found(OPEN)
    refused(marlsmith("approve", out, "--yes"))
    assert (out / "run.toml").read_bytes() == before
    result = marlsmith("approve", out, "--yes", "--unsafe-jail", "--json")
    assert result.exit_code == 0, result.output
    manifest = tomllib.loads((out / "run.toml").read_text())
    assert manifest["settings"]["unsafe_jail"] is True
    assert (manifest["jail"]["sound"], manifest["jail"]["unsafe"]) == (False, True)
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["event"], last["jail"]) == ("finished", {"sound": False, "unsafe": True})
    assert "UNSAFE: candidate code ran without a sound jail (--unsafe-jail)" in marlsmith("show", out).stdout


def test_a_run_of_somebody_else_cannot_switch_the_jail_off(waiting: Callable[..., Path], found: Find) -> None:
    found(OPEN)
    out = waiting("--unsafe-jail")
    assert "unsafe_jail = true" in (out / "run.toml").read_text()
    refused(marlsmith("approve", out, "--no"))
    assert marlsmith("approve", out, "--no", "--unsafe-jail").exit_code == 0


def test_a_run_says_what_its_jail_enforces(tmp_path: Path, found: Find) -> None:
    found(SOUND)
    result = marlsmith("run", *SMALL, "--out", tmp_path / "run", "--plain")
    assert result.exit_code == 0, result.output
    assert f"{len(REFUSED)} acts tried, all refused" in result.stderr
    assert tomllib.loads((tmp_path / "run/run.toml").read_text())["jail"]["layers"] == ["landlock 7", "seccomp"]
