"""The fork server and its pool: what comes back, what is refused, and that nothing survives.

Without the jail proper, which has tests of its own: what stands around it must hold by itself.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from marlsmith.marl.executor import Cancelled
from marlsmith.marl.workers import frames
from marlsmith.marl.workers.contract import JobFailure, Limits
from marlsmith.marl.workers.frames import FrameError, FrameReader, Kind
from marlsmith.marl.workers.pool import Pool

HANDLERS = Path(__file__).with_name("worker_jobs.py")
NAMES = re.findall(r"^def (\w+)\(arguments", HANDLERS.read_text(), re.MULTILINE)
JOBS = {name: f"{HANDLERS}:{name}" for name in NAMES} | {"absent": "marlsmith.no_such_module:train"}
LIMITS = Limits(wall_seconds=20, stall_seconds=20, memory_bytes=256 << 20, cpu_seconds=20)
SECRET = "sk-this-must-stay-outside"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", SECRET)
        with Pool(2, JOBS, jail="off") as pool:
            yield pool


def fail(pool: Pool, job: str, arguments: dict[str, Any] | None = None, limits: Limits = LIMITS) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        pool.run(job, arguments or {}, limits)
    assert str(caught.value).isprintable()
    return caught.value


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---------------------------------------------------------------- what comes back


def test_result_progress_and_tensors(pool: Pool) -> None:
    progress: list[dict[str, Any]] = []
    result = pool.run("echo", {"text": "Φ\n", "number": 0.1}, LIMITS, progress.append)
    assert result.value["echo"] == {"text": "Φ\n", "number": 0.1}
    assert progress == [{"step": 0}, {"step": 1}, {"step": 2}]
    assert result.tensors is not None
    assert load(result.tensors)["w"].equal(torch.arange(6.0).reshape(2, 3))
    assert not alive(result.value["pid"])


def test_each_job_has_its_own_process(pool: Pool) -> None:
    pids = {pool.run("echo", {}, LIMITS).value["pid"] for _ in range(3)}
    assert len(pids) == 3


def test_exception_names_the_candidate_line(pool: Pool) -> None:
    failure = fail(pool, "candidate", {"source": "def f():\n    x = torch.ones(2)\n    return x @ torch.ones(3)\n"})
    assert failure.stage == "crash"
    assert failure.message.startswith("line 3: RuntimeError: ")


def test_signal_error_keeps_its_stage(pool: Pool) -> None:
    failure = fail(pool, "refuse")
    assert failure.stage == "dynamic"
    assert failure.message == "line 3: [31mno such thing"


def test_exception_whose_text_raises(pool: Pool) -> None:
    assert fail(pool, "spoil_text").message == "Rude: its text raises RuntimeError"


def test_handler_that_cannot_be_loaded(pool: Pool) -> None:
    failure = fail(pool, "absent")
    assert failure.stage == "crash"
    assert "No module named 'marlsmith.no_such_module'" in failure.message


def test_surroundings(pool: Pool) -> None:
    inside = pool.run("surroundings", {}, LIMITS).value
    assert SECRET not in str(inside["environment"])
    assert set(inside["launched with"]) - {"LANG", "LC_ALL", "LC_CTYPE"} == {
        "PATH", "USER", "HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "OMP_NUM_THREADS",
        "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
    }  # fmt: skip
    assert inside["descriptors"] == [0, 1, 2, 3]
    assert inside["leader"]
    assert inside["threads"] == 1


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("chatty", [True, False])
def test_wall_clock_ends_the_whole_group(pool: Pool, chatty: bool) -> None:
    pids: list[int] = []
    start = time.monotonic()
    with pytest.raises(JobFailure, match=r"wall-clock limit of 0\.5 s") as caught:
        pool.run(
            "spin",
            {"chatty": chatty},
            Limits(0.5, 20, 256 << 20, 20),
            lambda progress: pids.extend(progress.get("pids", [])),
        )
    assert time.monotonic() - start < 2.5
    assert caught.value.stage == "timeout"
    assert pids
    assert not any(alive(pid) for pid in pids if pid)


def test_stall(pool: Pool) -> None:
    failure = fail(pool, "sleep", {"seconds": 60}, Limits(20, 0.4, 256 << 20, 20))
    assert failure.stage == "timeout"
    assert "stall limit of 0.4 s" in failure.message


def test_processor_time(pool: Pool) -> None:
    failure = fail(pool, "burn", {}, Limits(20, 20, 256 << 20, 1))
    assert failure.stage == "timeout"
    assert failure.message == "took more than its CPU time"


@pytest.mark.parametrize("how", ["torch", "steps", "python", "abort"])
def test_memory(pool: Pool, how: str) -> None:
    assert fail(pool, "hoard", {"how": how}).stage == "memory"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("abort", "SIGABRT"),
        ("segfault", "SIGSEGV"),
        ("kill", "SIGKILL"),
        ("exit", "code 3"),
        ("silent exit", "code 0"),
        ("sys.exit", "SystemExit: bye"),
        ("recursion", "RecursionError"),
        ("file", "File too large"),
    ],
)
def test_death(pool: Pool, how: str, said: str) -> None:
    failure = fail(pool, "die", {"how": how})
    assert failure.stage == "crash"
    assert said in failure.message


# ---------------------------------------------------------------- hostile replies

JSON_ATTACKS = [
    b'{"x": NaN}',
    b'{"x": -Infinity}',
    b'{"x": 1e999}',
    b'{"x": 1' + b"0" * 5000 + b"}",
    b'{"x": "\\ud800"}',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"x": "\xff"}',
    b'{"x": 1',
    b"[1]",
    b"",
]


@pytest.mark.parametrize("payload", JSON_ATTACKS, ids=lambda payload: repr(payload[:14]))
def test_json_is_strict(payload: bytes) -> None:
    with pytest.raises(FrameError):
        frames.parse(payload)


@pytest.mark.parametrize("kind", [Kind.PROGRESS, Kind.RESULT, Kind.FAILURE])
@pytest.mark.parametrize("payload", [b'{"x": NaN}', b"\x80\x04K\x01.", b'{"stage": "victory", "message": ""}'[:-1]])
def test_forged_json(pool: Pool, kind: Kind, payload: bytes) -> None:
    failure = fail(pool, "forge", {"kind": kind, "payload": payload.hex(), "hang": True})
    assert failure.stage == "crash"
    assert "malformed reply" in failure.message


@pytest.mark.parametrize(
    "forged",
    [
        {"kind": 99, "payload": "00"},
        {"kind": Kind.EXIT, "payload": b'{"code": 0}'.hex()},
        {"kind": Kind.STARTED, "payload": b"{}".hex()},
        {"kind": Kind.RESULT, "payload": b"{}".hex()},  # and the honest result after it
        {"kind": Kind.RESULT, "payload": "", "length": 1 << 30},
        {"kind": Kind.TENSORS, "payload": "", "length": 1 << 31},
        {"kind": Kind.TENSORS, "payload": "00" * 100, "length": 1 << 27},  # swallows all that follows
        {"kind": Kind.TENSORS, "payload": "80044b012e"},
        {"kind": Kind.FAILURE, "payload": b'{"stage": "victory", "message": ""}'.hex()},
        {"kind": Kind.FAILURE, "payload": b'{"stage": ["jail"], "message": 7}'.hex()},
    ],
    ids=str,
)
def test_forged_frames(pool: Pool, forged: dict[str, Any]) -> None:
    failure = fail(pool, "forge", forged)
    assert failure.stage == "crash"
    assert "malformed reply" in failure.message


@pytest.mark.parametrize("what", ["nan", "object", "large", "not a tuple", "tensors", "overlap"])
def test_odd_returns(pool: Pool, what: str) -> None:
    assert fail(pool, "return_odd", {"what": what}).stage == "crash"


def test_frames_arrive_in_any_pieces() -> None:
    reader = FrameReader()
    sent = [(Kind.PROGRESS, b'{"a":1}'), (Kind.TENSORS, b""), (Kind.RESULT, b"{}")]
    stream = b"".join(frames.HEADER.pack(kind, len(body)) + body for kind, body in sent)
    heard = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
    assert [(frame.kind, frame.payload) for frame in heard] == sent
    assert reader.pending == 0


def test_no_unpickling_and_no_eval() -> None:
    room = Path(frames.__file__).parent
    sources = [*room.glob("*.py"), *room.parent.glob("executor*")]
    assert len(sources) >= 6
    banned = re.compile(r"\b(pickle|cloudpickle|dill|marshal|shelve|torch\.load|joblib|eval|exec)\b")
    for source in sources:
        assert not banned.search(source.read_text()), source


# ---------------------------------------------------------------- the pool


def test_concurrency_cap(pool: Pool) -> None:
    spans: list[tuple[float, float]] = []

    def nap() -> None:
        begun: list[float] = []
        pool.run("sleep", {"seconds": 0.2}, LIMITS, lambda _: begun.append(time.monotonic()))
        spans.append((begun[0], time.monotonic()))

    with ThreadPoolExecutor(5) as threads:
        for done in [threads.submit(nap) for _ in range(5)]:
            done.result()
    together = [sum(a <= begin < b for a, b in spans) for begin, _ in spans]
    assert max(together) == 2


def test_a_fault_of_the_callers_ends_the_worker(pool: Pool) -> None:
    pids: list[int] = []

    def interrupt(progress: dict[str, Any]) -> None:
        pids.append(progress["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run("sleep", {"seconds": 60}, LIMITS, interrupt)
    assert wait_for(lambda: not alive(pids[0]), 2)


def test_server_killed_under_a_job(pool: Pool) -> None:
    """The job is tried again, and its worker died with the server; the second time it is a failure."""
    seen: list[dict[str, Any]] = []

    def assassinate(times: int) -> Callable[[dict[str, Any]], None]:
        def on_progress(progress: dict[str, Any]) -> None:
            seen.append(progress)
            if len(seen) <= times:
                os.kill(progress["server"], signal.SIGKILL)

        return on_progress

    assert pool.run("sleep", {"seconds": 0.3}, LIMITS, assassinate(1)).value == {"slept": True}
    assert len(seen) == 2
    assert seen[0]["server"] != seen[1]["server"]
    assert not alive(seen[0]["pid"])

    seen.clear()
    with pytest.raises(JobFailure, match="server died twice"):
        pool.run("sleep", {"seconds": 0.3}, LIMITS, assassinate(2))


def test_close_cancels() -> None:
    started = threading.Event()
    processes: list[int] = []

    def on_progress(progress: dict[str, Any]) -> None:
        processes.extend([progress["pid"], progress["server"]])
        started.set()

    pool = Pool(1, JOBS)
    home = Path(pool._home.name)
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(pool.run, "sleep", {"seconds": 60}, LIMITS, on_progress)
        assert started.wait(30)
        waiting = threads.submit(pool.run, "echo", {}, LIMITS)
        time.sleep(0.05)
        start = time.monotonic()
        pool.close()
        for ended in (running, waiting):
            with pytest.raises(Cancelled):
                ended.result(timeout=5)
    assert time.monotonic() - start < 2
    assert not any(alive(pid) for pid in processes)
    assert not home.exists()
    with pytest.raises(Cancelled):
        pool.run("echo", {}, LIMITS)


def test_close_while_the_server_still_imports() -> None:
    pool = Pool(1)
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 1


ORCHESTRATOR = """
import sys
from marlsmith.marl.workers.contract import Limits
from marlsmith.marl.workers.pool import Pool
pool = Pool(1, {"sleep": sys.argv[1] + ":sleep"})
show = lambda p: print(p["pid"], p["server"], pool._home.name, flush=True)
pool.run("sleep", {"seconds": 60}, Limits(60, 60, 256 << 20, 60), show)
"""


def test_orchestrator_killed() -> None:
    command = [sys.executable, "-c", ORCHESTRATOR, str(HANDLERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as orchestrator:
        assert orchestrator.stdout is not None
        worker, server, home = orchestrator.stdout.readline().split()
        assert alive(int(worker))
        assert alive(int(server))
        orchestrator.kill()
        orchestrator.wait()
    assert wait_for(lambda: not alive(int(worker)) and not alive(int(server)), 3)
    assert not Path(home).exists()
