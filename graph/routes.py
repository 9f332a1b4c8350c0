"""Where the machine goes next. Total: a router that raises or names no node ends a run in silence."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Send

from marlsmith.graph.context import Context
from marlsmith.graph.state import (
    NATIVE_ID,
    BranchTask,
    Phase,
    State,
    confirm_branch,
    control_branch,
)


def after_check(state: State) -> list[Send] | Literal["propose", "judge"]:
    """Repairs first; then the branches that are due, among them the stage's control until it was trained.

    Where nothing was accepted the control is trained all the same: the next round's critic needs it.
    """
    if state["rejected"]:
        return "propose"
    stage, evaluated = state["stage"], state["evaluated"]
    due = {control_branch(stage): NATIVE_ID, **{id: id for id in state["accepted"]}}
    sends = [_send(b, c, stage, "search") for b, c in due.items() if b not in evaluated]
    return sends or "judge"


def after_judge(
    state: State, runtime: Runtime[Context]
) -> list[Send] | Literal["diagnose", "approve", "promote", "start_stage", "finish"]:
    """Refine goes through `diagnose`, where the critic sees the new evidence; without a critic it just opens
    the round. A verdict that is missing or incomplete counts as `keep`.
    """
    verdict: dict[str, Any] = state["verdict"] or {}
    decision, candidate = verdict.get("decision"), verdict.get("candidate")
    if decision == "refine":
        return "diagnose"
    if decision == "confirm" and candidate is not None:
        stage = state["stage"]
        return [
            _send(confirm_branch(control_branch(stage)), NATIVE_ID, stage, "confirm"),
            _send(confirm_branch(candidate), candidate, stage, "confirm"),
        ]
    if decision == "accept":
        return "approve" if runtime.context.settings.method.approve else "promote"
    return after_stage(state, runtime)


def after_approve(state: State, runtime: Runtime[Context]) -> Literal["promote", "start_stage", "finish"]:
    return "promote" if state["approved"] else after_stage(state, runtime)


def after_stage(state: State, runtime: Runtime[Context]) -> Literal["start_stage", "finish"]:
    return "start_stage" if state["stage"] < runtime.context.settings.method.stages else "finish"


def _send(branch: str, candidate: str, stage: int, phase: Phase) -> Send:
    return Send("branch", BranchTask(branch=branch, candidate=candidate, stage=stage, phase=phase))
