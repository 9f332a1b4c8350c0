"""Which candidates may be trained: rules, the executor's checks, twins, the validator. The cheapest comes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from marlsmith.agents.asking.question import AnswerError
from marlsmith.graph import judgement, twins
from marlsmith.graph.briefs import review_brief, tried
from marlsmith.graph.context import Context
from marlsmith.graph.methods import reward_rows
from marlsmith.graph.state import State
from marlsmith.graph.trace import Checked
from marlsmith.schemas import Candidate, FailureStage, Review, ReviewBrief

Warn = Callable[[str], None]
"""Tells the trace of something that the run goes on in spite of."""


def check_all(ids: Sequence[str], state: State, context: Context, warn: Warn) -> tuple[Checked, ...]:
    """One answer for each: rules, then the executor's checks, then what it does, then the validator."""
    method, executor = context.settings.method, context.parts.executor
    candidates = [context.directory.candidate(id) for id in ids]
    rivals = twins.accepted(state)
    forms = twins.forms(rivals, context)
    problems: dict[str, Sequence[str]] = {}
    for candidate in candidates:
        earlier = state["proposed"][: state["proposed"].index(candidate.id)]
        found = judgement.breaches(candidate.signal, method, tried(earlier, context))
        problems[candidate.id] = found or twins.in_other_words(candidate.signal, forms)
    checks = {id: _checked(id, "rules", found) for id, found in problems.items() if found}

    sound = [candidate for candidate in candidates if candidate.id not in checks]
    task, rows = context.settings.task, reward_rows(context.settings.train, method.search_seeds)
    with ThreadPoolExecutor(max_workers=max(1, executor.workers)) as pool:
        failures = list(pool.map(lambda c: executor.check(c.signal, task, method.scope, rows=rows), sound))
        probed = list(pool.map(lambda c, failed: None if failed else twins.values(c, context), sound, failures))
    met, reviewed = twins.Twins(rivals, context), []
    for candidate, failed, values in zip(sound, failures, probed, strict=True):
        if failed:
            found = [failure.message for failure in failed]
            checks[candidate.id] = _checked(candidate.id, "executor", found, failed[0].stage)
        elif found := met.meet(candidate, values):
            checks[candidate.id] = _checked(candidate.id, "rules", found)
        else:
            reviewed.append(candidate)
    checks |= _reviews(reviewed, state, context, warn)
    return tuple(checks[id] for id in ids)


def _reviews(candidates: Sequence[Candidate], state: State, context: Context, warn: Warn) -> dict[str, Checked]:
    """All at once. A validator that cannot answer must not stop a sound candidate: the training will judge it."""
    validator = context.parts.roles.validator
    if validator is None or not candidates:
        return {candidate.id: Checked(candidate=candidate.id, accepted=True) for candidate in candidates}

    def ask(brief: ReviewBrief) -> Review | AnswerError:
        try:
            return validator.review(brief)
        except AnswerError as error:
            return error

    briefs = [review_brief(candidate, state, context) for candidate in candidates]
    with ThreadPoolExecutor(max_workers=len(briefs)) as pool:
        said = list(pool.map(ask, briefs))
    checks = {}
    for candidate, review in zip(candidates, said, strict=True):
        if isinstance(review, AnswerError):
            warn(f"{validator.name} gave no usable review of {candidate.id}, which passes: {review}")
            checks[candidate.id] = Checked(candidate=candidate.id, accepted=True)
        elif review.approve:
            checks[candidate.id] = Checked(candidate=candidate.id, accepted=True, reasons=review.reasons)
        else:
            reasons = review.reasons or (f"{validator.name} gave no reason",)
            checks[candidate.id] = _checked(candidate.id, "validator", reasons)
    return checks


def _checked(id: str, by: judgement.Refuser, problems: Sequence[str], stage: FailureStage | None = None) -> Checked:
    return Checked(candidate=id, accepted=False, by=by, stage=stage, problems=tuple(problems))
