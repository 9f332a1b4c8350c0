"""What the jail costs: in a whole training, at the start of a worker, and in `marlsmith check`.

python benchmarks/jail_cost.py [PAIRS] [STEPS]      pairs of trainings, 7 by default, of 60,000 steps each

Trainings with and without the jail take turns, and which of a pair comes first changes: a busy machine disturbs
both alike. Each pair has servers of its own, for how the memory of one happens to lie outlasts its workers.
MAPPO, mpe/simple_spread, the signal of the README, four seeds, one worker.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from marlsmith.marl.config import BranchRequest
from marlsmith.marl.jobs import train
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.tasks import make_task
from marlsmith.marl.workers.contract import Jail, JobResult, Limits
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import Scope, Signal, plain

ROOT = Path(__file__).parent.parent
TASK = "mpe/simple_spread"
SEEDS = (0, 1, 2, 3)
STARTS = 20
JAILS: dict[str, Jail] = {"jailed": "required", "free": "off"}
LIMITS = Limits(wall_seconds=600, stall_seconds=60, memory_bytes=4 << 30, cpu_seconds=1200)
HEADER = re.compile(r"# task: (\S+)\s+scope: (own|team)")


def nothing(arguments: dict[str, Any], report: Any) -> tuple[dict[str, Any], None]:
    """A job without work: what is measured is its worker."""
    return {}, None


def timed(arguments: dict[str, Any], report: Any) -> tuple[dict[str, Any], bytes | None]:
    """A training, with the processor time that it took: a busy machine lengthens the other kind."""
    began = time.process_time()
    value, checkpoint = train(arguments, report)
    return {**value, "processor": time.process_time() - began}, checkpoint


def readme_signal() -> Signal:
    found = re.search(r"```python\n(# signal\.py.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None, "the README shows its signal in a block that begins with `# signal.py`"
    return read_signal("signal.py", found[1])


def training(pool: Pool, signal: Signal, steps: int) -> JobResult:
    request = BranchRequest(
        branch="jail-cost",
        candidate="readme",
        task=TASK,
        seeds=SEEDS,
        train=train_config(make_task(TASK).card, "mappo", {"steps": steps}),
    )
    asked = request.model_dump(mode="json", exclude={"evaluation"})
    return pool.run("timed", {"request": asked, "signal": plain(signal)}, LIMITS)


def start(pool: Pool) -> float:
    """Milliseconds of an empty job: fork, jail, reply, end."""
    began = time.perf_counter()
    pool.run("nothing", {}, LIMITS)
    return 1000 * (time.perf_counter() - began)


def compare(pairs: int, steps: int) -> None:
    signal = readme_signal()
    jobs = {name: f"{Path(__file__).resolve()}:{name}" for name in ("nothing", "timed")}
    results: dict[str, list[JobResult]] = {name: [] for name in JAILS}
    starts: dict[str, list[float]] = {name: [] for name in JAILS}
    for pair in range(pairs):
        with ExitStack() as stack:
            pools = {name: stack.enter_context(Pool(1, jobs, jail=jail)) for name, jail in JAILS.items()}
            for pool in pools.values():
                training(pool, signal, 2000)  # the server has started, and files are in memory
            for name in sorted(pools, reverse=pair % 2 == 1):
                results[name].append(training(pools[name], signal, steps))
            for turn in range(STARTS):
                for name in sorted(pools, reverse=turn % 2 == 1):
                    starts[name].append(start(pools[name]))
    print(f"MAPPO, {TASK}, {len(SEEDS)} seeds x {steps:,} steps, {pairs} pairs of trainings\n")
    print("| median of | in the jail | without | ratio of pairs | lowest | highest |\n|---|---|---|---|---|---|")
    row("processor seconds of a training", "{:.2f}", {n: [r.value["processor"] for r in results[n]] for n in results})
    row("seconds of a training and its worker", "{:.2f}", {n: [r.seconds for r in results[n]] for n in results})
    row("ms of an empty job", "{:.1f}", starts)
    checkpoints = {result.tensors for found in results.values() for result in found}
    print(f"\ncheckpoints: {'equal bit for bit' if len(checkpoints) == 1 else f'{len(checkpoints)} DIFFERENT ones'}")


def row(what: str, form: str, found: dict[str, list[float]]) -> None:
    ratios = [jailed / free for jailed, free in zip(found["jailed"], found["free"], strict=True)]
    medians = [form.format(statistics.median(found[name])) for name in ("jailed", "free")]
    shown = [f"{ratio:.3f}" for ratio in (statistics.median(ratios), min(ratios), max(ratios))]
    print(f"| {' | '.join([what, *medians, *shown])} |")


def honest() -> list[tuple[Signal, str, Scope]]:
    """The corpus of signals that must be accepted, with task and scope as their first lines say."""
    found: list[tuple[Signal, str, Scope]] = []
    for path in sorted((ROOT / "tests" / "corpus" / "honest").glob("*.py")):
        text = path.read_text()
        if header := HEADER.match(text):
            found.append((read_signal(path.name, text), header[1], "team" if header[2] == "team" else "own"))
    return found


def checks() -> None:
    corpus = honest()
    if not corpus:
        print("\nno corpus of honest signals: tests/corpus/honest is empty")
        return
    executor = LocalExecutor(1)
    try:
        for _, task, scope in corpus:
            executor.check(Signal(), task, scope)  # what is made once for each task is not the file's cost
        times, refused = [], 0
        for signal, task, scope in corpus:
            began = time.perf_counter()
            refused += bool(executor.check(signal, task, scope))
            times.append(1000 * (time.perf_counter() - began))
    finally:
        executor.close()
    ordered = sorted(times)
    print(
        f"\ncheck of {len(corpus)} honest files on one worker: median {statistics.median(times):.0f} ms, "
        f"nine of ten within {ordered[len(ordered) * 9 // 10]:.0f} ms, longest {ordered[-1]:.0f} ms; {refused} refused"
    )


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 60_000
    compare(pairs, steps)
    checks()


if __name__ == "__main__":
    main()
