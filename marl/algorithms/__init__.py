"""The algorithms by name."""

from __future__ import annotations

import difflib

from marlsmith.marl.algorithms.base import Algorithm, AlgorithmFactory, Relabel, Rollout, Spaces
from marlsmith.marl.algorithms.ippo import IPPO
from marlsmith.marl.algorithms.mappo import MAPPO
from marlsmith.marl.algorithms.qmix import QMIX
from marlsmith.marl.algorithms.vdn import VDN
from marlsmith.schemas import UserError

ALGORITHMS: dict[str, AlgorithmFactory] = {
    "mappo": MAPPO,
    "ippo": IPPO,
    "vdn": VDN,
    "qmix": QMIX,
}


def find_algorithm(name: str) -> AlgorithmFactory:
    if name not in ALGORITHMS:
        near = difflib.get_close_matches(name, ALGORITHMS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(ALGORITHMS)}."
        raise UserError(f"There is no algorithm {name!r}: {hint}")
    return ALGORITHMS[name]


__all__ = ["ALGORITHMS", "Algorithm", "AlgorithmFactory", "Relabel", "Rollout", "Spaces", "find_algorithm"]
