"""The search from scratch (LERO): what a branch trains, who is kept as a parent, who is confirmed and accepted."""

from __future__ import annotations

from marlsmith.graph.context import Context
from marlsmith.graph.judging import judgement
from marlsmith.graph.naming import confirm_branch, confirm_control, edit_of
from marlsmith.graph.orders import Order, TrainBranch
from marlsmith.graph.seeds import confirm_seeds, role_seed, search_seeds
from marlsmith.graph.state import NATIVE_ID, BranchTask, State
from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import NATIVE, Verdict, plain


def arguments(task: BranchTask, context: Context) -> TrainBranch:
    """Of the training tool."""
    settings, method = context.settings, context.method(task["stage"])
    if task["phase"] == "search":
        seeds = search_seeds(settings.seed, task["stage"], method.search_seeds)
    else:
        seeds = confirm_seeds(settings.seed, task["stage"], method.confirm_seeds, edit_of(task["branch"]))
    return TrainBranch(
        branch=task["branch"],
        candidate=task["candidate"],
        task=settings.task,
        seeds=list(seeds),
        steps=method.branch_steps if settings.method.adapts else settings.train.steps,
        algorithm=settings.train.algorithm,
        reward_mode=method.reward_mode,
    )


def order(call: TrainBranch, context: Context) -> Order:
    settings = context.settings
    request = BranchRequest(
        branch=call.branch,
        candidate=call.candidate,
        task=call.task,
        seeds=tuple(call.seeds),
        reward_mode=call.reward_mode,
        train=settings.train.model_copy(update={"steps": call.steps, "algorithm": call.algorithm}),
        evaluation=settings.evaluation,
    )
    return Order(request, NATIVE if call.candidate == NATIVE_ID else context.directory.candidate(call.candidate).signal)


def judge_search(state: State, context: Context) -> State:
    """(mu + lambda): parents and this round's candidates compete for the population."""
    settings, method = context.settings, context.method(state["stage"])
    strengths = judgement.strengths(state["evaluated"])
    pool = {id: strengths[id] for id in (*state["population"], *state["accepted"]) if id in strengths}
    seed = role_seed(settings.seed, state["stage"], state["round"])
    population = judgement.select(pool, method.population, method.selection, seed)
    last_round = state["round"] >= method.rounds
    verdict = judgement.search_verdict(strengths, list(state["finalists"]), last_round)
    delta: State = {"population": population, "verdict": plain(verdict)}
    if verdict.decision == "refine":
        delta["round"] = state["round"] + 1
    elif verdict.decision == "confirm":
        assert verdict.candidate is not None
        delta["phase"] = "confirm"
        delta["finalists"] = {**state["finalists"], verdict.candidate: state["stage"]}
    return delta


def judge_edit(edit: str, state: State, context: Context) -> State:
    """A person's signal is confirmed, whatever else the search has found, if it gains in the search."""
    outcome, gain = state["evaluated"].get(edit), judgement.strengths(state["evaluated"]).get(edit)
    if outcome is None or gain is None:
        reason = f"{edit} failed: {outcome['error'] if outcome is not None else 'it was never trained'}"
        return {"verdict": plain(Verdict(decision="keep", candidate=edit, reason=reason))}
    if gain <= 0:
        reason = f"{edit} gained {gain:+.3f} over the control in the search, which is nothing to confirm"
        return {"verdict": plain(Verdict(decision="keep", candidate=edit, reason=reason))}
    reason = f"{edit} gained {gain:+.3f} in the search; it is compared with the native task on fresh seeds"
    verdict = Verdict(decision="confirm", candidate=edit, reason=reason)
    return {
        "verdict": plain(verdict),
        "phase": "confirm",
        "finalists": {**state["finalists"], edit: state["stage"]},
    }


def judge_confirmation(state: State, context: Context) -> State:
    """The best of the search against the native task, on seeds that have chosen nothing."""
    directory, method = context.directory, context.method(state["stage"])
    verdict = Verdict.model_validate(state["verdict"])
    assert verdict.candidate is not None
    candidate = directory.required_evaluation(confirm_branch(verdict.candidate))
    name = confirm_control(state["stage"], state["round"], adapts=False, edit=edit_of(verdict.candidate))
    control = directory.required_evaluation(name)
    promotion = state["promotion"]
    promoted_gain = promotion["gain"] if promotion is not None else None
    confirmed = judgement.confirm_verdict(candidate, control, method, promoted_gain)
    return {"verdict": plain(confirmed)}
