"""What each slot of a round is asked for: the search's operators, chosen by how the search stands."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from marlsmith.schemas import Elite, FailureKind, ProposalBrief

Kind = Literal["new", "mutate", "crossover", "tune", "repair"]
Angle = Literal[
    "credit",
    "team",
    "potential",
    "sharing",
    "annealed",
    "spacing",
    "precision",
    "relations",
    "claims",
    "memory",
    "messages",
    "pairing",
]
"""Where a new design may start from; prompts/parts/angles.md has the words."""


@dataclass(frozen=True)
class Commission:
    """What one slot is asked for."""

    slot: int
    kind: Kind
    parents: tuple[str, ...] = ()
    angle: Angle | None = None
    """Of a new design."""
    failure: FailureKind | None = None
    """Of a changed one: what the critic found, and this change is to mend."""


def plan(brief: ProposalBrief) -> tuple[Commission, ...]:
    """A pure function of the brief: the same search state and seed give the same commissions.

    - Something was refused: its repair, one for each.
    - Nothing has a score yet: new designs, each from another angle.
    - Else by slot: 1 mutates the best parent, or tunes it where the last round came to nothing; 2 crosses the two
      best, or tunes where that is due; 3 is new; 4 tunes where that is due, or mutates the second best; 5 is as 1,
      and so on. Numbers are due for tuning where the best parent beats the control, or the last round came to nothing.

    Slots are numbers of the round, so that several generators that share a round are asked for different things.
    """
    slots = brief.slots or tuple(range(1, brief.count + 1))
    if brief.rejected:
        pairs = zip(slots, brief.rejected, strict=False)
        return tuple(Commission(slot, "repair", (rejection.candidate.id,)) for slot, rejection in pairs)
    draws = random.Random(f"plan {brief.seed}")
    fitting = angles(brief)
    order = draws.sample(fitting, len(fitting))
    tunes = _is_due(brief) and (len(brief.elites) < 2 or draws.random() < 0.5)
    return tuple(_commission(slot, brief, order, tunes) for slot in slots)


LANES = 4
NEW_LANE = 2


def _commission(slot: int, brief: ProposalBrief, order: list[Angle], tunes: bool) -> Commission:
    lane = (slot - 1) % LANES
    if not brief.elites or lane == NEW_LANE:
        return Commission(slot, "new", angle=order[(slot - 1) % len(order)])
    ids = [elite.candidate.id for elite in brief.elites]
    found = [finding.failure for finding in brief.diagnosis.findings] if brief.diagnosis else []
    failures = [failure for failure in found if failure != "none"]
    kind, parents = _change(lane, brief, ids, tunes)
    failure = failures[(slot - 1) % len(failures)] if failures and kind != "crossover" else None
    return Commission(slot, kind, parents, failure=failure)


def _change(lane: int, brief: ProposalBrief, ids: list[str], tunes: bool) -> tuple[Kind, tuple[str, ...]]:
    best, second = ids[0], ids[min(1, len(ids) - 1)]
    if lane == 0:
        return ("tune" if came_to_nothing(brief) else "mutate"), (best,)
    if lane == 1:
        if tunes:
            return "tune", (best,)
        return ("crossover", (best, second)) if len(ids) > 1 else ("mutate", (best,))
    return ("tune", (best,)) if _is_due(brief) else ("mutate", (second,))


def _is_due(brief: ProposalBrief) -> bool:
    """Whether the best parent's numbers are worth tuning."""
    return bool(brief.elites) and (came_to_nothing(brief) or _beats(brief.elites[0], brief))


def came_to_nothing(brief: ProposalBrief) -> bool:
    """Whether no proposal of the round before was good enough to become a parent."""
    return brief.round > 1 and not any(
        (elite.candidate.stage, elite.candidate.round) == (brief.stage, brief.round - 1) for elite in brief.elites
    )


def _beats(elite: Elite, brief: ProposalBrief) -> bool:
    """By more than its interval."""
    score, control = elite.evaluation.score, brief.control
    if score is None or control is None or control.score is None:
        return False
    return (elite.evaluation.interval or (score, score))[0] > control.score


# ---------------------------------------------------------------- angles


def angles(brief: ProposalBrief) -> list[Angle]:
    """Those that fit what evolves and what the task has; never none."""
    return [angle for angle, fits in FITS.items() if fits(brief)]


def _reward(brief: ProposalBrief) -> bool:
    return brief.evolve != "observation"


def _observation(brief: ProposalBrief) -> bool:
    return brief.evolve != "reward"


def _targets(brief: ProposalBrief) -> bool:
    return brief.task.target is not None


def _shared_targets(brief: ProposalBrief) -> bool:
    """Whether agents may get into each other's way over targets: each has none of its own by the task."""
    return _targets(brief) and brief.task.goal is None and brief.task.agents > 1


FITS: dict[Angle, Callable[[ProposalBrief], bool]] = {
    "credit": lambda brief: _reward(brief) and (_targets(brief) or brief.signals == "any"),
    "team": _reward,
    "potential": lambda brief: _reward(brief) and (_targets(brief) or brief.signals == "any"),
    "sharing": lambda brief: _reward(brief) and _shared_targets(brief),
    "annealed": lambda brief: _reward(brief) and (_targets(brief) or brief.signals == "any"),
    "spacing": lambda brief: _reward(brief) and brief.task.collide is not None,
    "precision": lambda brief: _reward(brief) and _targets(brief),
    "relations": _observation,
    "claims": lambda brief: _observation(brief) and _shared_targets(brief),
    "memory": lambda brief: _observation(brief) and brief.signals == "any",
    "messages": lambda brief: _observation(brief) and any(part.kind == "message" for part in brief.task.observation),
    "pairing": lambda brief: brief.evolve == "both",
}
