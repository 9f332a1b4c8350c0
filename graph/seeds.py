"""Which seeds a run uses: a documented layout, so that confirmation never meets a seed of the search.

    search  seed = 10,000 * run + 200 * (stage - 1) + i,        i = 0 .. search_seeds - 1
    confirm seed = 10,000 * run + 200 * (stage - 1) + 100 + i,  i = 0 .. confirm_seeds - 1

    edits   seed = 10,000 * 400,001 + 100 * b + i, b drawn by hash from run, stage and the number of the edit

With at most 50 stages and 100 seeds each, no two runs, stages or phases share one. Every candidate of a
phase gets the same seeds (common random numbers), which is what makes its differences to the control paired.
A person may try signals of their own as often as they like: each is confirmed on seeds that no other has seen.
"""

from __future__ import annotations

from hashlib import sha256

from marlsmith.graph.methods import MAX_SEEDS, MAX_STAGES

BEYOND_ALL_RUNS = 2 * MAX_SEEDS * MAX_STAGES * 400_001


def search_seeds(run: int, stage: int, count: int) -> tuple[int, ...]:
    return _seeds(run, stage, 0, count)


def confirm_seeds(run: int, stage: int, count: int, edit: int = 0) -> tuple[int, ...]:
    """`edit` is the number of a person's signal, from 1; 0 for all others."""
    if not edit:
        return _seeds(run, stage, MAX_SEEDS, count)
    blocks = (2**32 - BEYOND_ALL_RUNS) // MAX_SEEDS
    block = int.from_bytes(sha256(f"{run}/{stage}/edit {edit}".encode()).digest()[:8]) % blocks
    first = BEYOND_ALL_RUNS + MAX_SEEDS * block
    return tuple(range(first, first + count))


def role_seed(run: int, stage: int, round: int, attempt: int = 0) -> int:
    """32 bits for whoever proposes or selects: the same after a resume, different in every pass."""
    return int.from_bytes(sha256(f"{run}/{stage}/{round}/{attempt}".encode()).digest()[:4])


def _seeds(run: int, stage: int, offset: int, count: int) -> tuple[int, ...]:
    if not (1 <= stage <= MAX_STAGES and 1 <= count <= MAX_SEEDS):
        raise ValueError(f"stage {stage} of {MAX_STAGES}, {count} seeds of {MAX_SEEDS}: out of the layout")
    first = 2 * MAX_SEEDS * MAX_STAGES * run + 2 * MAX_SEEDS * (stage - 1) + offset
    return tuple(range(first, first + count))
