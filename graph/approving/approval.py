"""A person's word on a promotion: the question with its grounds, the answer, and what comes of it.

Each question is about one candidate. A person may answer it with a signal of their own, which is then checked,
trained and judged like any other: the question stands again once that has failed, and is asked about the new one
where it has passed. So nothing that the statistics accept is lost by trying something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from marlsmith.graph.adapting import judge as adapting
from marlsmith.graph.adapting import main_run
from marlsmith.graph.approving.case import Comparison, Cost
from marlsmith.graph.briefing.briefs import code_of, incumbent
from marlsmith.graph.briefing.history import LONGEST_LINE
from marlsmith.graph.context import Context
from marlsmith.graph.judging.comparing import comparison
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_id, edit_of
from marlsmith.graph.outcome import environment_steps
from marlsmith.graph.state import Question, Refusal, State
from marlsmith.graph.telling.trace import Approval
from marlsmith.schemas import Candidate, CurvePoint, Evaluation, Record, Signal, Verdict, plain, printable

PERSON = "person"
"""The author of what is tried in the place of a candidate."""
LONGEST_REASON = 400


class Answer(Record):
    """`yes` promotes, `no` refuses, `edit` has the person's own signal tried first."""

    decision: Literal["yes", "no", "edit"]
    reason: str = Field("", description="in the person's words; critic and generator are told those of a no")
    signal: Signal | None = Field(None, description="of an edit")

    @model_validator(mode="after")
    def _signal_of_an_edit(self) -> Answer:
        if (self.decision == "edit") != (self.signal is not None):
            raise ValueError("an edit, and nothing else, brings a signal")
        return self


def answer_name(question: Mapping[str, Any]) -> str:
    """Under which the answer is kept, from before the run acts on it."""
    return f"{question['candidate']}-answer{question['asking']}"


# ---------------------------------------------------------------- the question


def question(state: State, context: Context) -> Approval:
    """JSON-plain once it is dumped: it may wait on disk for long."""
    verdict = Verdict.model_validate(state["verdict"])
    assert verdict.candidate is not None
    candidate = context.directory.candidate(verdict.candidate)
    code, before = _codes(candidate, state, context)
    search, confirm = _pair(candidate.id, False, state, context), _pair(candidate.id, True, state, context)
    return Approval.model_validate(
        {
            "stage": state["stage"],
            "candidate": candidate.id,
            "asking": _asking(candidate.id, state, context),
            "status": "asked",
            "verdict": verdict,
            "waiting": state["questions"][-1]["verdict"]["candidate"] if state["questions"] else None,
            "diagnosis": state["diagnosis"],
            "rationale": candidate.rationale,
            "code": code,
            "before": before,
            "curves": _curves(*(confirm if _curves(*confirm) else search)),
            "search": _compared(*search, context),
            "confirm": _compared(*confirm, context),
            "cost": _cost(state, context),
        }
    )


def _asking(id: str, state: State, context: Context) -> int:
    """Which time it is, from 1: the question stands again after each edit."""
    edits = [context.directory.candidate(each) for each in state["proposed"] if edit_of(each)]
    return 1 + sum(id in edit.parents for edit in edits)


def _codes(candidate: Candidate, state: State, context: Context) -> tuple[str, str]:
    """The signal as it would be promoted, and the one that it would replace, none where that is native."""
    lap, promotion = incumbent(state, context), state["promotion"]
    if lap is not None:
        before = "" if lap.signal.is_native else code_of(lap.signal, context)
        return code_of(main_run.in_the_main_run(candidate, lap, context), context), before
    replaced = context.directory.candidate(promotion["candidate"]).signal if promotion is not None else None
    return code_of(candidate.signal, context), code_of(replaced, context) if replaced is not None else ""


Pair = tuple[Evaluation | None, Evaluation | None]
"""Candidate and control, where they were trained."""


def _pair(id: str, confirms: bool, state: State, context: Context) -> Pair:
    stage, evaluation = state["stage"], context.directory.evaluation
    if not confirms:
        return evaluation(id), evaluation(control_branch(stage))
    adapts = context.method(stage).adapts
    control = confirm_control(stage, state["round"], adapts=adapts, edit=edit_of(id))
    return evaluation(confirm_branch(id)), evaluation(control)


def _curves(candidate: Evaluation | None, control: Evaluation | None) -> dict[str, tuple[CurvePoint, ...]]:
    named = {"candidate": candidate, "control": control}
    return {name: each.curve for name, each in named.items() if each is not None and each.curve}


def _compared(candidate: Evaluation | None, control: Evaluation | None, context: Context) -> Comparison | None:
    if candidate is None or control is None or candidate.error is not None or control.error is not None:
        return None
    return comparison(control, candidate, context.settings.method.level)


def _cost(state: State, context: Context) -> Cost:
    """Since the stage began."""
    events = list(context.directory.events())
    now = events[-1]
    stage, evaluated = state["stage"], state["evaluated"]
    began = next((e for e in events if e["event"] == "stage_started" and e["stage"] == stage), now)
    mine = {branch: outcome for branch, outcome in evaluated.items() if outcome["stage"] == stage}
    return Cost(
        environment_steps=environment_steps(mine, context),
        seconds=now["seconds"] - began["seconds"],
        tokens=now["tokens"] - began["tokens"],
        money=None if now["money"] is None else now["money"] - (began["money"] or 0.0),
    )


# ---------------------------------------------------------------- the answer


def answered(answer: Answer, asked: Approval, state: State, context: Context) -> tuple[State, Candidate | None]:
    """What the answer makes of the state, and the candidate that it brings."""
    if answer.decision == "yes":
        return _approved(asked, state, context), None
    if answer.decision == "no":
        return _refused(answer, asked, state, context), None
    edit = _edit(answer, asked, state, context)
    return _set_aside(edit, state), edit


def told(answer: Answer, asked: Approval, edit: Candidate | None) -> Approval:
    """The event of the answer; the grounds stand in that of the question."""
    return Approval(
        stage=asked.stage,
        candidate=asked.candidate,
        asking=asked.asking,
        status={"yes": "approved", "no": "refused", "edit": "edited"}[answer.decision],
        verdict=asked.verdict,
        reason=answer.reason,
        edit=edit.id if edit is not None else None,
    )


def history_lines(answer: Answer, asked: Approval, state: State) -> list[str]:
    """The reason of a no, which outlives the stage; the round's own line has no room for it."""
    if answer.decision != "no" or not answer.reason:
        return []
    line = f"stage {state['stage']} round {state['round']}: a person refused {asked.candidate}: {answer.reason}"
    return [printable(line, LONGEST_LINE)]


def asked_again(state: State) -> State:
    """The last question that an edit has put off."""
    *beneath, last = state["questions"]
    return {"verdict": last["verdict"], "phase": last["phase"], "questions": beneath, "edit": None, "approved": None}


def after_a_trial(state: State, delta: State) -> State:
    """The judge's delta on a person's signal: it is asked about, tried on, or has failed."""
    decision = (delta["verdict"] or {})["decision"]
    if decision == "accept":
        return {**delta, "edit": None}
    if decision != "keep":
        return delta
    kept = State(evaluated=delta.get("evaluated", {}), refusals=delta.get("refusals", state["refusals"]))
    return {**kept, **asked_again(state)}


def _approved(asked: Approval, state: State, context: Context) -> State:
    """What waited for the outcome of an edit has lost to it."""
    refusals = dict(state["refusals"])
    if context.method(state["stage"]).adapts:
        for waiting in state["questions"]:
            verdict = Verdict.model_validate(waiting["verdict"])
            assert verdict.candidate is not None
            reason = f"a person has put {asked.candidate} in its place"
            refusals[verdict.candidate] = Refusal(gain=verdict.gain, lower_bound=None, reason=reason)
    return {"approved": True, "questions": [], "refusals": refusals, "verdict": state["verdict"]}


def _refused(answer: Answer, asked: Approval, state: State, context: Context) -> State:
    why = f": {printable(answer.reason, LONGEST_REASON)}" if answer.reason else ""
    reason = f"a person refused the promotion{why}"
    verdict = asked.verdict.model_copy(update={"decision": "keep", "reason": reason})
    delta = State(verdict=plain(verdict))
    if context.method(state["stage"]).adapts:
        delta = adapting.refused(verdict, state, context)
        refusal = Refusal(gain=verdict.gain, lower_bound=None, reason=f"by a person{why}")  # not by the statistics
        delta["refusals"] = {**delta["refusals"], asked.candidate: refusal}
    if state["questions"]:
        return {"refusals": delta.get("refusals", state["refusals"]), **asked_again(state)}
    population = [id for id in state["population"] if id != asked.candidate]  # no parent of what comes next
    return {**delta, "population": population, "approved": False}


def _edit(answer: Answer, asked: Approval, state: State, context: Context) -> Candidate:
    """Written again after a kill, it is the same."""
    assert answer.signal is not None
    id = edit_id(asked.candidate, state["proposed"])
    edit = Candidate(
        id=id,
        stage=state["stage"],
        round=state["round"],
        author=PERSON,
        kind="edit",
        parents=(asked.candidate,),
        rationale=answer.reason or f"a person would rather try this than {asked.candidate}",
        signal=answer.signal,
    )
    context.directory.write_batch(f"{id}-batch", [edit], [code_of(edit.signal, context)], None)
    return edit


def _set_aside(edit: Candidate, state: State) -> State:
    """The question waits while the person's signal is tried."""
    assert state["verdict"] is not None
    return {
        "edit": edit.id,
        "proposed": [*state["proposed"], edit.id],
        "pending": [edit.id],
        "questions": [*state["questions"], Question(verdict=state["verdict"], phase=state["phase"])],
        "phase": "search",
        "approved": None,
    }
