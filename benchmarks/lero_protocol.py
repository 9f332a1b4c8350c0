"""The whole LERO protocol with offline roles, several run seeds: time, coverage on fresh seeds, promotions.

python benchmarks/lero_protocol.py [RUNS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVALUATION_SEED = 20_250_321  # a public one, so that the table can be made again on another machine


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print("| run seed | seconds | native coverage | best coverage | lowest of 5 seeds | gain | promoted |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(runs):
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "marlsmith.cli", "run", "--seed", str(seed), "--json"]
            command += ["--evaluation-seed", str(EVALUATION_SEED)]
            began = time.perf_counter()
            done = subprocess.run(
                [*command, "--out", str(Path(scratch) / "run")], capture_output=True, text=True, check=True
            )
            seconds = time.perf_counter() - began
        last = json.loads(done.stdout.splitlines()[-1])
        native, best = last["native"], last["best"]
        print(
            f"| {seed} | {seconds:.0f} | {native['score']:.3f} | {best['score']:.3f} | {min(best['scores']):.3f} "
            f"| {last['gain']['mean']:+.3f} | {'yes' if last['promoted'] else 'no'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
