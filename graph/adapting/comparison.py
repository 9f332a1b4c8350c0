"""What the trace tells of a judged round: each candidate beside the control, and what came of it."""

from __future__ import annotations

from typing import Any, Literal

from marlsmith.graph.adapting import branches
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.context import Context
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of
from marlsmith.graph.state import State
from marlsmith.graph.telling.trace import Compared
from marlsmith.marl.statistics import paired_gain
from marlsmith.schemas import Evaluation, Verdict

Came = Literal["racing", "dropped", "failed", "passed", "confirmed", "refused", "taken", "left"]


def comparison(state: State, delta: State, context: Context) -> dict[str, Any]:
    """Fields of the `judged` event; `delta` is the judge's."""
    verdict = Verdict.model_validate(delta["verdict"])
    if state["phase"] == "confirm":
        named = {id: confirm_branch(id) for id in state["racing"]}
        edit = edit_of(state["racing"][0])
        control = _so_far(confirm_control(state["stage"], state["round"], adapts=True, edit=edit), state, context)
    else:
        named = {id: id for id in ([state["edit"]] if state["edit"] else state["accepted"])}
        control = _so_far(control_branch(state["stage"]), state, context)
    level = verdict.level or context.settings.method.level / max(1, len(named))
    found = {id: _so_far(branch, state, context) for id, branch in named.items()}
    rows = [_row(id, each, control, level, verdict, state, delta) for id, each in found.items() if each is not None]
    return {"control": control.score if control is not None else None, "compared": tuple(rows)}


def _so_far(branch: str, state: State, context: Context) -> Evaluation | None:
    """Of the heats that are trained; None where there is none."""
    heats = [name for name in branches.heats(branch, context) if name in state["evaluated"]]
    return merged(branch, [context.directory.required_evaluation(name) for name in heats]) if heats else None


def _row(
    id: str,
    evaluation: Evaluation,
    control: Evaluation | None,
    level: float,
    verdict: Verdict,
    state: State,
    delta: State,
) -> Compared:
    seeds = len(evaluation.scores)
    paired = None
    if control is not None and 2 <= seeds <= len(control.scores):
        paired = paired_gain(evaluation.scores, control.scores[:seeds], level)
    audited = id in delta.get("audited", state["audited"])
    came, reason = _came(id, evaluation, verdict, audited, state, delta)
    return Compared(
        candidate=id,
        seeds=seeds,
        score=evaluation.score,
        gain=paired.mean if paired is not None else None,
        interval=paired.interval if paired is not None else None,
        lower_bound=paired.lower_bound if paired is not None else None,
        came=came,
        audited=audited,
        reason=reason,
    )


def _came(
    id: str, evaluation: Evaluation, verdict: Verdict, audited: bool, state: State, delta: State
) -> tuple[Came, str]:
    chosen, refusal = verdict.candidate == id, delta.get("refusals", {}).get(id)
    if evaluation.error is not None:
        return "failed", f"{evaluation.error.stage}: {evaluation.error.told}"
    if verdict.decision == "confirm" and id in delta.get("racing", []):
        return "passed", verdict.reason if chosen else ""
    if chosen and verdict.decision == "accept":
        return ("confirmed" if state["phase"] == "confirm" else "taken"), verdict.reason
    dropped = delta.get("dropped", {}).get(id)
    if dropped is not None and (verdict.decision == "race" or not audited):
        return "dropped", dropped
    if verdict.decision == "race":
        return "racing", ""
    return ("refused", refusal["reason"]) if refusal is not None else ("left", "")
