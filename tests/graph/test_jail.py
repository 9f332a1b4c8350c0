"""The jail's report in words: what was refused is said of what was tried, and of nothing else."""

from __future__ import annotations

import tomllib

import pytest
from graph_fakes import OPEN, SOUND, probe
from rich.console import Console

from marlsmith.graph import toml
from marlsmith.graph.telling import jail
from marlsmith.schemas import JailReport

COUNT = len(SOUND.probes)
HARMLESS = SOUND.model_copy(
    update={"probes": (*(p for p in SOUND.probes if p.group != "limits"), probe("limits", "start a thread", False))}
)
INSISTED = SOUND.model_copy(update={"unsafe": True})
GPU = SOUND.model_copy(
    update={
        "profile": "accelerator",
        "probes": (*(p for p in SOUND.probes if p.group != "metadata"), probe("metadata", "stat a file", False)),
    }
)
UNTRIED = SOUND.model_copy(update={"probes": tuple(p for p in SOUND.probes if p.group != "signals")})
NOTHING = JailReport(system="Darwin 25.0 arm64", missing=("macOS has neither seccomp nor landlock",))
MANY = OPEN.model_copy(
    update={"probes": (*OPEN.probes, probe("network", "send by UDP", False), probe("exec", "fork", False))}
)


@pytest.mark.parametrize(
    ("report", "sound", "said"),
    [
        (SOUND, True, f"{COUNT} acts tried, all refused"),
        (HARMLESS, True, f"{COUNT} acts tried, {COUNT - 1} refused; open: limits"),
        (INSISTED, True, f"{COUNT} acts tried, all refused (--unsafe-jail given)"),
        (GPU, True, f"for a GPU: {COUNT} acts tried, {COUNT - 1} refused; open: metadata"),
        (OPEN, False, "UNSAFE, open: network"),
        (MANY, False, "UNSAFE, open: network, exec"),
        (OPEN.model_copy(update={"profile": "accelerator"}), False, "for a GPU: UNSAFE, open: network"),
        (UNTRIED, False, "UNSAFE, not tried: signals"),
        (NOTHING, False, "UNSAFE, nothing could be tried: macOS has neither seccomp nor landlock"),
    ],
)
def test_the_trace_says_in_a_line_what_was_found(report: JailReport, sound: bool, said: str) -> None:
    assert report.sound is sound
    assert jail.summary(report) == said
    assert ("red" in jail.style(report)) is not sound
    whose = "The jail for a GPU" if report.profile == "accelerator" else "The jail"
    assert jail.verdict(report).startswith(f"{whose} is sound" if sound else f"{whose} is NOT sound")
    assert (jail.warning(report) is None) is sound


def test_run_toml_keeps_every_act_by_group() -> None:
    kept = tomllib.loads(toml.dumps(jail.record(MANY)))
    assert (kept["sound"], kept["profile"]) == (False, "cpu")
    assert jail.record(GPU)["profile"] == "accelerator"
    assert kept["open"] == {
        "network": ["connect by TCP: it worked", "send by UDP: it worked"],
        "exec": ["fork: it worked"],
    }
    assert sum(map(len, kept["refused"].values())) == COUNT - 1
    assert kept["layers"] == ["no_new_privs", "landlock 7", "seccomp"]


def test_what_a_worker_answered_is_no_markup_and_one_line() -> None:
    shouting = probe("network", "[red]connect[/red]", False).model_copy(update={"answer": "\x1b[2Jit\nworked[/]"})
    report = SOUND.model_copy(update={"probes": (shouting, *SOUND.probes[1:])})
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(jail.table(report))
    lines = captured.get().splitlines()
    assert "[red]connect[/red]  OPEN     [2Jit worked[/]" in lines[1]
    assert len(lines) == 1 + COUNT
    assert "\x1b" not in captured.get()
    assert "\x1b" not in toml.dumps(jail.record(report))
