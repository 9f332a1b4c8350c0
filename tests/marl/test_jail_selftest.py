"""The self-test's own honesty: a worker's word is checked, victims are looked at, nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from marlsmith.marl.jail.acts import ACTS, CHANGED, MADE
from marlsmith.marl.jail.probes import ATTEMPTS
from marlsmith.marl.jail.selftest import Victims, examine, judge
from marlsmith.marl.workers.environment import ALLOWED
from marlsmith.schemas import REQUIRED_GROUPS, JailReport, ProbeGroup

NAMES = [act.name for act in ACTS]


def refused() -> dict[str, Any]:
    """The answer of a worker in a perfect jail."""
    probes = [{"act": act.name, "group": act.group, "refused": True, "answer": "EPERM"} for act in ACTS]
    return {"layers": ["no_new_privs", "landlock 7", "no capabilities", "seccomp"], "probes": probes}


def test_the_table_and_the_attempts_are_the_same_acts() -> None:
    assert sorted(ATTEMPTS) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    assert {act.group for act in ACTS} == set(ProbeGroup.__args__)  # type: ignore[attr-defined]
    assert {*CHANGED.values(), *MADE.values()} <= set(NAMES)
    assert NAMES[-1] == "leave its namespace"


def test_a_perfect_answer_is_sound() -> None:
    report = examine(lambda arguments: refused(), unsafe=True)
    assert report.sound
    assert report.unsafe
    assert report.open == ()
    assert report.layers == ("no_new_privs", "landlock 7", "no capabilities", "seccomp")
    assert report.profile == "cpu"


def test_metadata_alone_may_be_open() -> None:
    answer = refused()
    for entry in answer["probes"]:
        entry["refused"] = entry["group"] != "metadata"
    report = examine(lambda arguments: answer, unsafe=False, profile="accelerator")
    assert report.sound
    assert report.profile == "accelerator"
    assert {probe.act for probe in report.open} == {
        *("stat a file", "stat a file by statx", "ask for access to a file", "read a symbolic link"),
    }


@pytest.mark.parametrize("profile", ["cpu", "accelerator"])
def test_a_gpu_is_named_where_landlock_is_missing(
    monkeypatch: pytest.MonkeyPatch, profile: Literal["cpu", "accelerator"]
) -> None:
    monkeypatch.setattr("marlsmith.marl.jail.landlock.version", lambda: 0)
    report = examine(lambda arguments: refused(), unsafe=False, profile=profile)
    assert any("no landlock" in sentence for sentence in report.missing)
    assert any("use --device cpu" in sentence for sentence in report.missing) == (profile == "accelerator")


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "EPERM", {"layers": 3, "probes": {}}, {"layers": ["seccomp"], "probes": [None, 3, []]}],
)
def test_no_answer_leaves_everything_open(answer: Any) -> None:
    layers, probes = judge(answer, {})
    assert {probe.act for probe in probes} >= set(NAMES)
    assert not any(probe.refused for probe in probes)
    assert not JailReport(system="Linux", layers=layers, probes=probes).sound


@pytest.mark.parametrize("layers", [["seccomp", 3], ["everything"], ["seccomp\n"], "seccomp", [["seccomp"]]])
def test_a_layer_that_does_not_exist_is_no_layer(layers: Any) -> None:
    assert judge({**refused(), "layers": layers}, {})[0] == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.update(refused=1),
        lambda entry: entry.update(refused="true"),
        lambda entry: entry.update(answer=None),
        lambda entry: entry.update(group="environment"),
        lambda entry: entry.update(more="words"),
        lambda entry: entry.pop("answer"),
        lambda entry: entry.update(refused=False),
        lambda entry: entry.clear(),
    ],
)
def test_an_entry_that_is_not_as_it_should_be_is_open(spoil: Callable[[dict[str, Any]], Any]) -> None:
    answer = refused()
    spoil(answer["probes"][NAMES.index("fork")])
    _, probes = judge(answer, {})
    assert {probe.act for probe in probes[: len(ACTS)] if not probe.refused} == {"fork"}
    assert not JailReport(system="Linux", probes=probes).sound


def test_an_act_named_twice_or_never_is_open() -> None:
    answer = refused()
    answer["probes"] += [answer["probes"][NAMES.index("fork")]]
    del answer["probes"][NAMES.index("send by UDP")]
    _, probes = judge(answer, {})
    assert {probe.act: probe.answer for probe in probes if not probe.refused} == {
        "fork": "the worker's answer is malformed",
        "send by UDP": "the worker did not answer",
    }


def test_an_answer_that_nobody_asked_for_makes_it_unsound() -> None:
    answer = refused()
    answer["probes"].append({"act": "open\x1b[31m the door", "group": "kernel", "refused": True, "answer": "EPERM"})
    _, probes = judge(answer, {})
    (extra,) = (probe for probe in probes if not probe.refused)
    assert extra.act.isprintable()
    assert extra.group in REQUIRED_GROUPS


def test_a_hostile_answer_is_printable_and_short() -> None:
    answer = refused()
    answer["probes"][0]["answer"] = "\x1b[2J" + "x" * 10_000
    _, probes = judge(answer, {})
    assert probes[0].answer.isprintable()
    assert len(probes[0].answer) <= 200


# ---------------------------------------------------------------- victims: what was touched is seen


def touch_tcp(arguments: dict[str, Any]) -> None:
    socket.create_connection(("127.0.0.1", arguments["tcp"])).close()


def touch_udp(arguments: dict[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"", ("127.0.0.1", arguments["udp"]))


def touch_unix(arguments: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(arguments["unix"])


def touch_abstract(arguments: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect("\0" + arguments["abstract"])


def touch_process(arguments: dict[str, Any]) -> None:
    os.kill(arguments["target"], signal.SIGTERM)
    os.waitid(os.P_PID, arguments["target"], os.WEXITED | os.WNOWAIT)


def write(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: Path(arguments["directory"], name).write_text("x") and None


TOUCHES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "connect by TCP": (touch_tcp, "it arrived"),
    "send by UDP": (touch_udp, "it arrived"),
    "connect to a unix socket by its path": (touch_unix, "it arrived"),
    "connect to a unix socket by its abstract name": (touch_abstract, "it arrived"),
    "signal a process by tkill": (touch_process, "the victim is dead"),
    "append to a file": (write("appended"), "the victim's file 'appended' is not as it was"),
    "create a file": (write("secret"), "the victim's file 'secret' is not as it was"),
    "remove a file": (lambda a: Path(a["directory"], "removed").unlink(), "the victim's file 'removed'"),
    "rename a file": (write("new name"), "the victim's file 'new name'"),
    "change the mode of a file": (lambda a: Path(a["directory"], "mode").chmod(0), "the victim's file 'mode'"),
    "change the times of a file": (lambda a: os.utime(Path(a["directory"], "times"), (0, 0)), "the victim's file"),
    "make a directory": (lambda a: Path(a["directory"], "directory").mkdir(), "the victim's file 'directory'"),
    "slow a process down": (lambda a: os.setpriority(os.PRIO_PROCESS, a["process"], 19), "the victim's priority"),
}


@pytest.mark.parametrize("act", TOUCHES)
def test_a_worker_that_lies_is_found_out(act: str) -> None:
    touch, evidence = TOUCHES[act]

    def lying(arguments: dict[str, Any]) -> dict[str, Any]:
        touch(arguments)
        return refused()

    report = examine(lying, unsafe=False)
    found = {probe.act: probe.answer for probe in report.open}
    assert found[act].startswith(f"the worker said EPERM, and {evidence}")
    others = {other for other in found if other.startswith("signal a process")} if "signal" in act else {act}
    assert set(found) == others


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_nothing_of_the_victims_stays() -> None:
    seen: dict[str, Any] = {}

    def failing(arguments: dict[str, Any]) -> dict[str, Any]:
        seen.update(arguments)
        raise RuntimeError("the worker fell over")

    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(RuntimeError, match="fell over"):
        examine(failing, unsafe=False)
    assert set(os.listdir("/proc/self/fd")) == before
    assert not Path(seen["directory"]).exists()
    assert gone(seen["process"])
    assert gone(seen["target"])


@pytest.mark.timeout(30)
def test_a_victim_that_was_stopped_ends_too() -> None:
    seen: dict[str, Any] = {}

    def stopping(arguments: dict[str, Any]) -> dict[str, Any]:
        seen.update(arguments)
        for victim in ("process", "target"):
            os.kill(arguments[victim], signal.SIGSTOP)
        return refused()

    examine(stopping, unsafe=False)
    assert gone(seen["process"])
    assert gone(seen["target"])


def test_victims_lie_where_they_are_told_to(tmp_path: Path) -> None:
    seen: list[Path] = []

    def looking(arguments: dict[str, Any]) -> dict[str, Any]:
        seen.extend(tmp_path.iterdir())
        assert Path(arguments["directory"]) in seen
        assert Path(arguments["unix"]).parent in seen
        return refused()

    assert examine(looking, unsafe=False, home=tmp_path).sound
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_victims_die_with_whoever_made_them(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\nfrom marlsmith.marl.jail.selftest import Victims\n"
        "with Victims(pathlib.Path(sys.argv[1])) as victims:\n"
        "    print(victims.arguments['process'], victims.arguments['target'], flush=True)\n"
        "    os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    assert len(list(tmp_path.iterdir())) == 1  # the files stay, for the owner of that directory to remove
    end = time.monotonic() + 10
    while any(_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.02)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_host_without_a_network_still_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("marlsmith.marl.jail.selftest.socket.socket", no_socket)
    with Victims() as victims:
        assert victims.arguments["tcp"] == victims.arguments["udp"] == 9
        assert victims.touched() == {}


def test_the_worker_is_told_which_variables_it_may_see() -> None:
    seen: list[str] = []

    def noting(arguments: dict[str, Any]) -> dict[str, Any]:
        seen.extend(arguments["allowed"])
        return refused()

    examine(noting, unsafe=False)
    assert set(seen) == ALLOWED
    assert {"PATH", "LC_CTYPE"} <= ALLOWED  # Python sets LC_CTYPE by itself where there is no other locale


def test_what_the_orchestrator_runs_needs_no_torch() -> None:
    code = "import sys, marlsmith.marl.jail.selftest, marlsmith.marl.jail.lockdown; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
