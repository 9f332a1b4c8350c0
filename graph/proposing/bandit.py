"""Which generator proposes next, where several share a run: a bandit over validated gain per cost.

A play is one slot of a round that an arm (a generator) was given: its proposal and the repairs of it.

    gain  max(0, score - the control's score) in the search branch; 0 for what was refused, failed or never came
    cost  1 for the slot, used or not: slots are what is scarce; plus what the words cost, in trainings:
          money / MONEY_A_TRAINING where a price is known, else tokens / TOKENS_A_TRAINING
    rate  sum of gains / sum of costs, of one arm

The index of an arm with n of N plays is that of UCB1 (Auer, Cesa-Bianchi & Fischer 2002) over rates, as
budgeted bandits have it (Tran-Thanh et al. 2012):

    index = rate / top + EXPLORATION * sqrt(ln N / n),  top = the largest gain / cost of a single play

Rates are divided by `top`, so that plays lie in 0..1 whatever the scale of the task's score. EXPLORATION is 1/2: the
largest standard deviation of a number in 0..1, which UCB1-Tuned puts in the place of sqrt 2, and which suits
the dozen plays of a run. An arm without a play comes first. The slots of a round are allotted one after the
other; one that is given counts as a play at the arm's own rate (Desautels et al. 2014), so that a round is
spread as uncertainty bids. Equals are ordered by the seed. Nothing here depends on time: the same plays and
the same seed give the same slots.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from marlsmith.schemas import Record

TOKENS_A_TRAINING = 50_000
MONEY_A_TRAINING = 0.10
EXPLORATION = 0.5


@dataclass(frozen=True)
class Play:
    gain: float
    cost: float


class Share(Record):
    """What an arm is given in a round, and how it stood before."""

    slots: tuple[int, ...]
    plays: int
    rate: float
    index: float | None = Field(None, description="None for an arm without a play: it comes first")


def in_trainings(tokens: int, money: float | None) -> float:
    """What words cost."""
    return tokens / TOKENS_A_TRAINING if money is None else money / MONEY_A_TRAINING


def silent(tokens: int, money: float | None) -> Play:
    """A slot that its arm left empty, after so many words."""
    return Play(gain=0.0, cost=1.0 + in_trainings(tokens, money))


def allot(arms: Mapping[str, Sequence[Play]], slots: Sequence[int], seed: int) -> dict[str, Share]:
    """Each slot's number to one arm; arms are told by name, and all of them are in the answer."""
    order = list(arms)
    random.Random(seed).shuffle(order)
    counts = {name: len(plays) for name, plays in arms.items()}
    rates = {name: _rate(plays) for name, plays in arms.items()}
    top = max((max(0.0, play.gain) / play.cost for plays in arms.values() for play in plays), default=0.0)
    before = _indices(counts, rates, top)
    given: dict[str, list[int]] = {name: [] for name in arms}
    for slot in slots:
        indices = _indices(counts, rates, top)
        chosen = max(order, key=lambda name: indices[name])
        given[chosen].append(slot)
        counts[chosen] += 1
    return {
        name: Share(
            slots=tuple(given[name]),
            plays=len(arms[name]),
            rate=rates[name],
            index=before[name] if math.isfinite(before[name]) else None,
        )
        for name in arms
    }


def _rate(plays: Sequence[Play]) -> float:
    spent = sum(play.cost for play in plays)
    return sum(max(0.0, play.gain) for play in plays) / spent if spent else 0.0


def _indices(counts: Mapping[str, int], rates: Mapping[str, float], top: float) -> dict[str, float]:
    total = sum(counts.values())

    def index(name: str) -> float:
        if counts[name] == 0:
            return math.inf
        bonus = EXPLORATION * math.sqrt(math.log(total) / counts[name])
        return (rates[name] / top if top > 0 else 0.0) + bonus

    return {name: index(name) for name in counts}
