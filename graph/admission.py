"""Which candidates may be trained: rules, the executor's checks, the validator. The cheapest refusal comes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from marlsmith.agents.asking.question import AnswerError
from marlsmith.graph import judgement
from marlsmith.graph.briefs import review_brief, tried
from marlsmith.graph.context import Context
from marlsmith.graph.methods import reward_rows
from marlsmith.graph.state import State
from marlsmith.graph.trace import Checked
from marlsmith.schemas import Candidate, FailureStage

Warn = Callable[[str], None]
"""Tells the trace of something that the run goes on in spite of."""


def check_all(ids: Sequence[str], state: State, context: Context, warn: Warn) -> tuple[Checked, ...]:
    """One answer for each: rules, then the executor's checks, then the validator."""
    method, executor = context.settings.method, context.parts.executor
    candidates = [context.directory.candidate(id) for id in ids]
    problems: dict[str, Sequence[str]] = {}
    for candidate in candidates:
        earlier = state["proposed"][: state["proposed"].index(candidate.id)]
        problems[candidate.id] = judgement.breaches(candidate.signal, method, tried(earlier, context))
    checks = {id: _checked(id, "rules", found) for id, found in problems.items() if found}

    sound = [candidate for candidate in candidates if candidate.id not in checks]
    task, rows = context.settings.task, reward_rows(context.settings.train, method.search_seeds)
    with ThreadPoolExecutor(max_workers=max(1, executor.workers)) as pool:
        failures = list(pool.map(lambda c: executor.check(c.signal, task, method.scope, rows=rows), sound))
    for candidate, failed in zip(sound, failures, strict=True):
        if failed:
            found = [failure.message for failure in failed]
            checks[candidate.id] = _checked(candidate.id, "executor", found, failed[0].stage)
        else:
            checks[candidate.id] = _review(candidate, state, context, warn)
    return tuple(checks[id] for id in ids)


def _review(candidate: Candidate, state: State, context: Context, warn: Warn) -> Checked:
    """A validator that cannot answer must not stop a sound candidate: the training will judge it."""
    validator = context.parts.roles.validator
    if validator is None:
        return Checked(candidate=candidate.id, accepted=True)
    try:
        review = validator.review(review_brief(candidate, state, context))
    except AnswerError as error:
        warn(f"{validator.name} gave no usable review of {candidate.id}, which passes: {error}")
        return Checked(candidate=candidate.id, accepted=True)
    if review.approve:
        return Checked(candidate=candidate.id, accepted=True, reasons=review.reasons)
    return _checked(candidate.id, "validator", review.reasons or (f"{validator.name} gave no reason",))


def _checked(id: str, by: judgement.Refuser, problems: Sequence[str], stage: FailureStage | None = None) -> Checked:
    return Checked(candidate=id, accepted=False, by=by, stage=stage, problems=tuple(problems))
