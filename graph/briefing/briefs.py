"""What each role is told, gathered from the state's ids and the bodies in the run directory."""

from __future__ import annotations

import math

from marlsmith.graph.adapting import branches, main_run
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.briefing.evidence import evidence, main_evidence
from marlsmith.graph.briefing.history import PROMOTED
from marlsmith.graph.context import Context
from marlsmith.graph.judging.judgement import strengths
from marlsmith.graph.naming import control_branch
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import CONTROL_ID, NATIVE_ID, State
from marlsmith.graph.telling.trace import summary
from marlsmith.schemas import (
    Candidate,
    Diagnosis,
    DiagnosisBrief,
    Elite,
    Evaluation,
    MainRun,
    ProposalBrief,
    Refused,
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
    settings, method = context.settings, context.method(state["stage"])
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
        tried=tuple(tried(proposed_before(None, state, context), context)),
        past=_past(state, context),
        main=main_brief(state, context),
        incumbent=incumbent_elite(state, context),
        refused=_refused(state, context),
        seed=role_seed(settings.seed, state["stage"], state["round"], state["attempt"]),
    )


def diagnosis_brief(state: State, context: Context) -> DiagnosisBrief:
    parents, standing = elites(state, context), control(state, context)
    evaluations = [elite.evaluation for elite in parents]
    if context.method(state["stage"]).adapts:
        laps = main_run.laps(context, state["stage"] - 1)
        tried_now = [elite.evaluation for elite in _refused(state, context)]
        table = main_evidence([lap.evaluation for lap in laps], laps[-1].candidate, standing, tried_now)
    else:
        table = evidence(standing, evaluations)
    return DiagnosisBrief(
        task=context.parts.card,
        stage=state["stage"],
        round=state["round"],
        evidence=table,
        elites=parents,
        history=tuple(state["history"]),
        main=main_brief(state, context),
        incumbent=incumbent_elite(state, context),
    )


def review_brief(candidate: Candidate, state: State, context: Context) -> ReviewBrief:
    method = context.method(state["stage"])
    return ReviewBrief(
        task=context.parts.card,
        candidate=candidate,
        code=code_of(candidate.signal, context),
        scope=method.scope,
        reward_mode=method.reward_mode,
        tried=tuple(tried(proposed_before(candidate.id, state, context), context)),
    )


def elites(state: State, context: Context) -> tuple[Elite, ...]:
    """The population, best first, behind the incumbent where a main run has one. A search branch bears the id."""
    carried = incumbent_elite(state, context)
    found = [] if carried is None else [carried]
    for id in state["population"]:
        candidate, evaluation = context.directory.candidate(id), context.directory.required_evaluation(id)
        code = code_of(candidate.signal, context)
        found.append(Elite(candidate=candidate, code=code, evaluation=evaluation))
    return tuple(found)


def incumbent(state: State, context: Context) -> Lap | None:
    """The main run as this stage found it; None where all is trained from scratch."""
    if not context.method(state["stage"]).adapts:
        return None
    return main_run.read(context, state["stage"] - 1)


def incumbent_elite(state: State, context: Context) -> Elite | None:
    """The signal that the main run carries, as it carries it, with what has come of it so far."""
    lap = incumbent(state, context)
    if lap is None or lap.candidate == NATIVE_ID:
        return None
    candidate = context.directory.candidate(lap.candidate).model_copy(update={"signal": lap.signal})
    evaluation = lap.evaluation.model_copy(update={"candidate": lap.candidate})
    return Elite(candidate=candidate, code=code_of(lap.signal, context), evaluation=evaluation)


def main_brief(state: State, context: Context) -> MainRun | None:
    lap = incumbent(state, context)
    if lap is None:
        return None
    method = context.settings.method
    return MainRun(
        stages=method.stages,
        steps=lap.steps,
        until=branches.end_of(method.all_stages, context),
        branch_steps=method.branch_steps,
        fade=method.fade,
        evaluation=lap.evaluation,
    )


def _refused(state: State, context: Context) -> tuple[Refused, ...]:
    """Of this stage, the best first."""
    refusals = state["refusals"]
    order = sorted(refusals, key=lambda id: (refusals[id]["gain"] is None, -(refusals[id]["gain"] or 0.0), id))
    found = []
    for id in order:
        candidate = context.directory.candidate(id)
        evaluation = context.directory.required_evaluation(id)
        code = code_of(candidate.signal, context)
        found.append(Refused(candidate=candidate, code=code, evaluation=evaluation, **refusals[id]))
    return tuple(found)


def proposed_before(id: str | None, state: State, context: Context) -> list[str]:
    """Candidates that count as tried before this one, None: before any that is to come.

    Of an adapted main run those of the stage: from another checkpoint the same may help.
    """
    earlier = state["proposed"][: state["proposed"].index(id)] if id is not None else state["proposed"]
    if not context.method(state["stage"]).adapts:
        return earlier
    return [each for each in earlier if context.directory.candidate(each).stage == state["stage"]]


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
            came=_came(id, state),
        )
        entries.append(entry)
    return tuple(entries[-PAST_LINES:])


def _came(id: str, state: State) -> str | None:
    promotion, refusal = state["promotion"], state["refusals"].get(id)
    if promotion is not None and promotion["candidate"] == id:
        return PROMOTED
    return f"refused: {printable(refusal['reason'], PAST_LENGTH)}" if refusal is not None else None


def code_of(signal: Signal, context: Context) -> str:
    """The signal as code; a signal that does not fit the task has none, and its check will say so."""
    try:
        return context.parts.signal_to_code(signal, context.parts.card)
    except SignalError as error:
        return f"# This signal cannot be printed as code: {error}\n"


def _failed(state: State, context: Context) -> tuple[Rejection, ...]:
    failed = [
        outcome
        for outcome in state["evaluated"].values()
        if outcome["error"] is not None
        and outcome["stage"] == state["stage"]
        and outcome["phase"] != "heat"
        and outcome["candidate"] not in (NATIVE_ID, CONTROL_ID)
    ]
    return tuple(
        Rejection(candidate=context.directory.candidate(outcome["candidate"]), problems=(outcome["error"] or "",))
        for outcome in failed
    )
