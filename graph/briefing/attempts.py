"""What a round came to, gathered for those who diagnose the next one."""

from __future__ import annotations

from marlsmith.graph.briefing.history import PROMOTED, Attempt, history_line
from marlsmith.graph.context import Context
from marlsmith.graph.judging import judgement
from marlsmith.graph.state import State
from marlsmith.schemas import Diagnosis


def told_later(state: State, delta: State, context: Context) -> list[str]:
    """A line on the round that the judge's delta ends; nothing while it goes on, or where nobody diagnoses."""
    decision = (delta["verdict"] or {}).get("decision")
    if decision in ("race", "confirm") or not context.method(state["stage"]).diagnose:
        return []
    if state["phase"] == "confirm" and not context.method(state["stage"]).adapts:
        return []
    diagnosis = Diagnosis.model_validate(state["diagnosis"]) if state["diagnosis"] else None
    after = State(**{**state, **delta})
    after["evaluated"] = {**state["evaluated"], **delta.get("evaluated", {})}
    attempts = [_attempt(id, after, context) for id in state["accepted"]]
    return [history_line(state["stage"], state["round"], diagnosis, attempts)]


def _attempt(id: str, state: State, context: Context) -> Attempt:
    refusal = state["refusals"].get(id)
    gain = refusal["gain"] if refusal is not None else judgement.strengths(state["evaluated"]).get(id)
    candidate = context.directory.candidate(id)
    parents = f" of {', '.join(candidate.parents)}" if candidate.parents else ""
    return Attempt(id, f"{candidate.kind}{parents}: {candidate.rationale}", gain, _came(id, state))


def _came(id: str, state: State) -> str:
    verdict, outcome, refusal = state["verdict"] or {}, state["evaluated"].get(id), state["refusals"].get(id)
    if verdict.get("decision") == "accept" and verdict.get("candidate") == id:
        return PROMOTED
    if outcome is None or outcome["error"] is not None:
        return f"failed: {outcome['error']}" if outcome else "never trained"
    if refusal is not None:
        bound = refusal["lower_bound"]
        return f"refused: {refusal['reason'] if bound is None else f'lower bound {bound:+.3g}'}"
    return "kept as a parent" if id in state["population"] else "not kept"
