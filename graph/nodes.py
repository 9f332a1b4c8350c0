"""The nine steps of the state machine. Each reads the state, does its work, tells the trace, returns a delta.

A node may run again after a kill, from its top: what it has already put into the run directory (a batch of
proposals, a diagnosis, checks, an evaluation) is read back instead of being made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from marlsmith.agents.client import AnswerError
from marlsmith.graph import judgement
from marlsmith.graph.briefs import code_of, diagnosis_brief, proposal_brief, review_brief, tried
from marlsmith.graph.context import Context
from marlsmith.graph.methods import reward_rows
from marlsmith.graph.naming import batch_name, candidate_ids
from marlsmith.graph.outcome import finished_event
from marlsmith.graph.seeds import confirm_seeds, role_seed, search_seeds
from marlsmith.graph.state import (
    BranchTask,
    Outcome,
    Promotion,
    State,
    confirm_branch,
    control_branch,
)
from marlsmith.graph.trace import (
    Approval,
    Checked,
    Checks,
    Diagnosed,
    Judged,
    Promoted,
    Proposed,
    RepairAsked,
    StageStarted,
    Warned,
    summary,
)
from marlsmith.graph.training_tool import TrainBranch, make_train_branch
from marlsmith.schemas import (
    Candidate,
    Diagnosis,
    Evaluation,
    FailureStage,
    Proposal,
    ProposalBrief,
    Record,
    Verdict,
    plain,
    printable,
)

HISTORY = 8


def start_stage(state: State, runtime: Runtime[Context]) -> State:
    settings, method = runtime.context.settings, runtime.context.settings.method
    stage = state["stage"] + 1
    event = StageStarted(
        stage=stage,
        stages=method.stages,
        rounds=method.rounds,
        search_seeds=search_seeds(settings.seed, stage, method.search_seeds),
        confirm_seeds=confirm_seeds(settings.seed, stage, method.confirm_seeds),
    )
    _tell(runtime, event)
    return {"stage": stage, "round": 1, "phase": "search", "verdict": None, "approved": None}


def diagnose(state: State, runtime: Runtime[Context]) -> State:
    """Opens a round. The critic is asked where the method wants it and there is something to cite."""
    opened: State = {"attempt": 0, "pending": [], "accepted": [], "rejected": {}, "diagnosis": None}
    critic = runtime.context.parts.roles.critic
    if not runtime.context.settings.method.diagnose:
        return opened
    brief = diagnosis_brief(state, runtime.context)
    if not brief.evidence:
        return opened
    try:
        name = f"s{state['stage']}r{state['round']}-diagnosis"
        diagnosis = runtime.context.directory.once(name, Diagnosis, lambda: critic.diagnose(brief))
    except AnswerError as error:
        _warn(state, runtime, f"the critic gave no usable diagnosis, the round goes on without: {error}")
        return opened
    event = Diagnosed(stage=state["stage"], round=state["round"], author=critic.name, diagnosis=diagnosis)
    _tell(runtime, event)
    return {**opened, "diagnosis": plain(diagnosis)}


def propose(state: State, runtime: Runtime[Context]) -> State:
    directory = runtime.context.directory
    name = batch_name(state["stage"], state["round"], state["attempt"])
    batch = directory.batch(name)
    if batch is None:
        candidates, note = _ask_for_candidates(state, runtime.context)
        codes = [code_of(candidate.signal, runtime.context) for candidate in candidates]
        directory.write_batch(name, candidates, codes, note)
    else:
        candidates, note = [directory.candidate(id) for id in batch.candidates], batch.note
    if note is not None:
        _warn(state, runtime, note)
    for candidate in candidates:
        event = Proposed(
            candidate=candidate.id,
            attempt=state["attempt"],
            summary=summary(candidate.signal),
            **candidate.model_dump(exclude={"id", "signal"}),
        )
        _tell(runtime, event)
    ids = [candidate.id for candidate in candidates]
    return {"pending": ids, "proposed": state["proposed"] + ids}


def check(state: State, runtime: Runtime[Context]) -> State:
    """Rules, then the executor's checks, then the validator: the cheapest refusal first.

    What is left in `rejected` is to be repaired in one more pass; the router needs to know no more.
    """
    name = f"{batch_name(state['stage'], state['round'], state['attempt'])}-checks"
    directory = runtime.context.directory
    checks = directory.once(name, Checks, lambda: Checks(checks=_check_all(state["pending"], state, runtime))).checks
    for event in checks:
        _tell(runtime, event)
    accepted = state["accepted"] + [event.candidate for event in checks if event.accepted]
    rejected = {event.candidate: list(event.problems) for event in checks if not event.accepted}
    repairs, attempt = runtime.context.settings.method.repairs, state["attempt"] + 1
    if not rejected or attempt > repairs:
        return {"pending": [], "accepted": accepted, "rejected": {}}
    place = {"stage": state["stage"], "round": state["round"], "attempt": attempt}
    _tell(runtime, RepairAsked(**place, repairs=repairs, candidates=tuple(rejected)))
    return {"pending": [], "accepted": accepted, "rejected": rejected, "attempt": attempt}


def branch(state: BranchTask, runtime: Runtime[Context]) -> State:
    """One training, as a tool call. Failures come back as data: siblings go on."""
    settings, method = runtime.context.settings, runtime.context.settings.method
    if state["phase"] == "search":
        seeds = search_seeds(settings.seed, state["stage"], method.search_seeds)
    else:
        seeds = confirm_seeds(settings.seed, state["stage"], method.confirm_seeds)
    arguments = TrainBranch(
        branch=state["branch"],
        candidate=state["candidate"],
        task=settings.task,
        seeds=list(seeds),
        steps=settings.train.steps,
        algorithm=settings.train.algorithm,
        reward_mode=method.reward_mode,
    )
    tool = make_train_branch(runtime.context, lambda event: _tell(runtime, event))
    evaluation = Evaluation.model_validate(tool.invoke(arguments.model_dump()))
    failure = evaluation.error
    outcome = Outcome(
        candidate=state["candidate"],
        stage=state["stage"],
        phase=state["phase"],
        score=evaluation.score,
        error=f"{failure.stage}: {failure.message}" if failure is not None else None,
    )
    return {"evaluated": {state["branch"]: outcome}}


def judge(state: State, runtime: Runtime[Context]) -> State:
    delta = _judge_search(state, runtime) if state["phase"] == "search" else _judge_confirm(state, runtime)
    event = Judged(
        stage=state["stage"],
        round=state["round"],
        phase=state["phase"],
        verdict=Verdict.model_validate(delta["verdict"]),
        population=tuple(delta.get("population", state["population"])),
    )
    _tell(runtime, event)
    return delta


def approve(state: State, runtime: Runtime[Context]) -> State:
    """A person's yes or no. The node restarts from its top with the answer, so nothing stands before it."""
    verdict = Verdict.model_validate(state["verdict"])
    assert verdict.candidate is not None
    question = Approval(stage=state["stage"], candidate=verdict.candidate, status="asked", verdict=verdict)
    approved = bool(interrupt(plain(question))["approve"])
    _tell(runtime, question.model_copy(update={"status": "approved" if approved else "refused"}))
    return {"approved": approved}


def promote(state: State, runtime: Runtime[Context]) -> State:
    verdict = Verdict.model_validate(state["verdict"])
    assert verdict.candidate is not None
    assert verdict.gain is not None
    directory, stage = runtime.context.directory, state["stage"]
    candidate = directory.candidate(verdict.candidate)
    evaluation = directory.required_evaluation(confirm_branch(candidate.id))
    directory.promote(candidate, code_of(candidate.signal, runtime.context), evaluation)
    _tell(runtime, Promoted(stage=stage, candidate=candidate.id, gain=verdict.gain))
    return {"promotion": Promotion(candidate=candidate.id, stage=stage, gain=verdict.gain)}


def finish(state: State, runtime: Runtime[Context]) -> State:
    _tell(runtime, finished_event(state, runtime.context))
    return {"finished": True}


# ---------------------------------------------------------------- propose


def _ask_for_candidates(state: State, context: Context) -> tuple[list[Candidate], str | None]:
    """The generator's proposals as candidates, and a note where there was something to note."""
    brief = proposal_brief(state, context)
    generator = context.parts.roles.generator
    try:
        proposals = generator.propose(brief)
    except AnswerError as error:
        return [], f"{generator.name} gave no usable proposal: {printable(str(error), 300)}"
    note = None
    if len(proposals) > brief.count:
        note = f"{generator.name} proposed {len(proposals)} signals for {brief.count}: the rest was dropped"
    elif not proposals:
        note = f"{generator.name} proposed nothing"
    elif len(proposals) < brief.count:
        note = f"{generator.name} gave {len(proposals)} usable proposals of {brief.count}"
    proposals = proposals[: brief.count]
    ids = candidate_ids(brief, proposals)
    return [_candidate(id, p, brief, generator.name) for id, p in zip(ids, proposals, strict=True)], note


def _candidate(id: str, proposal: Proposal, brief: ProposalBrief, author: str) -> Candidate:
    """Only parents that the generator was shown count as parents."""
    known = {elite.candidate.id for elite in brief.elites} | {r.candidate.id for r in brief.rejected}
    return Candidate(
        id=id,
        stage=brief.stage,
        round=brief.round,
        author=author,
        kind=proposal.kind,
        parents=tuple(parent for parent in proposal.parents if parent in known),
        rationale=proposal.rationale,
        signal=proposal.signal,
    )


# ---------------------------------------------------------------- check


def _check_all(ids: Sequence[str], state: State, runtime: Runtime[Context]) -> tuple[Checked, ...]:
    context = runtime.context
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
            checks[candidate.id] = _review(candidate, state, runtime)
    return tuple(checks[id] for id in ids)


def _review(candidate: Candidate, state: State, runtime: Runtime[Context]) -> Checked:
    """A validator that cannot answer must not stop a sound candidate: the training will judge it."""
    validator = runtime.context.parts.roles.validator
    try:
        review = validator.review(review_brief(candidate, state, runtime.context))
    except AnswerError as error:
        _warn(state, runtime, f"{validator.name} gave no usable review of {candidate.id}, which passes: {error}")
        return Checked(candidate=candidate.id, accepted=True)
    if review.approve:
        return Checked(candidate=candidate.id, accepted=True, reasons=review.reasons)
    return _checked(candidate.id, "validator", review.reasons or (f"{validator.name} gave no reason",))


def _checked(id: str, by: judgement.Refuser, problems: Sequence[str], stage: FailureStage | None = None) -> Checked:
    return Checked(candidate=id, accepted=False, by=by, stage=stage, problems=tuple(problems))


# ---------------------------------------------------------------- judge


def _judge_search(state: State, runtime: Runtime[Context]) -> State:
    """(mu + lambda): parents and this round's candidates compete for the population."""
    settings, method = runtime.context.settings, runtime.context.settings.method
    strengths = judgement.strengths(state["evaluated"])
    pool = {id: strengths[id] for id in (*state["population"], *state["accepted"]) if id in strengths}
    seed = role_seed(settings.seed, state["stage"], state["round"])
    population = judgement.select(pool, method.population, method.selection, seed)
    last_round = state["round"] >= method.rounds
    verdict = judgement.search_verdict(strengths, list(state["finalists"]), last_round)
    delta: State = {
        "population": population,
        "verdict": plain(verdict),
        "history": [*state["history"], *_history(state, strengths)][-HISTORY:],
    }
    if verdict.decision == "refine":
        delta["round"] = state["round"] + 1
    elif verdict.decision == "confirm":
        assert verdict.candidate is not None
        delta["phase"] = "confirm"
        delta["finalists"] = {**state["finalists"], verdict.candidate: state["stage"]}
    return delta


def _judge_confirm(state: State, runtime: Runtime[Context]) -> State:
    directory = runtime.context.directory
    verdict = Verdict.model_validate(state["verdict"])
    assert verdict.candidate is not None
    candidate = directory.required_evaluation(confirm_branch(verdict.candidate))
    control = directory.required_evaluation(confirm_branch(control_branch(state["stage"])))
    promotion = state["promotion"]
    promoted_gain = promotion["gain"] if promotion is not None else None
    confirmed = judgement.confirm_verdict(candidate, control, runtime.context.settings.method, promoted_gain)
    return {"verdict": plain(confirmed)}


def _history(state: State, strengths: judgement.Strengths) -> list[str]:
    """The round's diagnosis and what came of it, in a line for the next diagnosis."""
    if state["diagnosis"] is None:
        return []
    diagnosis = Diagnosis.model_validate(state["diagnosis"])
    named = ", ".join(finding.failure for finding in diagnosis.findings) or "nothing"
    tried_now = {id: strengths[id] for id in state["accepted"] if id in strengths}
    best = judgement.ranked(tried_now)
    came = f"best was {best[0]}, gain {tried_now[best[0]]:+.4g}" if best else "no candidate was scored"
    return [f"stage {state['stage']} round {state['round']}: found {named}; {came}"]


# ---------------------------------------------------------------- telling


def _tell(runtime: Runtime[Context], event: Record) -> None:
    """Recorded first: what a checkpoint follows from must not be lost with the process."""
    runtime.stream_writer(runtime.context.journal.record(plain(event)))


def _warn(state: State, runtime: Runtime[Context], message: str) -> None:
    _tell(runtime, Warned(stage=state["stage"], round=state["round"], message=printable(message, 400)))
