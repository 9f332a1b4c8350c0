"""How much work a cell is beside another, and how long the rest of a table will take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marlsmith.agents.settings import OFFLINE
from marlsmith.graph.telling.workload import Workload
from marlsmith.results.reproducing.drive import Order
from marlsmith.results.reproducing.plan import Cell

COST = {"mappo": 1.0, "ippo": 1.0, "vdn": 11.0, "qmix": 15.0}
"""Of an environment step, beside one of MAPPO: benchmarks/README.md, our presets."""


def work(orders: Sequence[Order], *, shares: bool) -> dict[Cell, float]:
    """Environment steps by cell at MAPPO's cost. A table that shares trains the native task once for a column, and
    the first round once for what is evolved under one scope, where the offline designer proposes it."""
    seen: set[tuple[object, ...]] = set()
    found: dict[Cell, float] = {}
    for order in orders:
        settings, method = order.settings, order.settings.method
        load = Workload(settings)
        steps = load.whole
        place = (settings.task, settings.train, settings.seed)
        native = (*place, method.search_seeds, method.confirm_seeds)
        first = (*place, method.evolve, method.scope, method.candidates, settings.roles.generators)
        if shares and not method.adapts:
            steps -= load.branch(1) + load.confirmation(1) // 2 if native in seen else 0
            steps -= load.round(1) if first in seen else 0
            seen.add(native)
            if settings.roles.generators == (OFFLINE,):
                seen.add(first)
        found[order.cell] = steps * COST.get(settings.train.algorithm, 1.0)
    return found


def seconds_left(
    work_of: Mapping[Cell, float], took: Mapping[Cell, float], current: tuple[Cell, float, float] | None
) -> float | None:
    """From what the cells that are done took, in seconds, and the one under way: (cell, share that is done, seconds).

    None while nothing is known.
    """
    done = sum(work_of[cell] for cell in took)
    seconds, under_way = sum(took.values()), 0.0
    if current is not None:
        cell, share, spent = current
        under_way, seconds = work_of[cell] * min(1.0, share), seconds + spent
    known = done + under_way
    if seconds <= 0 or known <= 0:
        return None
    return max(0.0, sum(work_of.values()) - known) * seconds / known


def spoken(seconds: float) -> str:
    """`about 2 h 10 min`."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min" if hours else f"about {rest} min"
