"""The nine steps of the state machine. Each reads the state, does its work, tells the trace, returns a delta.

A node may run again after a kill, from its top: what it has already put into the run directory (a batch of
proposals, a diagnosis, checks, an evaluation) is read back instead of being made anew.
"""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from marlsmith.agents.critic import grounded
from marlsmith.graph import judgement
from marlsmith.graph.admission import check_all, checks_name
from marlsmith.graph.briefs import code_of, diagnosis_brief
from marlsmith.graph.context import Context
from marlsmith.graph.naming import batch_name
from marlsmith.graph.outcome import finished_event
from marlsmith.graph.promotion import second_opinion, vetoed
from marlsmith.graph.proposing import ask_for_candidates, shares, unanswered
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
    Allotted,
    Approval,
    Checks,
    Diagnosed,
    Judged,
    Promoted,
    Proposed,
    RepairAsked,
    RoleTool,
    StageStarted,
    Warned,
    summary,
)
from marlsmith.graph.training_tool import TrainBranch, make_train_branch
from marlsmith.schemas import (
    AnswerError,
    Diagnosis,
    Evaluation,
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
        diagnosis = runtime.context.directory.once(
            name, Diagnosis, lambda: grounded(critic.diagnose(brief), brief.evidence)[0]
        )
    except AnswerError as error:
        _warn(state, runtime, f"the critic gave no usable diagnosis, the round goes on without: {error}")
        return opened
    event = Diagnosed(stage=state["stage"], round=state["round"], author=critic.name, diagnosis=diagnosis)
    _tell(runtime, event)
    return {**opened, "diagnosis": plain(diagnosis.model_copy(update={"dropped": ()}))}


def propose(state: State, runtime: Runtime[Context]) -> State:
    directory = runtime.context.directory
    given = shares(state, runtime.context)
    if given:
        _tell(runtime, Allotted(stage=state["stage"], round=state["round"], shares=given))
    name = batch_name(state["stage"], state["round"], state["attempt"])
    batch = directory.batch(name)
    if batch is None:
        with runtime.context.parts.heard(lambda use: _tell(runtime, RoleTool(**dict(use)))):
            candidates, notes = ask_for_candidates(state, runtime.context, given)
        codes = [code_of(candidate.signal, runtime.context) for candidate in candidates]
        directory.write_batch(name, candidates, codes, "\n".join(notes) or None)
    else:
        candidates, notes = [directory.candidate(id) for id in batch.candidates], (batch.note or "").splitlines()
    for note in notes:
        _warn(state, runtime, note)
    for candidate in candidates:
        event = Proposed(
            candidate=candidate.id,
            attempt=state["attempt"],
            own_tokens=candidate.tokens,
            own_money=candidate.money,
            summary=summary(candidate.signal),
            **candidate.model_dump(exclude={"id", "signal", "tokens", "money"}),
        )
        _tell(runtime, event)
    ids = [candidate.id for candidate in candidates]
    return {
        "pending": ids,
        "proposed": state["proposed"] + ids,
        "unanswered": unanswered(state, runtime.context, given, candidates),
    }


def check(state: State, runtime: Runtime[Context]) -> State:
    """Rules, then the executor's checks, then the validator: the cheapest refusal first.

    What is left in `rejected` is to be repaired in one more pass; the router needs to know no more.
    """
    name, context = checks_name(state["stage"], state["round"], state["attempt"]), runtime.context

    def examine() -> Checks:
        said = check_all(state["pending"], state, context, lambda sentence: _warn(state, runtime, sentence))
        return Checks(checks=said)

    checks = context.directory.once(name, Checks, examine).checks
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
    if confirmed.decision == "accept":
        confirmed = _reviewed(confirmed, state, runtime)
    return {"verdict": plain(confirmed)}


def _reviewed(verdict: Verdict, state: State, runtime: Runtime[Context]) -> Verdict:
    """The validator may veto what the statistics accept; what they refuse it is not asked about."""
    try:
        event = second_opinion(verdict, state, runtime.context)
    except AnswerError as error:
        _warn(state, runtime, f"the validator gave no usable review of the promotion, which goes on: {error}")
        return verdict
    if event is None:
        return verdict
    _tell(runtime, event)
    return verdict if event.approve else vetoed(verdict, event)


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
