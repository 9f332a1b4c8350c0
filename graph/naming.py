"""Names of candidates and batches: `s1r2c3` is the third of round 2 in stage 1, `s1r2c3-fix1` its repair."""

from __future__ import annotations

from collections.abc import Sequence

from marlsmith.schemas import Proposal, ProposalBrief


def batch_name(stage: int, round: int, attempt: int) -> str:
    return f"s{stage}r{round}-a{attempt}"


def candidate_ids(brief: ProposalBrief, proposals: Sequence[Proposal]) -> list[str]:
    """Numbered by slot in a first pass; in a repair pass named for what each proposal repairs."""
    if not brief.rejected:
        slots = brief.slots or range(1, brief.count + 1)
        return [f"s{brief.stage}r{brief.round}c{slot}" for slot, _ in zip(slots, proposals, strict=False)]
    open_ids = [rejection.candidate.id for rejection in brief.rejected]
    named: dict[int, str] = {}
    for index, proposal in enumerate(proposals):  # those that say what they repair come first
        target = next((parent for parent in proposal.parents if parent in open_ids), None)
        if target is not None:
            open_ids.remove(target)
            named[index] = target
    targets = [named[index] if index in named else open_ids.pop(0) for index in range(len(proposals))]
    return [f"{slot_of(target)}-fix{brief.attempt}" for target in targets]


def slot_of(id: str) -> str:
    """What a candidate and its repairs have in common."""
    return id.partition("-fix")[0]
