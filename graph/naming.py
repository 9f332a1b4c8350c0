"""Names of candidates, batches and branches.

`s1r2c3` is the third of round 2 in stage 1, `s1r2c3-fix1` its repair, `s1r2c3-edit1` a person's signal in its place,
`s1r2c3-h1` the first heat of its branch and `s1r2c3-confirm` its confirmation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from marlsmith.schemas import Proposal, ProposalBrief


def batch_name(stage: int, round: int, attempt: int) -> str:
    return f"s{stage}r{round}-a{attempt}"


def filled(brief: ProposalBrief, proposals: Sequence[Proposal]) -> list[int]:
    """The slot that each of the proposals fills: the one it names, that of what it repairs, else the next one left.

    There are no more proposals than slots.
    """
    left = list(brief.slots or range(1, brief.count + 1))
    repaired = {rejection.candidate.id: slot for slot, rejection in zip(left, brief.rejected, strict=False)}
    named: dict[int, int] = {}
    for index, proposal in enumerate(proposals):  # those that say where they belong come first
        said = [proposal.slot, *(repaired.get(parent) for parent in proposal.parents)]
        slot = next((slot for slot in said if slot in left), None)
        if slot is not None:
            left.remove(slot)
            named[index] = slot
    return [named[index] if index in named else left.pop(0) for index in range(len(proposals))]


def candidate_id(brief: ProposalBrief, slot: int) -> str:
    """Numbered by slot in a first pass; in a repair pass named for what is repaired in the slot."""
    if not brief.rejected:
        return f"s{brief.stage}r{brief.round}c{slot}"
    rejection = brief.rejected[brief.slots.index(slot) if brief.slots else slot - 1]
    return f"{slot_of(rejection.candidate.id)}-fix{brief.attempt}"


def slot_of(id: str) -> str:
    """What a candidate, its repairs and its edits have in common."""
    return re.split("-fix|-edit", id)[0]


def edit_id(candidate: str, proposed: Sequence[str]) -> str:
    """Of a person's signal in the place of this candidate, or of an earlier edit of it."""
    slot = slot_of(candidate)
    return f"{slot}-edit{1 + sum(slot_of(id) == slot and edit_of(id) > 0 for id in proposed)}"


def edit_of(name: str) -> int:
    """The number of the edit that a candidate or a branch is of, from 1; 0 where it is of none."""
    found = re.search(r"-edit(\d+)", name)
    return int(found[1]) if found else 0


# ---------------------------------------------------------------- branches


def control_branch(stage: int) -> str:
    return f"control-s{stage}"


def confirm_branch(search_branch: str) -> str:
    """`s1r2c3-confirm`, `control-s1-confirm`. A candidate is confirmed at most once in a run."""
    return f"{search_branch}-confirm"


def confirm_control(stage: int, round: int, *, adapts: bool, edit: int = 0) -> str:
    """The control of a confirmation: where a main run is adapted, each round has fresh random numbers, as has each
    edit everywhere.
    """
    control = f"{control_branch(stage)}r{round}" if adapts else control_branch(stage)
    return confirm_branch(f"{control}-edit{edit}" if edit else control)


def lap_branch(stage: int) -> str:
    """The main run itself after a stage; 0 is its start."""
    return f"main-s{stage}"


PLAIN_BRANCH, FINAL_BRANCH = "plain", "final"
"""The main run's training without any signal, and the main run on the episodes of the last comparison."""


def heat_branch(branch: str, heat: int) -> str:
    """One heat (from 1) of a branch; a branch without heats (0) is trained whole."""
    return f"{branch}-h{heat}" if heat else branch


def without_heat(name: str) -> str:
    """The branch that a heat is of; a branch is its own."""
    return re.sub(r"-h\d+$", "", name)


def is_confirmation(name: str) -> bool:
    """Whether a branch, or a heat of one, confirms a candidate, or is the control beside it."""
    return without_heat(name).endswith("-confirm")


def is_plain(name: str) -> bool:
    """Whether a branch, or a heat of one, is the main run's training without any signal."""
    return without_heat(name) == PLAIN_BRANCH
