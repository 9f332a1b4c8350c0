"""What LERO's paper reports (arXiv 2503.21807): Table 2, and the ends of the curves in Fig. 4."""

from __future__ import annotations

COLUMNS = ("mappo-spread", "vdn-spread", "qmix-spread", "mappo-reference", "vdn-reference", "qmix-reference")

TABLE_2: dict[str, tuple[float, ...]] = {
    "native": (0.240, 0.380, 0.240, 0.230, 0.230, 0.290),
    "lr": (0.320, 0.333, 0.326, 0.240, 0.311, 0.290),
    "ler": (0.320, 0.366, 0.346, 0.240, 0.380, 0.311),
    "lo": (0.293, 0.380, 0.340, 0.230, 0.281, 0.371),
    "leo": (0.747, 0.580, 0.340, 0.360, 0.330, 0.401),
    "lro": (0.313, 0.380, 0.346, 0.230, 0.410, 0.371),
    "lero": (0.747, 0.580, 0.480, 0.360, 0.830, 0.401),
}
"""Coverage by row, in the order of the columns."""

FIGURE_4: dict[str, tuple[float, float]] = {
    "mappo-reference": (0.23, 0.26),
    "qmix-reference": (0.29, 0.35),
    "vdn-reference": (0.41, 0.83),
}
"""Coverage in the first and in the fourth iteration, as section 4.4 says it. MAPPO and QMIX end lower there than in
Table 2; the paper does not say why."""


def coverage(row: str, column: str) -> float:
    return TABLE_2[row][COLUMNS.index(column)]
