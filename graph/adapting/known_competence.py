"""What the branches of the main run so far say of its branches: whether what is ahead early is ahead later."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from marlsmith.graph.adapting import branches
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.briefing.evidence import paired_mean
from marlsmith.graph.context import Context
from marlsmith.graph.judging.competence import Competence, competence
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of
from marlsmith.graph.state import CONTROL_ID, Outcome
from marlsmith.schemas import Evaluation


def known_competence(evaluated: Mapping[str, Outcome], context: Context) -> Competence:
    """Over all candidates of the main run so far, each at two horizons, the second of twice the length or about that:
    its gain half-way through the branch and at its end; of a finalist that at its end and in the confirmation.
    """
    pairs = []
    for branch, outcome in evaluated.items():
        of_the_main_run = outcome["phase"] == "search" and outcome["stage"] > context.settings.method.opening
        if of_the_main_run and outcome["candidate"] != CONTROL_ID and outcome["error"] is None:
            pair = _later(branch, context) or _earlier(branch, context)
            pairs += [pair] if pair is not None else []
    return competence(pairs)


def _later(id: str, context: Context) -> tuple[float, float] | None:
    """Of a finalist whose confirmation was longer than its branch."""
    control, found, again = _control_of(id, context), context.directory.evaluation(id), _confirmation(id, context)
    if control is None or found is None or again is None or again[1].steps <= found.steps:
        return None
    near, far = paired_mean(control, found), paired_mean(*again)
    return None if near is None or far is None else (near, far)


def _earlier(id: str, context: Context) -> tuple[float, float] | None:
    """Half-way and at the end, each beside the members of the control that the candidate was trained with."""
    control, found = _control_of(id, context), context.directory.evaluation(id)
    if control is None or found is None or (gain := paired_mean(control, found)) is None:
        return None
    beside = merged(control.branch, _first_heats(control, len(found.seeds), context))
    middle = min(len(beside.curve), len(found.curve)) // 2
    return (found.curve[middle - 1].score - beside.curve[middle - 1].score, gain) if middle else None


def _first_heats(control: Evaluation, seeds: int, context: Context) -> list[Evaluation]:
    """Of the control, as many as have so many seeds together."""
    heats = [context.directory.required_evaluation(name) for name in branches.heats(control.branch, context)]
    ends = accumulate(len(heat.seeds) for heat in heats)
    return [heat for heat, end in zip(heats, ends, strict=True) if end <= seeds]


def _control_of(id: str, context: Context) -> Evaluation | None:
    return context.directory.evaluation(control_branch(context.directory.candidate(id).stage))


def _confirmation(id: str, context: Context) -> tuple[Evaluation, Evaluation] | None:
    """Control and candidate of it."""
    candidate = context.directory.candidate(id)
    name = confirm_control(candidate.stage, candidate.round, adapts=True, edit=edit_of(id))
    control, found = context.directory.evaluation(name), context.directory.evaluation(confirm_branch(id))
    if control is None or found is None or control.error is not None or found.error is not None:
        return None
    return control, found
