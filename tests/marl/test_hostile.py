"""The hostile corpus: each file is refused in the layer that it names, and where nothing is checked, by the jail.

`tests/corpus/hostile/GROUP/NAME.py` (or `.json`, whose head is in `.about`): the first line says what is tried, the
second `# caught: LAYER`, a third one `# slow: ...` where only a limit of time ends it. `neutral` may be accepted, for
it does no harm. The group `raw` makes sense only without the checks: nothing but the jail stands against it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from marlsmith.commands.files import parse_signal
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.workers.contract import JobFailure, Limits
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import FailureStage, SignalError, plain

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers need Linux")

ROOT = Path(__file__).parent.parent / "corpus" / "hostile"
FILES = sorted(path for path in ROOT.glob("*/*") if path.suffix in {".py", ".json"})
HANDLERS = Path(__file__).with_name("hostile_jobs.py")
LIMITS = Limits(wall_seconds=1.5, stall_seconds=1.5, memory_bytes=256 << 20, cpu_seconds=1.5)
SECRET, KEY = "the-canary-sings-at-dawn", "sk-this-must-stay-outside"
SYSTEM_V_KEY = "4711"  # under which the corpus makes what would outlive its process
GROUPS = {
    "file_reads", "file_writes", "network", "processes", "secrets", "introspection", "torch_doors", "numpy_doors",
    "bombs", "tampering", "nonfinite", "shapes", "mutation", "state_between_calls", "randomness", "batch_leaks",
    "scope_leaks", "encodings", "config", "raw",
}  # fmt: skip
STAGES: dict[str, set[str]] = {
    "static": {"static"},
    "dynamic": {"static", "dynamic"},
    "jail": {"static", "dynamic", "timeout", "memory", "crash"},
    "neutral": {"accepted", "static", "dynamic"},
}
SOME = 4
"""One in so many of the files that need a worker is tried in the ordinary run, and all of them in the slow one."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def head_of(path: Path) -> list[str]:
    text = (path.with_suffix(".about") if path.suffix == ".json" else path).read_bytes()
    return [line.decode("utf-8", "replace") for line in text.split(b"\n")[:3]]


def layer_of(path: Path) -> str:
    return head_of(path)[1].removeprefix("# caught: ").strip()


def is_slow(path: Path) -> bool:
    return head_of(path)[2].startswith("# slow: ")


def cases(files: list[Path], quick: set[Path]) -> list[Any]:
    return [pytest.param(path, id=name_of(path), marks=[] if path in quick else [pytest.mark.slow]) for path in files]


def some(files: list[Path]) -> set[Path]:
    return {path for number, path in enumerate(files) if number % SOME == 0 and not is_slow(path)}


CHECKED = [path for path in FILES if path.parent.name != "raw"]
STATIC = {path for path in CHECKED if layer_of(path) == "static"}
WORKED = [path for path in CHECKED if path not in STATIC]
# Sources that can be sent to a worker at all.
RUNNABLE = [path for path in FILES if path.suffix == ".py" and path.stat().st_size < 150_000]
REMEMBERING = [path for path in CHECKED if path.parent.name == "state_between_calls"]
RAW = {path for path in RUNNABLE if path.parent.name == "raw" and layer_of(path) == "jail"}
TIMED = {"memory_bytes", "memory_map_shared", "memory_swallowed", "sleep", "swallow_timeouts"}
QUICK = {path for path in RAW if path.stem not in TIMED} | some([path for path in RUNNABLE if path not in RAW])


# ---------------------------------------------------------------- the corpus itself


def test_corpus_is_large_and_complete() -> None:
    groups = Counter(path.parent.name for path in FILES)
    assert set(groups) == GROUPS
    assert len(CHECKED) >= 170
    assert groups["raw"] >= 40
    assert min(groups.values()) >= 10


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_file_says_what_it_tries_and_who_catches_it(group: str) -> None:
    for path in FILES:
        if path.parent.name == group:
            why, caught, _ = head_of(path)
            assert why.startswith("# "), path
            assert len(why.split()) > 1, path
            assert caught.startswith("# caught: "), path
            assert layer_of(path) in STAGES, path


# ---------------------------------------------------------------- victims


class Victims:
    """What attacks are aimed at, and a look from outside whether it is as it was."""

    def __init__(self, home: Path) -> None:
        self.home = home / "canary"
        self.home.mkdir()
        self.secret = self.home / "secret.txt"
        self.secret.write_text(SECRET)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._unix, self._abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self._unix.bind(str(home / "unix"))
        self._abstract.bind(f"\0marlsmith-canary-{home.name}-{os.getpid()}")
        for listener in (self._unix, self._abstract):
            listener.listen()
        for each in (self._tcp, self._udp, self._unix, self._abstract):
            each.setblocking(False)
        self.process = subprocess.Popen(["sleep", "3600"])
        self.coordinates: dict[str, Any] = {
            "CANARY": str(self.home),
            "SECRET": str(self.secret),
            "PORT": self._tcp.getsockname()[1],
            "UDP_PORT": self._udp.getsockname()[1],
            "UNIX": str(home / "unix"),
            "ABSTRACT": f"marlsmith-canary-{home.name}-{os.getpid()}",
            "VICTIM": self.process.pid,
            "PARENT": os.getpid(),
        }
        self._before = self._seen()

    def _seen(self) -> dict[str, Any]:
        tree = {
            str(path.relative_to(self.home)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_nlink)
            for path in [self.home, *self.home.rglob("*")]
        }
        shared = "".join(Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "msg", "sem"))
        left = [line for line in shared.splitlines() if line.split()[0] == SYSTEM_V_KEY]
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        seen = {"tree": tree, "secret": self.secret.read_text(), "left": left}
        return {**seen, "runs": stat[0] in "RSD", "session": stat[3]}

    def require_untouched(self) -> None:
        assert self._seen() == self._before
        for listener in (self._tcp, self._unix, self._abstract):
            with pytest.raises(BlockingIOError):
                listener.accept()
        with pytest.raises(BlockingIOError):
            self._udp.recv(99)
        assert self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for each in (self._tcp, self._udp, self._unix, self._abstract):
            each.close()


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    made = Victims(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def executor(victims: Victims) -> Iterator[LocalExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.chdir(victims.home)
        executor = LocalExecutor(1)
        yield executor
        executor.close()


def children_of(pool: Pool) -> list[str]:
    """Whatever descends from a worker becomes a child of the server; a worker that has just ended may still be one."""
    server = pool._server._process.pid
    end = time.monotonic() + 5
    while True:
        found = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.02)


def require_no_secret(text: str) -> None:
    assert SECRET not in text
    assert KEY not in text


# ---------------------------------------------------------------- through the checks


def verdict(executor: LocalExecutor, path: Path) -> tuple[str, list[str]]:
    """As `marlsmith check` finds it."""
    try:
        signal = parse_signal(path, path.read_bytes())
    except SignalError as error:
        return error.stage, list(error.problems)
    failures = executor.check(signal, "mpe/simple_spread", "own")
    return (failures[0].stage if failures else "accepted"), [failure.message for failure in failures]


@pytest.mark.parametrize("path", cases(CHECKED, STATIC | some(WORKED)))
def test_refused_by_the_checks(path: Path, executor: LocalExecutor, victims: Victims) -> None:
    stage, problems = verdict(executor, path)
    allowed = STAGES[layer_of(path)] | ({"timeout", "memory"} if is_slow(path) else set())
    assert stage in allowed, problems
    for problem in problems:
        require_no_secret(problem)
        assert len(problem) <= 2000
        assert problem.isprintable()
    if path not in STATIC:
        assert children_of(executor.pool) == []
    victims.require_untouched()


@pytest.mark.parametrize("path", cases(REMEMBERING, some(REMEMBERING)))
def test_cannot_remember(path: Path, pool: Pool) -> None:
    """What keeps state between calls is refused, or its state lives for one call."""
    try:
        signal = parse_signal(path, path.read_bytes())
    except SignalError:
        return
    answer = pool.run("repeat", {"signal": plain(signal)}, Limits(20, 20, 512 << 20, 20)).value
    assert answer.get("refused") or answer.get("alike") is True, answer


# ---------------------------------------------------------------- past the checks


@pytest.fixture(scope="module")
def pool(victims: Victims) -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.chdir(victims.home)
        with Pool(1, {name: f"{HANDLERS}:{name}" for name in ("raw", "repeat")}) as pool:
            yield pool


def attack(pool: Pool, path: Path, victims: Victims) -> tuple[str, str]:
    """How it ended, and all that is said of it. `/canary` in a source stands for the canary's directory."""
    source = path.read_bytes().decode("utf-8", "replace").replace("/canary", str(victims.home))
    told: list[Any] = []
    try:
        result = pool.run("raw", {"source": source, "victims": victims.coordinates}, LIMITS, told.append)
    except JobFailure as failure:
        told += [failure.stage, str(failure)]
    else:
        told += ["result", result.value]
    return told[-2], json.dumps(told)


@pytest.mark.parametrize("path", cases(RUNNABLE, QUICK))
def test_stopped_by_the_jail_alone(path: Path, pool: Pool, victims: Victims) -> None:
    server = pool._server._process.pid
    end, said = attack(pool, path, victims)
    assert end in {"result", *get_args(FailureStage)}
    require_no_secret(said)
    assert children_of(pool) == []
    victims.require_untouched()
    assert pool._server._process.pid == server
    assert pool._server.alive


@pytest.mark.parametrize(
    ("name", "told"),
    [("open_secret", SECRET), ("create_file", ""), ("tcp_connect", ""), ("unlink_secret", ""), ("chmod_secret", "")],
)
def test_without_the_jail_the_attack_is_seen(name: str, told: str, tmp_path: Path) -> None:
    """The attacks do work, and the victims show it: else the tests above would prove nothing."""
    victims = Victims(tmp_path)
    try:
        with Pool(1, {"raw": f"{HANDLERS}:raw"}, jail="off") as pool:
            _, said = attack(pool, ROOT / "raw" / f"{name}.py", victims)
        assert told in said
        if not told:
            with pytest.raises((AssertionError, FileNotFoundError, pytest.fail.Exception)):
                victims.require_untouched()
    finally:
        victims.close()


def test_no_process_is_left(executor: LocalExecutor, pool: Pool, victims: Victims) -> None:
    """After the whole corpus: two servers without workers, and nobody else in the places that are theirs."""
    homes = [Path(one._home.name) for one in (executor.pool, pool)]
    servers = {one._server._process.pid for one in (executor.pool, pool)}
    strangers = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (process / "environ").read_bytes()
            if any(str(home).encode() in environment for home in homes):
                strangers.add(int(process.name))
    assert strangers <= servers
    for home in homes:
        assert {path.name for path in home.iterdir()} <= {"server.log"}
        require_no_secret((home / "server.log").read_text(errors="replace"))
    victims.require_untouched()
