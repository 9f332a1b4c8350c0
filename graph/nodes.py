"""The ten steps of the state machine. Each reads the state, does its work, tells the trace, returns a delta.

A node may run again after a kill, from its top: what it has already put into the run directory (a batch of
proposals, a diagnosis, checks, an evaluation) is read back instead of being made anew.
"""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from marlsmith.agents.critic import grounded
from marlsmith.graph import evolving
from marlsmith.graph.adapting import judge as adapting
from marlsmith.graph.adapting import orders
from marlsmith.graph.adapting.advance import advance as main_run_after
from marlsmith.graph.adapting.advance import begin
from marlsmith.graph.adapting.branches import members, rests
from marlsmith.graph.adapting.comparison import comparison
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.approving import approval
from marlsmith.graph.approving.approval import Answer
from marlsmith.graph.approving.second_opinion import second_opinion, vetoed
from marlsmith.graph.briefing.attempts import told_later
from marlsmith.graph.briefing.briefs import code_of, diagnosis_brief
from marlsmith.graph.briefing.history import rollback_line
from marlsmith.graph.context import Context
from marlsmith.graph.naming import batch_name, confirm_branch
from marlsmith.graph.outcome import finished_event
from marlsmith.graph.proposing.admission import check_all, checks_name
from marlsmith.graph.proposing.round import ask_for_candidates, shares, unanswered
from marlsmith.graph.seeds import confirm_seeds, search_seeds
from marlsmith.graph.state import (
    NATIVE_ID,
    BranchTask,
    Outcome,
    Promotion,
    State,
)
from marlsmith.graph.telling.trace import (
    Advanced,
    Allotted,
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
from marlsmith.graph.training_tool import make_train_branch
from marlsmith.schemas import (
    AnswerError,
    Candidate,
    Diagnosis,
    Evaluation,
    Record,
    Verdict,
    plain,
    printable,
)

HISTORY = 8


def start_stage(state: State, runtime: Runtime[Context]) -> State:
    stage, context = state["stage"] + 1, runtime.context
    opened = State(stage=stage, round=1, phase="search", verdict=None, approved=None)
    if context.method(stage).adapts:
        opened |= State(population=[], refusals={})
        if stage - 1 == context.settings.method.opening:
            _begin(state, runtime)
    _tell(runtime, _stage_started(stage, context))
    return opened


def _stage_started(stage: int, context: Context) -> StageStarted:
    settings, method = context.settings, context.method(stage)
    if method.adapts:
        seeds = again = tuple(seed for group in members(context) for seed in group)
    else:
        seeds = search_seeds(settings.seed, stage, method.search_seeds)
        again = confirm_seeds(settings.seed, stage, method.confirm_seeds)
    stages = settings.method.all_stages
    return StageStarted(
        stage=stage,
        stages=stages,
        rounds=method.rounds,
        search_seeds=seeds,
        confirm_seeds=again,
        rests=rests(stage, context),
    )


def _begin(state: State, runtime: Runtime[Context]) -> None:
    """The main run's start: networks that have learned nothing yet, scored as every later lap will be."""
    context, promotion = runtime.context, state["promotion"]
    tool = make_train_branch(context, lambda event: _tell(runtime, event))
    for heat in range(1, len(members(context)) + 1):
        tool.invoke(orders.beginning(heat, context).model_dump())
    lap = begin(context, promotion["candidate"] if promotion is not None else NATIVE_ID)
    _tell(runtime, _advanced(lap))


def diagnose(state: State, runtime: Runtime[Context]) -> State:
    """Opens a round. The critic is asked where the method wants it and there is something to cite."""
    opened = State(attempt=0, pending=[], accepted=[], rejected={}, diagnosis=None)
    opened |= State(heat=1, racing=[], dropped={}, audited=[])
    critic, method = runtime.context.parts.roles.critic, runtime.context.method(state["stage"])
    if not method.diagnose or rests(state["stage"], runtime.context):
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
    if rests(state["stage"], runtime.context):
        return {"pending": []}
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
        _tell(runtime, _proposed(candidate, state["attempt"]))
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
    name, context = checks_name(state), runtime.context

    def examine() -> Checks:
        said = check_all(state["pending"], state, context, lambda sentence: _warn(state, runtime, sentence))
        return Checks(checks=said)

    checks = context.directory.once(name, Checks, examine).checks
    for event in checks:
        _tell(runtime, event)
    accepted = state["accepted"] + [event.candidate for event in checks if event.accepted]
    rejected = {event.candidate: list(event.problems) for event in checks if not event.accepted}
    if state["edit"] in rejected:  # it is the person's to mend
        return {"pending": [], **approval.asked_again(state)}
    repairs, attempt = runtime.context.method(state["stage"]).repairs, state["attempt"] + 1
    if not rejected or attempt > repairs:
        return {"pending": [], "accepted": accepted, "rejected": {}}
    place = {"stage": state["stage"], "round": state["round"], "attempt": attempt}
    _tell(runtime, RepairAsked(**place, repairs=repairs, candidates=tuple(rejected)))
    return {"pending": [], "accepted": accepted, "rejected": rejected, "attempt": attempt}


def branch(state: BranchTask, runtime: Runtime[Context]) -> State:
    """One training, as a tool call. Failures come back as data: siblings go on."""
    context = runtime.context
    adapts = context.method(state["stage"]).adapts
    arguments = (orders if adapts else evolving).arguments(state, context)
    tool = make_train_branch(context, lambda event: _tell(runtime, event))
    evaluation = Evaluation.model_validate(tool.invoke(arguments.model_dump()))
    failure = evaluation.error
    outcome = Outcome(
        candidate=state["candidate"],
        stage=state["stage"],
        phase="heat" if adapts else state["phase"],
        score=evaluation.score,
        error=f"{failure.stage}: {failure.message}" if failure is not None else None,
    )
    return {"evaluated": {state["branch"]: outcome}}


def judge(state: State, runtime: Runtime[Context]) -> State:
    context = runtime.context
    if state["phase"] == "plain":
        return {}
    room = adapting if context.method(state["stage"]).adapts else evolving
    edit = state["edit"]
    if state["phase"] == "search":
        delta = room.judge_search(state, context) if edit is None else room.judge_edit(edit, state, context)
    else:
        delta = room.judge_confirmation(state, context)
    verdict = Verdict.model_validate(delta["verdict"])
    if verdict.decision == "accept" and context.method(state["stage"]).gate:
        reviewed = _reviewed(verdict, state, runtime)
        if reviewed.decision != "accept" and room is adapting:
            delta |= adapting.refused(reviewed, state, context)
        else:
            delta["verdict"] = plain(reviewed)
    event = Judged(
        stage=state["stage"],
        round=state["round"],
        heat=state["heat"],
        phase=state["phase"],
        verdict=Verdict.model_validate(delta["verdict"]),
        population=tuple(delta.get("population", state["population"])),
        edit=edit,
        **(comparison(state, delta, context) if room is adapting else {}),
    )
    _tell(runtime, event)
    if edit is not None:
        delta = approval.after_a_trial(state, delta)
    asks = (delta["verdict"] or {})["decision"] == "accept" and context.method(state["stage"]).approve
    lines = [] if asks else told_later(state, delta, context)  # else the answer will tell
    return {**delta, "history": [*state["history"], *lines][-HISTORY:]}


def approve(state: State, runtime: Runtime[Context]) -> State:
    """A person's word. The node restarts from its top with the answer: what stands before it only reads."""
    context = runtime.context
    asked = approval.question(state, context)
    answer = Answer.model_validate(interrupt(plain(asked)))
    delta, edit = approval.answered(answer, asked, state, context)
    _tell(runtime, approval.told(answer, asked, edit))
    if edit is not None:
        _tell(runtime, _proposed(edit, 0))
    if delta["approved"] is None:  # the round goes on
        return delta
    lines = [*told_later(state, delta, context), *approval.history_lines(answer, asked, state)]
    return {**delta, "history": [*state["history"], *lines][-HISTORY:]}


def promote(state: State, runtime: Runtime[Context]) -> State:
    verdict, stage = Verdict.model_validate(state["verdict"]), state["stage"]
    assert verdict.candidate is not None
    directory = runtime.context.directory
    candidate = directory.candidate(verdict.candidate)
    if not runtime.context.method(stage).adapts:
        evaluation = directory.required_evaluation(confirm_branch(candidate.id))
        directory.promote(candidate, code_of(candidate.signal, runtime.context), evaluation)
    _tell(runtime, Promoted(stage=stage, candidate=candidate.id, gain=verdict.gain))
    return {"promotion": Promotion(candidate=candidate.id, stage=stage, gain=verdict.gain)}


def advance(state: State, runtime: Runtime[Context]) -> State:
    """The main run becomes the branch that was chosen, the control where none was."""
    lap = main_run_after(state, runtime.context)
    _tell(runtime, _advanced(lap))
    history = state["history"]
    if lap.alarm is not None and lap.rolled_back_to is not None:
        history = [*history, rollback_line(lap.stage, lap.rolled_back_to, lap.alarm)][-HISTORY:]
    delta = State(history=history)
    return {**delta, "phase": "plain"} if state["stage"] == runtime.context.settings.method.all_stages else delta


def finish(state: State, runtime: Runtime[Context]) -> State:
    _tell(runtime, finished_event(state, runtime.context))
    return {"finished": True}


# ---------------------------------------------------------------- judging


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


# ---------------------------------------------------------------- telling


def _advanced(lap: Lap) -> Advanced:
    told = lap.evaluation.model_dump(include={"score", "scores", "interval", "metrics"})
    kept = {name: getattr(lap, name) for name in ("stage", "steps", "branch", "candidate", "alarm", "rolled_back_to")}
    return Advanced.model_validate({**kept, **told})


def _proposed(candidate: Candidate, attempt: int) -> Proposed:
    return Proposed(
        candidate=candidate.id,
        attempt=attempt,
        own_tokens=candidate.tokens,
        own_money=candidate.money,
        summary=summary(candidate.signal),
        **candidate.model_dump(exclude={"id", "signal", "tokens", "money"}),
    )


def _tell(runtime: Runtime[Context], event: Record) -> None:
    """Recorded first: what a checkpoint follows from must not be lost with the process."""
    runtime.stream_writer(runtime.context.journal.record(plain(event)))


def _warn(state: State, runtime: Runtime[Context], message: str) -> None:
    _tell(runtime, Warned(stage=state["stage"], round=state["round"], message=printable(message, 400)))
