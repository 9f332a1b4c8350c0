"""Candidates that use up memory, time or output: each ends within its limit, is named, and leaves nothing behind."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from marlsmith.marl import local
from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.workers.contract import JobFailure, Limits
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import Code, Signal

HANDLERS = Path(__file__).with_name("jail_jobs.py")
JOBS = {name: f"{HANDLERS}:{name}" for name in ("run_source", "flood")}
TASK = "mpe/simple_spread"
CHECK_LIMITS = local.CHECK_LIMITS
SLACK = 2.0
"""Seconds beyond its limit, within which a job has ended."""

MEMORY = {
    "list": "x = []\n    while True:\n        x.append(list(range(100_000)))",
    "dict": "x = {}\n    while True:\n        x[len(x)] = str(len(x)) * 10_000",
    "zeros": "torch.zeros(1 << 36).add_(1)",
    "ones": "torch.ones(200_000, 200_000)",
    "many small tensors": "x = []\n    while True:\n        x.append(torch.ones(2000))",
    "text": "'x' * (1 << 36)",
    "doubled text": "x = 'ab'\n    while True:\n        x = x + x",
    "range": "list(range(10 ** 11))",
    "outer": "x = torch.ones(1 << 20)\n    torch.outer(x, x)",
    "repeat": "torch.ones(1000).repeat(1 << 15, 1 << 10)",
    "nested": "x = ()\n    while True:\n        x = (x, bytearray(1 << 20))",
    "sparse pages": "x = [bytearray(1 << 30) for _ in range(64)]",
}
TIME = {
    "loop": "while True:\n        pass",
    "range": "for i in range(10 ** 12):\n        i * i",
    "comprehension": "sum(i for i in range(10 ** 12))",
    "matmul": "x = torch.ones(1500, 1500)\n    while True:\n        x = x @ x",
    "one long matmul": "x = torch.ones(2500, 2500)\n    torch.linalg.matrix_power(x, 1 << 20)",
    "power": "10 ** 10 ** 8",
    "sort": "sorted(range(10 ** 7), key=lambda i: str(i) * 100)",
    "exponential recursion": "def g(n):\n        return g(n - 1) + g(n - 1) if n else 1\n    g(200)",
    "swallows everything": "while True:\n        try:\n            while True:\n                pass\n"
    "        except BaseException:\n            pass",
    "sleep": "time.sleep(60)",
    "waits for input": "while True:\n        time.sleep(0.01)",
    "text of a number": "sys.set_int_max_str_digits(0)\n    str(10 ** 7_000_000)",
}
FLOODS = ["progress", "empty frames", "large progress", "stderr", "stdout", "large result", "deep result",
          "large tensors", "half a frame"]  # fmt: skip


def some(names: Iterable[str], *always: str) -> list[Any]:
    """Each of the names once; those that are not tried always are slow."""
    return [name if name in always else pytest.param(name, marks=pytest.mark.slow) for name in names]


def module(body: str) -> str:
    """The body begins in line 2."""
    return f"def f():\n    {body}\n"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, JOBS) as pool:
        pool.run("run_source", {"source": module("pass")}, Limits(120, 120, 256 << 20, 60))  # the server has started
        yield pool


@pytest.fixture(autouse=True)
def nothing_is_left(pool: Pool) -> Iterator[None]:
    """After every bomb the server has no child, and the next job runs."""
    yield
    assert children(pool) == []
    result = pool.run("run_source", {"source": module("pass")}, Limits(10, 10, 256 << 20, 10))
    assert result.value == {"survived": True}


def children(pool: Pool) -> list[int]:
    server = pool._server._process.pid
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


@dataclass(frozen=True)
class End:
    failure: JobFailure
    seconds: float


def detonate(pool: Pool, job: str, arguments: dict[str, Any], limits: Limits) -> End:
    began = time.monotonic()
    with pytest.raises(JobFailure) as caught:
        pool.run(job, arguments, limits)
    return End(caught.value, time.monotonic() - began)


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("name", some(MEMORY, "list", "zeros", "many small tensors", "text", "nested"))
def test_memory(pool: Pool, name: str) -> None:
    limits = Limits(wall_seconds=20, stall_seconds=20, memory_bytes=256 << 20, cpu_seconds=20)
    end = detonate(pool, "run_source", {"source": module(MEMORY[name])}, limits)
    assert end.failure.stage == "memory"
    assert "line " in end.failure.message
    assert end.seconds < 10


def test_a_memory_fault_that_is_swallowed_again_and_again(pool: Pool) -> None:
    body = """x = []
    while True:
        try:
            x.append(b'x' * (8 << 20))
        except MemoryError:
            pass"""
    end = detonate(pool, "run_source", {"source": module(body)}, Limits(1.5, 1.5, 256 << 20, 20))
    assert end.failure.stage == "timeout"
    assert end.seconds < 1.5 + SLACK


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("name", some(TIME, "loop", "one long matmul", "power", "swallows everything", "sleep"))
def test_wall_clock(pool: Pool, name: str) -> None:
    end = detonate(pool, "run_source", {"source": module(TIME[name])}, Limits(0.6, 10, 1 << 30, 20))
    assert end.failure.stage == "timeout"
    assert "wall-clock limit of 0.6 s" in end.failure.message
    assert end.seconds < 0.6 + SLACK
    assert end.failure.line is not None


def test_the_line_named_is_where_it_loops(pool: Pool) -> None:
    source = "def g():\n    x = 1\n    while True:\n        x = 1\n\n\ndef f():\n    y = 2\n    g()\n    return y\n"
    end = detonate(pool, "run_source", {"source": source}, Limits(0.5, 10, 256 << 20, 20))
    assert end.failure.line in (3, 4)
    assert "line" not in end.failure.message, "where it was is chance, and a replay must tell roles the same"


def test_stall(pool: Pool) -> None:
    end = detonate(pool, "run_source", {"source": module(TIME["loop"])}, Limits(20, 0.5, 256 << 20, 20))
    assert end.failure.stage == "timeout"
    assert "stall limit of 0.5 s" in end.failure.message
    assert end.failure.line is not None
    assert end.seconds < 0.5 + SLACK


def test_processor_time(pool: Pool) -> None:
    end = detonate(pool, "run_source", {"source": module(TIME["loop"])}, Limits(20, 20, 256 << 20, 1))
    assert end.failure.stage == "timeout"
    assert end.failure.message == "took more than its CPU time", "neither a time nor a place that was measured"
    assert end.failure.line is not None
    assert end.seconds < 1 + SLACK + 1  # a busy machine gives it less than a whole core


def test_processor_time_by_one_who_does_not_listen(pool: Pool) -> None:
    """Its signal is blocked: the kernel's last word is SIGKILL, a second later."""
    body = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGXCPU})\n    while True:\n        pass"
    limits = Limits(wall_seconds=30, stall_seconds=30, memory_bytes=256 << 20, cpu_seconds=1)
    end = detonate(pool, "run_source", {"source": module(body)}, limits)
    assert end.failure.stage == "timeout"
    assert end.failure.message == "took more than its CPU time"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no other processor has this second table of calls")
def test_a_call_of_another_architecture_is_the_jails_matter(pool: Pool) -> None:
    body = "ctypes.CDLL(None).syscall(0x40000000 | 39)"
    end = detonate(pool, "run_source", {"source": module(body)}, Limits(20, 20, 256 << 20, 20))
    assert end.failure.stage == "jail"


@pytest.mark.parametrize("body", ["f()", "(lambda g: g(g))(lambda g: g(g))"], ids=["function", "lambda"])
def test_recursion(pool: Pool, body: str) -> None:
    end = detonate(pool, "run_source", {"source": module(body)}, Limits(10, 10, 256 << 20, 10))
    assert end.failure.stage == "crash"
    assert "RecursionError" in end.failure.message


def test_recursion_without_a_limit(pool: Pool) -> None:
    source = "import sys\ndef f(n=0):\n    sys.setrecursionlimit(1 << 30)\n    return max(map(f, [n + 1]))\n"
    end = detonate(pool, "run_source", {"source": source}, Limits(10, 10, 512 << 20, 10))
    assert end.failure.stage in {"crash", "memory"}
    assert end.seconds < 10


# ---------------------------------------------------------------- output


@pytest.mark.parametrize("how", some(FLOODS, "progress", "empty frames", "stderr", "large result", "half a frame"))
def test_floods(pool: Pool, how: str) -> None:
    before = resident()
    end = detonate(pool, "flood", {"how": how}, Limits(0.6, 10, 1 << 30, 20))
    assert end.failure.stage in {"timeout", "crash"}
    assert end.seconds < 0.6 + SLACK
    assert resident() - before < 400 << 20  # nor does the orchestrator drown in it


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_flood_of_lines_is_not_believed(pool: Pool) -> None:
    """What a candidate writes to stderr may name a line: a number at most, never its own text."""
    end = detonate(pool, "flood", {"how": "stderr"}, Limits(0.5, 10, 256 << 20, 20))
    assert len(end.failure.message) < 200
    assert "in f" not in end.failure.message


# ---------------------------------------------------------------- through the executor's doors

LOOP = """state.reward
    for i in range(1000):
        for j in range(1000):
            for k in range(1000):
                y = x + i"""
GROWTH = """state.reward
    y = x.sum() * 0
    z = []
    for i in range(1 << 15):
        z = z + [x.repeat(64, 1) + i]"""


HONEST = Signal(reward=Code(source="def agent_reward(state):\n    return state.obs.sum(-1)\n"))


def candidate(body: str) -> Signal:
    """A bomb that the static check cannot see."""
    return Signal(reward=Code(source=f"def agent_reward(state):\n    x = {body}\n    return x + 0 * y\n"))


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    short = replace(CHECK_LIMITS, wall_seconds=1.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "CHECK_LIMITS", short)
        made = LocalExecutor(1, branch_seconds=4, stall_seconds=1)
        yield made
        made.close()


def test_a_check_that_loops(executor: LocalExecutor) -> None:
    assert executor.check(HONEST, TASK, "own") == []
    began = time.monotonic()
    (failure,) = executor.check(candidate(LOOP), TASK, "own")
    assert failure.stage == "timeout"
    assert failure.line is not None
    assert failure.told.startswith("line ")
    assert "line " not in failure.message
    assert time.monotonic() - began < 1.5 + SLACK
    assert children(executor.pool) == []


def test_a_check_that_grows(executor: LocalExecutor) -> None:
    (failure,) = executor.check(candidate(GROWTH), TASK, "own")
    assert failure.stage in {"memory", "timeout"}  # whichever comes first on this machine
    assert "line " in failure.told
    assert children(executor.pool) == []


def request() -> BranchRequest:
    return BranchRequest(
        branch="b", candidate="c", task=TASK, seeds=(0, 1), train=TrainConfig(steps=400),
        evaluation=EvaluationConfig(episodes=2),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "stages"), [(LOOP, {"timeout"}), (GROWTH, {"memory", "timeout"})], ids=["loop", "growth"]
)
def test_a_training_that_explodes(executor: LocalExecutor, tmp_path: Path, body: str, stages: set[str]) -> None:
    began = time.monotonic()
    evaluation = executor.train(request(), candidate(body), tmp_path)
    assert evaluation.error is not None
    assert evaluation.error.stage in stages
    assert "line " in evaluation.error.told
    assert time.monotonic() - began < 4 + SLACK
    assert children(executor.pool) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("body", [LOOP, GROWTH], ids=["loop", "growth"])
def test_with_the_real_limits(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    monkeypatch.setattr(local, "CHECK_LIMITS", CHECK_LIMITS)
    executor.check(HONEST, TASK, "own")  # makes the states on which it is tried
    began = time.monotonic()
    (failure,) = executor.check(candidate(body), TASK, "own")
    assert failure.stage in {"timeout", "memory"}
    assert "line " in failure.told
    assert time.monotonic() - began < CHECK_LIMITS.wall_seconds + SLACK


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORY)
def test_memory_with_the_real_limit(pool: Pool, name: str) -> None:
    limits = Limits(wall_seconds=30, stall_seconds=30, memory_bytes=4 << 30, cpu_seconds=30)
    end = detonate(pool, "run_source", {"source": module(MEMORY[name])}, limits)
    assert end.failure.stage in {"memory", "timeout"}
    assert end.seconds < 30 + SLACK
