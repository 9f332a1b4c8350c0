"""Where the machine goes next. Total: a router that raises or names no node ends a run in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Send

from marlsmith.graph.adapting import branches
from marlsmith.graph.context import Context
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of
from marlsmith.graph.state import NATIVE_ID, BranchTask, Phase, State


def after_check(state: State, runtime: Runtime[Context]) -> list[Send] | Literal["propose", "judge", "approve"]:
    """Repairs first; then the branches that are due, among them the stage's control until it was trained.

    Where nothing was accepted the control is trained all the same: the next round's critic needs it, and a main run
    goes on with it. A question that stands again, for what a person would rather have was refused, goes back to them.
    """
    if state["rejected"]:
        return "propose"
    if state["edit"] is not None:
        return _edited(state["edit"], state, runtime.context) or "judge"
    if (state["verdict"] or {}).get("decision") == "accept":
        return "approve"
    stage, evaluated = state["stage"], state["evaluated"]
    if runtime.context.method(stage).adapts:
        return _sent(branches.first_heats(state, runtime.context)) or "judge"
    due = {control_branch(stage): NATIVE_ID, **{id: id for id in state["accepted"]}}
    return _sent([_task(b, c, state, "search") for b, c in due.items() if b not in evaluated]) or "judge"


def after_judge(
    state: State, runtime: Runtime[Context]
) -> list[Send] | Literal["diagnose", "approve", "promote", "advance", "start_stage", "finish"]:
    """Refine goes through `diagnose`, where the critic sees the new evidence; without a critic it just opens
    the round. A verdict that is missing or incomplete counts as `keep`.
    """
    if state["phase"] == "plain":
        return "finish"
    verdict: dict[str, Any] = state["verdict"] or {}
    decision, candidate = verdict.get("decision"), verdict.get("candidate")
    method = runtime.context.method(state["stage"])
    if decision == "refine":
        return "diagnose"
    if decision == "race" and state["racing"]:
        return _sent(branches.next_heats(state))
    if decision == "confirm" and method.adapts and state["racing"]:
        return _sent(branches.confirmation(state, runtime.context))
    if decision == "confirm" and not method.adapts and candidate is not None:
        edit = edit_of(candidate)
        control = confirm_control(state["stage"], state["round"], adapts=False, edit=edit)
        due = {control: NATIVE_ID, confirm_branch(candidate): candidate}
        return _sent([_task(branch, id, state, "confirm") for branch, id in due.items()])
    if decision == "accept":
        return "approve" if method.approve else "promote"
    return after_promotion(state, runtime)


def after_approve(
    state: State, runtime: Runtime[Context]
) -> Literal["promote", "check", "approve", "diagnose", "advance", "start_stage", "finish"]:
    """A yes; a person's own signal, to be checked; a question that stands again; a no, as after any refused round."""
    if state["approved"]:
        return "promote"
    if state["edit"] is not None:
        return "check"
    decision = (state["verdict"] or {}).get("decision")
    if decision == "accept":
        return "approve"
    return "diagnose" if decision == "refine" else after_promotion(state, runtime)


def after_promotion(state: State, runtime: Runtime[Context]) -> Literal["advance", "start_stage", "finish"]:
    """A main run moves on at the end of every stage, whether something was promoted or not."""
    if runtime.context.method(state["stage"]).adapts:
        return "advance"
    return "start_stage" if state["stage"] < runtime.context.settings.method.all_stages else "finish"


def after_advance(state: State, runtime: Runtime[Context]) -> list[Send] | Literal["start_stage", "finish"]:
    """At the end the same training without a signal, for the last comparison; it is the main run itself where
    nothing has ever been promoted.
    """
    if state["stage"] < runtime.context.settings.method.all_stages:
        return "start_stage"
    if state["promotion"] is None or not runtime.context.settings.method.plain:
        return "finish"
    return _sent(branches.plain(state, runtime.context))


def _edited(id: str, state: State, context: Context) -> list[Send]:
    """A person's signal has nobody to race with: all its heats at once."""
    if context.method(state["stage"]).adapts:
        due = branches.whole(id, id, "search", state, context)
    else:
        due = [_task(id, id, state, "search")]
    return _sent([task for task in due if task["branch"] not in state["evaluated"]])


def _sent(tasks: Sequence[BranchTask]) -> list[Send]:
    return [Send("branch", task) for task in tasks]


def _task(branch: str, candidate: str, state: State, phase: Phase) -> BranchTask:
    return BranchTask(
        branch=branch, candidate=candidate, stage=state["stage"], round=state["round"], phase=phase, heat=0
    )
