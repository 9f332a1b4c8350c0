"""The jail tried for real, always in a process of its own: what it refuses, what still works, and what it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marlsmith.marl.jail import landlock, lockdown, syscalls
from marlsmith.marl.jail.acts import ACTS
from marlsmith.marl.jail.selftest import examine
from marlsmith.marl.workers.contract import Limits
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import REQUIRED_GROUPS, JailReport

SCRIPT = Path(__file__).with_name("jail_script.py")
ROOT = os.geteuid() == 0
USERS = ["root", "nobody"] if ROOT else ["self"]
VERSION = landlock.version()

# What landlock refuses by itself; the signals and abstract sockets since its sixth version.
BY_LANDLOCK = {
    *("open a file by openat", "open a file by openat2", "open /etc/passwd", "list a directory"),
    *("open the environment of its parent", "open the memory of its parent"),
    *("create a file", "append to a file", "remove a file", "rename a file", "make a directory"),
    *("make a symbolic link", "make a hard link", "make a named pipe"),
    *("execute a program by execve", "execute a program by execveat", "execute a program by posix_spawn"),
    *("trace a process", "read the memory of a process", "write the memory of a process"),
}
BY_LANDLOCK_3 = {"truncate a file"}
BY_LANDLOCK_4 = {"connect by TCP", "listen by TCP"}
BY_LANDLOCK_6 = {
    "connect to a unix socket by its abstract name",
    *(act.name for act in ACTS if act.group == "signals" and act.name != "signal every process"),
}


def script(what: str, user: str = "self", layers: str = "all") -> Any:
    command = [sys.executable, str(SCRIPT), what, user, layers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def examined(user: str, layers: str) -> JailReport:
    return JailReport.model_validate(script("examine", user, layers))


@pytest.mark.parametrize("user", USERS)
def test_every_act_is_refused(user: str) -> None:
    report = examined(user, "all")
    assert [(probe.act, probe.answer) for probe in report.open] == []
    assert [probe.act for probe in report.probes] == [act.name for act in ACTS]
    assert report.sound
    assert "seccomp" in report.layers
    assert f"landlock {VERSION}" in report.layers or not VERSION
    assert report.system.startswith("Linux ")


@pytest.mark.parametrize("user", USERS)
def test_the_filter_alone_refuses_every_act(user: str) -> None:
    report = examined(user, "seccomp")
    assert [(probe.act, probe.answer) for probe in report.open] == []
    assert not any(layer.startswith("landlock") for layer in report.layers)


@pytest.mark.skipif(not VERSION, reason="this kernel has no landlock")
@pytest.mark.parametrize("user", USERS)
def test_landlock_alone_refuses_its_part(user: str) -> None:
    report = examined(user, "landlock")
    assert "seccomp" not in report.layers
    expected = set(BY_LANDLOCK)
    for since, acts in ((3, BY_LANDLOCK_3), (4, BY_LANDLOCK_4), (6, BY_LANDLOCK_6)):
        expected |= acts if since <= VERSION else set()
    assert expected & {probe.act for probe in report.open} == set()
    # and the report says what it leaves open
    assert {"fork", "send by UDP", "stat a file"} <= {probe.act for probe in report.open}
    assert not report.sound


@pytest.mark.parametrize("user", USERS)
def test_without_layers_the_acts_are_seen_to_come_through(user: str) -> None:
    """The attempts work: what the other tests call refused is the jail's doing."""
    report = examined(user, "none")
    refused = {probe.act for probe in report.probes if probe.refused}
    by_other_means = {
        "hold other descriptors than its own",
        "see other variables than those allowed",
        *(act.name for act in ACTS if act.name.startswith("raise")),  # a hard limit holds by itself
        # by who owns it, by missing privileges, or by a kernel that has no such thing
        *("open the environment of its parent", "open the memory of its parent"),
        *("load a BPF map", "mount a file system", "change its user", "change its root", "read the log of the kernel"),
        *("count performance events", "handle page faults", "set up io_uring", "use the keyring"),
        *("open a file by open", "leave its namespace", "make a netlink socket", "open a POSIX message queue"),
    }
    assert refused <= by_other_means
    assert {"network", "exec", "read", "signals"} == set(REQUIRED_GROUPS)
    for group in REQUIRED_GROUPS:
        assert any(probe.group == group for probe in report.open)


@pytest.mark.parametrize("user", USERS)
def test_the_accelerators_profile_keeps_the_files_and_the_others(user: str) -> None:
    if not VERSION:
        pytest.skip("this kernel has no landlock")
    report = examined(user, "accelerator")
    assert {probe.act for probe in report.open} == {
        *("stat a file", "stat a file by statx", "ask for access to a file", "read a symbolic link"),
        *("copy a descriptor", "start a thread", "make a pipe"),
    }
    assert report.sound


@pytest.mark.parametrize("user", USERS)
def test_without_landlock_the_accelerators_profile_is_not_sound(user: str) -> None:
    report = examined(user, "accelerator without landlock")
    assert {probe.act for probe in report.open if probe.group in REQUIRED_GROUPS} >= {
        *("open a file by openat", "open /etc/passwd", "list a directory"),
    }
    assert not report.sound


@pytest.mark.skipif(not VERSION, reason="this kernel has no landlock")
def test_landlock_lets_a_cpu_open_nothing_and_an_accelerator_the_systems_libraries() -> None:
    assert set(script("files").values()) == {False}
    readable = {path for path, opened in script("files", layers="accelerator").items() if opened}
    assert readable == {
        path for path in ("/usr/lib", "/proc/cpuinfo", "/sys/devices/system/cpu") if Path(path).exists()
    }


def test_the_pools_workers_refuse_every_act_and_a_gpus_what_must_be_refused() -> None:
    limits = Limits(wall_seconds=30, stall_seconds=30, memory_bytes=1 << 30, cpu_seconds=30)
    wider = replace(limits, accelerator=True)
    with Pool(1) as pool:
        report = examine(lambda arguments: pool.run("probe", arguments, limits).value, False, pool.home)
        gpus = examine(lambda arguments: pool.run("probe", arguments, wider).value, False, pool.home, "accelerator")
    assert [(probe.act, probe.answer) for probe in report.open] == []
    assert report.sound
    assert gpus.sound is bool(VERSION)
    if VERSION:
        assert {probe.group for probe in gpus.open} == {"metadata", "kernel", "limits", "descriptors"}
        assert ("raise the memory limit", "there is no limit") in {(probe.act, probe.answer) for probe in gpus.open}


@pytest.mark.parametrize("user", USERS)
def test_the_quick_check_agrees(user: str) -> None:
    jailed = script("open_acts", user)
    assert jailed["open"] == []
    assert "seccomp" in jailed["layers"]
    bare = script("open_acts", user, "none")
    assert "seccomp" not in bare["layers"]
    expected = ["make a socket", "fork", "open the root directory", "open /etc/passwd", "signal its parent"]
    assert bare["open"] == expected
    # that the signalled process is not there is no refusal
    assert jailed["stranger"] == []
    assert bare["stranger"] == expected
    # generous: about 1 and 0.2 ms on an idle machine
    assert sum(jailed["milliseconds"]) < 50


@pytest.mark.skipif(not ROOT, reason="only root has privileges to lose")
def test_root_gives_its_privileges_up_and_still_dies_with_its_parent() -> None:
    said = script("privileges", "root", "none")
    assert {int(said[name], 16) for name in ("CapEff", "CapPrm", "CapInh")} == {0}
    assert said["NoNewPrivs"] == "1"
    assert said["death"] == 9


def test_trainings_give_the_same_bits_inside() -> None:
    digests = script("train")
    assert digests["inside"] == digests["outside"]
    assert len(set(digests["inside"])) == 6  # and they are six different things


def test_crashes_end_as_they_would_and_are_written_down_once() -> None:
    assert script("crash") == {"segfault": [-11, 1], "abort": [-6, 1], "cpu": [-24, 1]}


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_system_without_layers_is_named(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    (sentence,) = lockdown.missing()
    assert "neither seccomp nor landlock: run marlsmith in a Linux container" in sentence


def test_a_processor_without_a_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "riscv64")
    (sentence,) = lockdown.missing()
    assert "no table of system calls for riscv64" in sentence
    with pytest.raises(OSError, match="not implemented"):
        syscalls.call("getpid")


def test_a_kernel_without_landlock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert any("no landlock" in sentence for sentence in lockdown.missing())
    monkeypatch.setattr(landlock, "version", lambda: 4)
    assert any("landlock 4 has no rules for signals" in sentence for sentence in lockdown.missing())
