"""What a good signal by hand reaches in LERO's 30,000 steps: benchmarks/signals, three algorithms, eight seeds.

python benchmarks/hand_written.py [SEEDS]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SIGNALS = Path(__file__).parent / "signals"
ALGORITHMS = ("mappo", "vdn", "qmix")
# The signal for simple_spread pays every step's progress, so that little foresight is needed; a value that is
# learned off replay then needs less to be learned, and has more time for it.
SETTINGS = {
    ("mpe/simple_spread", "vdn"): ("gamma=0.5", "updates=12"),
    ("mpe/simple_spread", "qmix"): ("gamma=0.5", "updates=12"),
}


def measure(task: str, algorithm: str, seeds: int) -> dict[str, Any]:
    """What `marlsmith train --json` says of the task's signal."""
    signal = SIGNALS / f"{task.partition('/')[2]}.py"
    command = [sys.executable, "-m", "marlsmith.cli", "train", "--task", task, "--algorithm", algorithm]
    command += [part for setting in SETTINGS.get((task, algorithm), ()) for part in ("--train-option", setting)]
    command += ["--signal", str(signal), "--scope", "team", "--steps", "30000", "--seeds", str(seeds), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    print("| task | algorithm | coverage | lowest seed | interval | final coverage | seconds | steps/s |")
    print("|---|---|---|---|---|---|---|---|")
    for task in ("mpe/simple_spread", "mpe/simple_reference"):
        for algorithm in ALGORITHMS:
            found = measure(task, algorithm, seeds)
            low, high = found["interval"]
            print(
                f"| {task} | {algorithm} | {found['score']:.3f} | {min(found['scores']):.3f} "
                f"| {low:.3f} to {high:.3f} | {found['metrics']['final_coverage']:.3f} "
                f"| {found['seconds']:.0f} | {found['steps_per_second']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
