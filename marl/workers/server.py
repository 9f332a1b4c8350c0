"""The fork server: imports torch once, then forks one worker for each job in milliseconds.

Run as `python -I -m marlsmith.marl.workers.server FD SETTINGS`, where FD is the control socket and SETTINGS
the JSON `{"jobs": {name: target}, "home": directory}`. A `start` message brings two sockets and a pipe: the
job socket, which only the worker holds; the status socket, which the worker drops before it reads its job, and
through which the server says how the worker ended, so that candidate code can neither forge nor garble that;
and the pipe that becomes the worker's stderr, where a killed or crashing worker says which line it was at.
Further sockets are the worker's connections, each for the descriptor that the message names.

Everything is imported here, before any fork: a worker is locked down before it reads its job, and opens no
file from then on.

The server stays single-threaded: the parent-death signal follows the thread that forked, and a child forked
beside a parallel torch operation hangs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import gc
import json
import math
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from marlsmith.marl.jail.lockdown import lock_down, open_acts
from marlsmith.marl.jail.syscalls import prctl
from marlsmith.marl.workers import frames
from marlsmith.marl.workers.failures import MESSAGE_LIMIT, diagnose
from marlsmith.marl.workers.frames import Kind
from marlsmith.marl.workers.jobs import PEER_FD, PROBE, WARM_UP, Handler, load
from marlsmith.schemas import SignalError, printable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

JOB_FD = 3  # with those of its connections the worker's only descriptor besides /dev/null and stderr
MOST_DESCRIPTORS = 8
OPEN_FILES = 32
TRACE = signal.SIGUSR1  # makes a worker write its stack to stderr, also from the middle of a long C call
MEMORY_RESERVE = 64 << 20  # lifts the soft limit after a fault, so that the worker can still say what happened


# ---------------------------------------------------------------- the server


@dataclass
class Job:
    id: int
    pid: int
    pidfd: int
    status: socket.socket


class Server:
    def __init__(self, control: socket.socket, targets: dict[str, str], home: Path) -> None:
        self._control = control
        self._targets = targets
        self._home = home
        self._handlers, self._unloadable = preload(targets)
        self._jobs: dict[int, Job] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the orchestrator has gone; then leave nothing behind."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from here on the end of the control socket says so
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._bury(key.data)
                elif not self._obey():
                    self._end()
                    return

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 1 << 16, MOST_DESCRIPTORS)
        if not message:
            return False
        request = json.loads(message)
        if request["op"] == "start":
            status, job, errors, *connections = descriptors
            kept = {2: errors, JOB_FD: job, **dict(zip(request["connections"], connections, strict=True))}
            self._start(request["id"], request, kept, socket.socket(fileno=status))
            for fd in kept.values():
                os.close(fd)
        elif request["id"] in self._jobs:
            pid = self._jobs[request["id"]].pid
            if request["op"] == "kill":
                kill_group(pid)
            elif request["op"] == "trace":
                os.kill(pid, TRACE)  # it is not reaped yet, so the number is still its own
        return True

    def _start(self, id: int, request: dict[str, Any], kept: dict[int, int], status: socket.socket) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            tell(status, Kind.EXIT, {"error": f"no worker could be forked: {error}"})
            status.close()
            return
        if pid == 0:
            become_worker(parent, kept, status, request, self._handlers, self._unloadable)
        job = Job(id, pid, os.pidfd_open(pid), status)
        self._jobs[id] = job
        self._selector.register(job.pidfd, selectors.EVENT_READ, job)

    def _bury(self, job: Job) -> None:
        """The worker is a zombie, so its id still names its group: kill what is left of that, then reap."""
        kill_group(job.pid)
        _, wait_status, usage = os.wait4(job.pid, 0)
        code = os.waitstatus_to_exitcode(wait_status)
        self._selector.unregister(job.pidfd)
        os.close(job.pidfd)
        del self._jobs[job.id]
        self._kill_strays()
        ended = {
            "code": max(code, 0),
            "signal": max(-code, 0),
            "peak": usage.ru_maxrss * 1024,
            "cpu": usage.ru_utime + usage.ru_stime,
        }
        tell(job.status, Kind.EXIT, ended)
        job.status.close()

    def _kill_strays(self) -> None:
        """What a worker left behind has become our child: we are its reaper."""
        workers = {job.pid for job in self._jobs.values()}
        while strays := children() - workers:
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    def _end(self) -> None:
        for job in self._jobs.values():
            kill_group(job.pid)
        self._jobs.clear()
        self._kill_strays()
        shutil.rmtree(self._home, ignore_errors=True)


def preload(targets: dict[str, str]) -> tuple[dict[str, Handler], dict[str, str]]:
    """The handlers, and why some cannot be loaded: their jobs will say so."""
    handlers: dict[str, Handler] = {}
    unloadable: dict[str, str] = {}
    for name, target in targets.items():
        try:
            handlers[name] = load(target)
        except Exception as error:
            unloadable[name] = f"{target} cannot be loaded, {type(error).__name__}: {error}"
    return handlers, unloadable


def tell(status: socket.socket, kind: Kind, value: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the orchestrator no longer listens
        frames.send(status, kind, frames.pack(value))


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def children() -> set[int]:
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return set()


def memory_size() -> tuple[int, int]:
    """Bytes of this process: address space, resident."""
    pages = Path("/proc/self/statm").read_text().split()
    page = resource.getpagesize()
    return int(pages[0]) * page, int(pages[1]) * page


# ---------------------------------------------------------------- the worker


def become_worker(
    parent: int,
    kept: dict[int, int],
    status: socket.socket,
    request: dict[str, Any],
    handlers: dict[str, Handler],
    unloadable: dict[str, str],
) -> NoReturn:
    code = 1
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else it died before the line above
            tell(status, Kind.STARTED, {"resident": memory_size()[1]})
            connection = confine(kept, request["limits"])
            answer_for_crashes()
            work(connection, handlers, unloadable, enter_jail(parent, request))
            code = 0
    finally:
        os._exit(code)


def confine(kept: dict[int, int], limits: dict[str, Any]) -> socket.socket:
    """Own session, no descriptors but those kept, default signals, limits. The jail proper comes on top of it."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # SIGXFSZ and SIGPIPE stay ignored, as Python has them: a write then fails with an error that names its line.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    aside = {place: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, PEER_FD + 1) for place, fd in kept.items()}
    null = os.open(os.devnull, os.O_RDWR)
    for place in range(PEER_FD + 1):
        if place in aside:
            os.dup2(aside[place], place, inheritable=False)
        elif place < JOB_FD:
            os.dup2(null, place)
        else:
            with contextlib.suppress(OSError):
                os.close(place)
    os.closerange(PEER_FD + 1, os.sysconf("SC_OPEN_MAX"))
    with contextlib.suppress(OSError):  # should memory run out, the kernel is to take this process
        Path("/proc/self/oom_score_adj").write_text("1000")

    memory = memory_size()[0] + limits["memory_bytes"]
    seconds = math.ceil(limits["cpu_seconds"])
    if not limits["accelerator"]:
        set_limit(resource.RLIMIT_AS, memory, memory + MEMORY_RESERVE)
        set_limit(resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)
        set_limit(resource.RLIMIT_NPROC, 0, 0)  # counts threads too; does nothing for root
    set_limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    set_limit(resource.RLIMIT_FSIZE, 0, 0)
    set_limit(resource.RLIMIT_CORE, 0, 0)
    return socket.socket(fileno=JOB_FD)


def answer_for_crashes() -> None:
    """At a crash, at the end of its CPU time or when asked, the C level writes the stack to stderr."""
    faulthandler.enable(2, all_threads=False)
    faulthandler.register(TRACE, 2, all_threads=False)
    faulthandler.register(signal.SIGXCPU, 2, all_threads=False, chain=True)


def enter_jail(parent: int, request: dict[str, Any]) -> list[str]:
    """Gives up all that candidate code must not have, for good. What must be refused and is not, unless allowed."""
    if request["jail"] == "off":
        return []
    lock_down(request["limits"]["accelerator"])
    came_through = open_acts(parent)
    return [] if request["jail"] == "unsafe" else came_through


def set_limit(which: int, soft: int, hard: int) -> None:
    _, ceiling = resource.getrlimit(which)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def work(
    connection: socket.socket, handlers: dict[str, Handler], unloadable: dict[str, str], came_through: list[str]
) -> None:
    request, tensors = frames.receive_job(connection)

    def report(value: dict[str, Any]) -> None:
        frames.send(connection, Kind.PROGRESS, frames.pack(value))

    try:
        name, arguments = request["job"], request["arguments"]
        if came_through and name != PROBE:  # that one is no candidate, and is to say what is open
            raise SignalError(f"the jail does not hold: {', '.join(came_through)}", "jail")
        if name in unloadable:
            raise ImportError(unloadable[name])
        if tensors is not None:
            arguments["tensors"] = tensors
        value, made = handlers[name](arguments, report)
        result = frames.pack(value)
        if made is not None:
            frames.send(connection, Kind.TENSORS, made)
        frames.send(connection, Kind.RESULT, result)
    except BaseException as error:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        stage, message = diagnose(error)
        failure = {"stage": stage, "message": printable(message, MESSAGE_LIMIT)}
        frames.send(connection, Kind.FAILURE, frames.pack(failure))


def warm_up() -> None:
    """What costs time or needs files, before any fork. Never a parallel operation: see above."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    load(WARM_UP)({}, lambda said: None)


def main(arguments: list[str]) -> None:
    control = socket.socket(fileno=int(arguments[0]))
    settings = json.loads(arguments[1])
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    warm_up()
    server = Server(control, settings["jobs"], Path(settings["home"]))
    gc.collect()
    gc.freeze()  # collections in the workers then leave the shared pages alone
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
