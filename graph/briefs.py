"""What each role is told, gathered from the state's ids and the bodies in the run directory."""

from __future__ import annotations

import math

from marlsmith.graph.context import Context
from marlsmith.graph.evidence import evidence
from marlsmith.graph.judgement import strengths
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import NATIVE_ID, State, control_branch
from marlsmith.graph.trace import summary
from marlsmith.schemas import (
    Candidate,
    Diagnosis,
    DiagnosisBrief,
    Elite,
    Evaluation,
    ProposalBrief,
    Rejection,
    ReviewBrief,
    Signal,
    SignalError,
    Tried,
    canonical,
    printable,
)

PAST_LINES = 40
PAST_LENGTH = 160
"""Characters of what is said of one candidate."""


def proposal_brief(state: State, context: Context) -> ProposalBrief:
    settings, method = context.settings, context.settings.method
    rejected = tuple(
        Rejection(candidate=context.directory.candidate(id), problems=tuple(problems))
        for id, problems in state["rejected"].items()
    )
    diagnosis = state["diagnosis"]
    return ProposalBrief(
        task=context.parts.card,
        count=len(rejected) or method.candidates,
        evolve=method.evolve,
        scope=method.scope,
        signals=method.signals,
        reward_mode=method.reward_mode,
        stage=state["stage"],
        round=state["round"],
        attempt=state["attempt"],
        elites=elites(state, context),
        control=control(state, context),
        failed=_failed(state, context),
        rejected=rejected,
        diagnosis=Diagnosis.model_validate(diagnosis) if diagnosis else None,
        tried=tuple(tried(state["proposed"], context)),
        past=_past(state, context),
        seed=role_seed(settings.seed, state["stage"], state["round"], state["attempt"]),
    )


def diagnosis_brief(state: State, context: Context) -> DiagnosisBrief:
    parents = elites(state, context)
    return DiagnosisBrief(
        task=context.parts.card,
        stage=state["stage"],
        round=state["round"],
        evidence=evidence(control(state, context), [elite.evaluation for elite in parents]),
        elites=parents,
        history=tuple(state["history"]),
    )


def review_brief(candidate: Candidate, state: State, context: Context) -> ReviewBrief:
    earlier = state["proposed"][: state["proposed"].index(candidate.id)]
    return ReviewBrief(
        task=context.parts.card,
        candidate=candidate,
        code=code_of(candidate.signal, context),
        scope=context.settings.method.scope,
        reward_mode=context.settings.method.reward_mode,
        tried=tuple(tried(earlier, context)),
    )


def elites(state: State, context: Context) -> tuple[Elite, ...]:
    """The population, best first. A candidate's search branch bears its id."""
    found = []
    for id in state["population"]:
        candidate, evaluation = context.directory.candidate(id), context.directory.required_evaluation(id)
        code = code_of(candidate.signal, context)
        found.append(Elite(candidate=candidate, code=code, evaluation=evaluation))
    return tuple(found)


def control(state: State, context: Context) -> Evaluation | None:
    """The stage's control, where it was trained and did not fail."""
    return scored(state, context, control_branch(state["stage"]))


def scored(state: State, context: Context, branch: str) -> Evaluation | None:
    """The branch's evaluation, None where it was never trained or failed."""
    outcome = state["evaluated"].get(branch)
    return context.directory.required_evaluation(branch) if outcome is not None and outcome["error"] is None else None


def tried(ids: list[str], context: Context) -> dict[str, str]:
    """Canonical text of each signal -> the first candidate that proposed it."""
    texts: dict[str, str] = {}
    for id in ids:
        texts.setdefault(canonical(context.directory.candidate(id).signal), id)
    return texts


def _past(state: State, context: Context) -> tuple[Tried, ...]:
    """The run's candidates in a line each: what was tried, what was refused and why, how the best changed."""
    gains = strengths(state["evaluated"])
    refusals = {
        event["candidate"]: f"refused by the {event['by']}: {'; '.join(event['problems'])}"
        for event in context.directory.events()
        if event["event"] == "check" and not event["accepted"]
    }
    entries: list[Tried] = []
    best = -math.inf
    for id in state["proposed"]:
        candidate, outcome, gain = context.directory.candidate(id), state["evaluated"].get(id), gains.get(id)
        leads = gain is not None and gain > best
        best = max(best, -math.inf if gain is None else gain)
        refused = f"failed: {outcome['error']}" if outcome and outcome["error"] else refusals.get(id)
        entry = Tried(
            id=id,
            kind=candidate.kind,
            parents=candidate.parents,
            summary=printable(f"{summary(candidate.signal)}. {candidate.rationale}", PAST_LENGTH),
            score=outcome["score"] if outcome else None,
            gain=gain,
            leads=leads,
            refused=printable(refused, PAST_LENGTH) if refused else None,
        )
        entries.append(entry)
    return tuple(entries[-PAST_LINES:])


def code_of(signal: Signal, context: Context) -> str:
    """The signal as code; a signal that does not fit the task has none, and its check will say so."""
    try:
        return context.parts.signal_to_code(signal, context.parts.card)
    except SignalError as error:
        return f"# This signal cannot be printed as code: {error}\n"


def _failed(state: State, context: Context) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(candidate=context.directory.candidate(outcome["candidate"]), problems=(outcome["error"],))
        for outcome in state["evaluated"].values()
        if outcome["error"] is not None and outcome["stage"] == state["stage"] and outcome["candidate"] != NATIVE_ID
    )
