"""The jail tried from outside: victims, a worker that attacks them, and a look at what became of them.

No candidate runs in that worker, yet its word is not taken: the answer must name every act of the table once,
and an act said to be refused whose victim was touched is open. An act is tried even where its victim could not
be made, as on a host without a loopback network: the refusal comes before the victim is looked for, and any
other answer ("connection refused") is no refusal by the jail, so it counts as open.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from marlsmith.marl.jail.acts import ACTS, CHANGED, LINK, MADE, SECRET, Act
from marlsmith.marl.jail.lockdown import missing
from marlsmith.marl.workers.environment import ALLOWED
from marlsmith.schemas import JailReport, Probe, UserError, printable

LAYER = re.compile(r"no_new_privs|landlock \d{1,3}|no capabilities|seccomp")
DISCARD_PORT = 9  # where no victim could be made: nobody listens there
ANSWER_LIMIT = 120


def examine(
    probe: Callable[[dict[str, Any]], dict[str, Any]],
    unsafe: bool,
    home: Path | None = None,
    profile: Literal["cpu", "accelerator"] = "cpu",
) -> JailReport:
    """Have a worker try every forbidden act. `probe` runs the job `probe` with the arguments it is given.

    `profile` says under which rules that worker is; the victims' files lie in `home` until it is over. Whatever
    `probe` raises is passed on. Raises UserError where no victims can be made.
    """
    with Victims(home) as victims:
        answer = probe({**victims.arguments, "allowed": sorted(ALLOWED)})
        touched = victims.touched()
    layers, probes = judge(answer, touched)
    return JailReport(
        system=f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} {platform.machine()}",
        profile=profile,
        layers=layers,
        probes=probes,
        missing=missing(profile == "accelerator"),
        unsafe=unsafe,
    )


# ---------------------------------------------------------------- the worker's answer, and what the victims say


def judge(answer: Any, touched: dict[str, str]) -> tuple[tuple[str, ...], tuple[Probe, ...]]:
    """Layers and probes out of a worker's answer, open wherever it is not exactly as it should be."""
    said = answer if isinstance(answer, dict) else {}
    layers = said.get("layers")
    entries = said.get("probes")
    if not isinstance(layers, list) or not all(isinstance(one, str) and LAYER.fullmatch(one) for one in layers):
        layers = []
    if not isinstance(entries, list):
        entries = []
    by_act: dict[str, list[Any]] = {act.name: [] for act in ACTS}
    unknown = []
    for entry in entries:
        name = entry.get("act") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in by_act:
            by_act[name].append(entry)
        else:
            unknown.append(_unknown(name))
    probes = [_judged(act, by_act[act.name], touched.get(act.name)) for act in ACTS]
    return tuple(dict.fromkeys(layers)), (*probes, *unknown[:10])


def _judged(act: Act, entries: list[Any], evidence: str | None) -> Probe:
    refused, answer = False, "the worker did not answer" if not entries else "the worker's answer is malformed"
    match entries:
        case [{"act": _, "group": act.group, "refused": bool(claimed), "answer": str(text), **more}] if not more:
            refused, answer = claimed, printable(text, ANSWER_LIMIT)
    if evidence is not None:
        answer = f"the worker said {answer}, and {evidence}" if refused else evidence
        refused = False
    return Probe(act=act.name, group=act.group, refused=refused, answer=answer)


def _unknown(name: Any) -> Probe:
    """Whoever answers what was not asked is no worker of ours: in a required group, so that nothing runs."""
    text = printable(name, 60) if isinstance(name, str) else "something without a name"
    return Probe(act=f"answer for {text}", group="signals", refused=False, answer="there is no such act")


# ---------------------------------------------------------------- victims


class Victims:
    """Files, listeners and processes to be attacked. As a context, so that nothing of them stays.

    Whoever is killed meanwhile leaves the files: then whoever owns `home` removes them with it.
    """

    arguments: dict[str, Any]

    def __init__(self, home: Path | None = None) -> None:
        self._home = home

    def __enter__(self) -> Victims:
        self._stack = contextlib.ExitStack()
        with self._stack as stack:
            try:
                self._make(stack)
            except OSError as error:
                raise UserError(
                    f"Cannot make the victims that test the jail: {error}; make room and try again."
                ) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make(self, stack: contextlib.ExitStack) -> None:
        made = tempfile.TemporaryDirectory(prefix="marlsmith-victims-", dir=self._home, ignore_cleanup_errors=True)
        self._directory = Path(stack.enter_context(made))
        for name in (SECRET, *CHANGED):
            (self._directory / name).write_text(secrets.token_hex())
        (self._directory / LINK).symlink_to(SECRET)
        self._abstract = f"marlsmith-{secrets.token_hex(8)}"
        self._unix = str(self._directory / "socket")
        self._listeners: dict[str, socket.socket] = {}
        local = ("127.0.0.1", 0)
        self._listen(stack, "connect by TCP", socket.AF_INET, socket.SOCK_STREAM, local)
        self._listen(stack, "send by UDP", socket.AF_INET, socket.SOCK_DGRAM, local)
        self._listen(stack, "connect to a unix socket by its path", socket.AF_UNIX, socket.SOCK_STREAM, self._unix)
        abstract = "connect to a unix socket by its abstract name"
        self._listen(stack, abstract, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self._abstract)
        self._process, self._target = (stack.enter_context(_process()) for _ in range(2))
        self._limits = _limits(self._process.pid)
        self._priority = os.getpriority(os.PRIO_PROCESS, self._process.pid)
        self._before = self._files()
        self.arguments = {
            "directory": str(self._directory),
            "tcp": self._port("connect by TCP"),
            "udp": self._port("send by UDP"),
            "unix": self._unix,
            "abstract": self._abstract,
            "process": self._process.pid,
            "address": _unused_byte(self._process.pid),
            "target": self._target.pid,
        }

    def _listen(self, stack: contextlib.ExitStack, act: str, family: int, kind: int, address: Any) -> None:
        with contextlib.suppress(OSError):  # then the act is tried where nobody listens
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self._listeners[act] = listener

    def _port(self, act: str) -> int:
        port: int = self._listeners[act].getsockname()[1] if act in self._listeners else DISCARD_PORT
        return port

    def _files(self) -> dict[str, tuple[Any, ...]]:
        found = {}
        for path in self._directory.iterdir():
            about = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[path.name] = (about.st_mode, about.st_mtime_ns, about.st_uid, content)
        return found

    def touched(self) -> dict[str, str]:
        """Acts whose victims show that they came through, with what shows it. Call it once, after the probe."""
        evidence = {}
        after = self._files()
        for name in {**self._before, **after}:
            if after.get(name) != self._before.get(name):
                act = CHANGED.get(name) or MADE.get(name, "create a file")
                evidence[act] = f"the victim's file {name!r} is not as it was"
        for act, listener in self._listeners.items():
            if _heard(listener):
                evidence[act] = "it arrived"
        if self._target.poll() is not None:
            by = [act.name for act in ACTS if act.name.startswith("signal a process")]
            evidence.update(dict.fromkeys(by, "the victim is dead"))
        if self._process.poll() is not None:
            evidence["trace a process"] = "the victim is dead"
        else:
            if os.getpriority(os.PRIO_PROCESS, self._process.pid) != self._priority:
                evidence["slow a process down"] = "the victim's priority is another"
            if _limits(self._process.pid) != self._limits:
                evidence["limit a process"] = "the victim's limits are others"
        return evidence


def _heard(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(1)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, and ends when this one does, however that ends: its input ends then."""
    cat = shutil.which("cat")
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"] if cat is None else [cat]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def _limits(pid: int) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


def _unused_byte(pid: int) -> int:
    """An address in a process: the last byte of its stack, which is zero. 1 where it cannot be seen."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.endswith("[stack]"):
                return int(line.split()[0].split("-")[1], 16) - 1
    return 1
