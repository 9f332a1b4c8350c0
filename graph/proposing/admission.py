"""Which candidates may be trained: rules, the executor's checks, twins, the validator. The cheapest comes first.

How a check ends may hang on how busy the machine is. So that a replay decides as the run that it repeats, what was
refused there stays refused, in the same words. What was let pass there has no credit: it is checked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from marlsmith.graph.adapting import main_run
from marlsmith.graph.briefing.briefs import incumbent, proposed_before, review_brief, tried
from marlsmith.graph.context import Context
from marlsmith.graph.judging import judgement
from marlsmith.graph.methods import branch_rows
from marlsmith.graph.naming import batch_name
from marlsmith.graph.proposing import twins
from marlsmith.graph.state import State
from marlsmith.graph.telling.trace import Checked, Checks
from marlsmith.schemas import (
    NATIVE,
    AnswerError,
    Candidate,
    Failure,
    FailureStage,
    Review,
    ReviewBrief,
    Signal,
    SignalError,
    printable,
)

Warn = Callable[[str], None]
"""Tells the trace of something that the run goes on in spite of."""
TRIES = 3
"""Of a check that refuses what was let pass before."""
LONGEST_PROBLEM = 400


def check_all(ids: Sequence[str], state: State, context: Context, warn: Warn) -> tuple[Checked, ...]:
    """One answer for each: rules, then the executor's checks, then what it does, then the validator."""
    method, executor = context.method(state["stage"]), context.parts.executor
    candidates = [context.directory.candidate(id) for id in ids]
    rivals, now = twins.accepted(state, context), incumbent(state, context)
    forms = twins.forms(rivals, context)
    problems: dict[str, Sequence[str]] = {}
    for candidate in candidates:
        earlier = tried(proposed_before(candidate.id, state, context), context)
        found = judgement.breaches(candidate.signal, method, earlier, now.signal if now else NATIVE)
        problems[candidate.id] = found or twins.in_other_words(candidate.signal, forms)
    checks = {id: _checked(id, "rules", found) for id, found in problems.items() if found}

    sound = [candidate for candidate in candidates if candidate.id not in checks]
    before = _before(state, context)
    with ThreadPoolExecutor(max_workers=max(1, executor.workers)) as pool:
        refusals = list(pool.map(lambda c: _refusal(c, before.get(c.id), context), sound))
        probed = list(pool.map(lambda c, refused: None if refused else twins.values(c, context), sound, refusals))
    met, reviewed = twins.Twins(rivals, context), []
    for candidate, refusal, values in zip(sound, refusals, probed, strict=True):
        if refusal:
            checks[candidate.id] = refusal
        elif found := _twins(met.meet(candidate, values), before.get(candidate.id)):
            checks[candidate.id] = _checked(candidate.id, "rules", found)
        else:
            reviewed.append(candidate)
    checks |= _reviews(reviewed, state, context, warn)
    return tuple(checks[id] for id in ids)


def checks_name(state: State) -> str:
    """Of a pass; a person's signal has one of its own."""
    return f"{state['edit'] or batch_name(state['stage'], state['round'], state['attempt'])}-checks"


def _before(state: State, context: Context) -> dict[str, Checked]:
    """What the run that this one repeats found in this pass, by candidate; nothing where this is no replay."""
    source = context.directory.repeated
    kept = source.kept(checks_name(state), Checks) if source else None
    return {check.candidate: check for check in kept.checks} if kept else {}


def _refusal(candidate: Candidate, before: Checked | None, context: Context) -> Checked | None:
    """The executor's. One that it did not make before counts only if it makes it time and again."""
    if before is not None and (words := _words(before, "executor")):
        return _checked(candidate.id, "executor", words, before.stage)
    settings, method = context.settings, context.method(candidate.stage)
    try:
        signals = [candidate.signal, *_carried(candidate, context)]
    except SignalError as error:
        return _checked(candidate.id, "executor", error.problems, error.stage)
    failures: list[Failure] = []
    for _ in range(1 if before is None else TRIES):
        failures = []
        for signal in signals:
            failures = failures or context.parts.executor.check(
                signal, settings.task, method.scope, rows=branch_rows(settings)
            )
        if not failures:
            return None
    return _checked(candidate.id, "executor", [failure.message for failure in failures], failures[0].stage)


def _carried(candidate: Candidate, context: Context) -> list[Signal]:
    """As the main run would carry it, where that is more than the candidate itself. Raises SignalError."""
    if not context.method(candidate.stage).adapts:
        return []
    signal = main_run.in_the_main_run(candidate, main_run.read(context, candidate.stage - 1), context)
    return [] if signal == candidate.signal else [signal]


def _twins(found: list[str], before: Checked | None) -> list[str]:
    """What speaks against a candidate's behaviour. It costs a training and no more, so what was said before stands."""
    return found if before is None else _words(before, "rules")


def _words(before: Checked, by: judgement.Refuser) -> list[str]:
    """With which the candidate was refused, if it was, by that one."""
    refused = not before.accepted and before.by == by
    return [printable(problem, LONGEST_PROBLEM) for problem in before.problems] if refused else []


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
