"""Race, gate and confirmation of a round's candidates against the control (DESIGN section 6).

What is read here is scores by seed; what is decided is decided by the pure functions of `graph.judging`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from marlsmith.graph import judgement
from marlsmith.graph.adapting import branches
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.context import Context
from marlsmith.graph.evidence import paired_mean
from marlsmith.graph.judging.competence import Competence, competence, informative
from marlsmith.graph.judging.gate import Judgement, Trial, best, confirmed, gate
from marlsmith.graph.judging.racing import RaceCost, audited, cost, hopeless
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, heat_branch
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import CONTROL_ID, Outcome, OutcomePhase, Refusal, State
from marlsmith.schemas import Evaluation, Verdict, plain

NOTHING_TRIED = "no candidate came as far as a branch"


def judge_search(state: State, context: Context) -> State:
    """After a heat: on with the race, or the round's verdict."""
    method = context.settings.method
    if not method.gate:
        return _taken_as_it_is(state, context)
    heats = len(branches.members(context))
    racing = state["accepted"] if state["heat"] == 1 else state["racing"]
    running = [id for id in racing if not _failed(id, state["heat"], state)]
    if running and state["heat"] < heats and not _control_failed(state, context):
        out = _dropped(running, state, context)
        seed = role_seed(context.settings.seed, state["stage"], state["round"], state["heat"])
        watched = audited(list(out), method.audit, seed)
        left = [id for id in running if id not in out or id in watched]
        if left:
            reason = f"{len(left)} of {len(state['accepted'])} candidates go into heat {state['heat'] + 1} of {heats}"
            return {
                "heat": state["heat"] + 1,
                "racing": left,
                "dropped": {**state["dropped"], **out},
                "audited": [*state["audited"], *watched],
                "verdict": plain(Verdict(decision="race", reason=reason)),
            }
        state = {**state, "dropped": {**state["dropped"], **out}}
    return _settled(state, context)


def judge_confirmation(state: State, context: Context) -> State:
    """The gate's second half: the same comparison on random numbers that have chosen nothing."""
    method = context.settings.method
    before = Verdict.model_validate(state["verdict"])
    assert before.candidate is not None
    name = before.candidate
    control = whole(confirm_control(state["stage"], state["round"], adapts=True), context)
    candidate = whole(confirm_branch(name), context)
    evaluated = {each.branch: _outcome(each, state, "confirm") for each in (control, candidate)}
    failed = next((each for each in (control, candidate) if each.error is not None), None)
    if failed is not None and failed.error is not None:
        reason = f"{failed.branch} failed ({failed.error.stage}): {failed.error.message}"
        verdict = Verdict(decision=_otherwise(state, context), candidate=name, reason=reason)
    else:
        judged = confirmed(control.scores, Trial(name, candidate.scores), level=method.level, margin=method.margin)
        verdict = _verdict("accept" if judged.passed else _otherwise(state, context), judged)
    delta: State = {"verdict": plain(verdict), "evaluated": evaluated, **_next(verdict, state)}
    if verdict.decision != "accept":
        delta["refusals"] = {**state["refusals"], name: _refusal(verdict, "not confirmed: ")}
    return delta


def refused(verdict: Verdict, state: State, context: Context) -> State:
    """What comes of a candidate that passed the gate and was not let through after that."""
    verdict = verdict.model_copy(update={"decision": _otherwise(state, context)})
    assert verdict.candidate is not None
    refusals = {**state["refusals"], verdict.candidate: _refusal(verdict)}
    return {"verdict": plain(verdict), "refusals": refusals, **_next(verdict, state)}


# ---------------------------------------------------------------- the race


def _dropped(running: Sequence[str], state: State, context: Context) -> dict[str, str]:
    method, heat = context.settings.method, state["heat"]
    control = _scores(control_branch(state["stage"]), heat, context)
    found = {}
    for id in running:
        reason = hopeless(control, _scores(id, heat, context), margin=method.margin)
        if reason is not None:
            found[id] = reason
    return found


def _scores(branch: str, heats: int, context: Context) -> list[float]:
    """By seed, of the first so many heats."""
    parts = (context.directory.required_evaluation(heat_branch(branch, heat)) for heat in range(1, heats + 1))
    return [score for part in parts for score in part.scores]


def _failed(id: str, heat: int, state: State) -> bool:
    outcome = state["evaluated"].get(heat_branch(id, heat))
    return outcome is None or outcome["error"] is not None


def _control_failed(state: State, context: Context) -> bool:
    return whole(control_branch(state["stage"]), context).error is not None


# ---------------------------------------------------------------- the verdict


def _settled(state: State, context: Context) -> State:
    """Everything that the round has trained, put together from its heats, and the gate over it."""
    method = context.settings.method
    control = whole(control_branch(state["stage"]), context)
    tried = [found for id in state["accepted"] if (found := _whole_so_far(id, state, context)) is not None]
    evaluated = {each.branch: _outcome(each, state, "search") for each in (control, *tried)}
    known = {**state["evaluated"], **evaluated}
    judged = _judgements(control, tried, state, context)
    verdict = _gated(control, judged, known_competence(known, context), state, context)
    delta: State = {
        "verdict": plain(verdict),
        "evaluated": evaluated,
        "dropped": state["dropped"],
        "refusals": {**state["refusals"], **_refusals(judged, verdict, tried, control, state)},
    }
    audits = [judged[id] for id in state["audited"] if id in judged]
    spared = method.branch_steps * sum(map(len, branches.members(context)[1:]))
    spent = RaceCost(**state["race_cost"]) + cost(state["dropped"], audits, spared)
    delta["race_cost"] = asdict(spent)
    refused = {id: paired_mean(control, each) for each in tried if (id := each.candidate) != verdict.candidate}
    gains = {id: gain for id, gain in refused.items() if gain is not None and gain > 0}
    delta["population"] = judgement.ranked(gains)[: method.population]
    return {**delta, **_next(verdict, state)}


def _judgements(
    control: Evaluation, tried: Sequence[Evaluation], state: State, context: Context
) -> dict[str, Judgement]:
    """Of the candidates that were trained with all seeds."""
    method = context.settings.method
    full = [each for each in tried if each.error is None and len(each.seeds) == len(control.scores)]
    trials, tests = [Trial(each.candidate, each.scores) for each in full], len(state["accepted"])
    if not trials:
        return {}
    judged = gate(control.scores, trials, level=method.level, margin=method.margin, tests=tests)
    return {one.candidate: one for one in judged}


def _gated(
    control: Evaluation, judged: Mapping[str, Judgement], knowing: Competence, state: State, context: Context
) -> Verdict:
    method, otherwise = context.settings.method, _otherwise(state, context)
    if control.error is not None:
        reason = f"{control.branch} failed ({control.error.stage}): {control.error.message}"
        return Verdict(decision=otherwise, reason=reason)
    if not judged:
        return Verdict(decision=otherwise, reason="; ".join(state["dropped"].values()) or NOTHING_TRIED)
    winner = best(list(judged.values()))
    if winner is None:
        return _verdict(otherwise, max(judged.values(), key=lambda one: (one.gain.lower_bound, one.candidate)))
    if not informative(knowing, method.competence):
        reason = f"{winner.reason}, but the gate abstains: {knowing.words}"
        return _verdict(otherwise, winner._replace(reason=reason))
    return _verdict("confirm", winner)


def _refusals(
    judged: Mapping[str, Judgement],
    verdict: Verdict,
    tried: Sequence[Evaluation],
    control: Evaluation,
    state: State,
) -> dict[str, Refusal]:
    """What is told of those that did not get through; whoever is confirmed has not been refused yet."""
    found: dict[str, Refusal] = {}
    for each in tried:
        id, one = each.candidate, judged.get(each.candidate)
        if each.error is not None or (id == verdict.candidate and verdict.decision == "confirm"):
            continue
        if id == verdict.candidate:
            found[id] = _refusal(verdict)
        elif one is not None:
            reason = "another one of the round was better" if one.passed else one.reason
            found[id] = Refusal(gain=one.gain.mean, lower_bound=one.gain.lower_bound, reason=reason)
        else:
            dropped = f"dropped in the race: {state['dropped'].get(id, 'it came no further')}"
            found[id] = Refusal(gain=paired_mean(control, each), lower_bound=None, reason=dropped)
    return found


def _refusal(verdict: Verdict, before: str = "") -> Refusal:
    return Refusal(gain=verdict.gain, lower_bound=verdict.lower_bound, reason=f"{before}{verdict.reason}")


def _verdict(decision: str, judged: Judgement) -> Verdict:
    return Verdict.model_validate(
        {
            "decision": decision,
            "candidate": judged.candidate,
            "reason": judged.reason,
            "gain": judged.gain.mean,
            "interval": judged.gain.interval,
            "lower_bound": judged.gain.lower_bound,
            "level": judged.level,
        }
    )


def _otherwise(state: State, context: Context) -> str:
    """A refused round goes back to the generator while rounds are left; then the control goes on."""
    return "refine" if state["round"] < context.settings.method.rounds else "keep"


def _next(verdict: Verdict, state: State) -> State:
    if verdict.decision == "refine":
        return {"round": state["round"] + 1, "phase": "search"}
    if verdict.decision == "confirm":
        assert verdict.candidate is not None
        return {"phase": "confirm", "finalists": {**state["finalists"], verdict.candidate: state["stage"]}}
    return {}


def _taken_as_it_is(state: State, context: Context) -> State:
    """The arms without a gate: what was proposed first and could be trained becomes the main run."""
    found = {id: _whole_so_far(id, state, context) for id in state["accepted"]}
    tried = [each for each in found.values() if each is not None]
    sound = [each.candidate for each in tried if each.error is None]
    evaluated = {each.branch: _outcome(each, state, "search") for each in tried}
    control = control_branch(state["stage"])
    if heat_branch(control, 1) in state["evaluated"]:
        evaluated[control] = _outcome(whole(control, context), state, "search")
    if sound:
        verdict = Verdict(decision="accept", candidate=sound[0], reason="taken as it is: this method has no gate")
    else:
        verdict = Verdict(decision="keep", reason=NOTHING_TRIED)
    return {"verdict": plain(verdict), "evaluated": evaluated}


# ---------------------------------------------------------------- heats put together


def whole(branch: str, context: Context) -> Evaluation:
    """Of all heats; written where a reader looks for the branch."""
    found = context.directory.evaluation(branch)
    if found is None:
        heats = [context.directory.required_evaluation(name) for name in branches.heats(branch, context)]
        found = context.directory.write_evaluation(branch, merged(branch, heats))
    return found


def _whole_so_far(id: str, state: State, context: Context) -> Evaluation | None:
    """Of the heats that the candidate ran; None where it ran none."""
    found = context.directory.evaluation(id)
    if found is None:
        names = [name for name in branches.heats(id, context) if name in state["evaluated"]]
        if names:
            heats = [context.directory.required_evaluation(name) for name in names]
            found = context.directory.write_evaluation(id, merged(id, heats))
    return found


def _outcome(evaluation: Evaluation, state: State, phase: OutcomePhase) -> Outcome:
    error = evaluation.error
    return Outcome(
        candidate=evaluation.candidate,
        stage=state["stage"],
        phase=phase,
        score=evaluation.score,
        error=f"{error.stage}: {error.message}" if error is not None else None,
    )


# ---------------------------------------------------------------- competence


def known_competence(evaluated: dict[str, Outcome], context: Context) -> Competence:
    """Over all candidates of the main run so far: their gain half-way through the branch, and at its end."""
    pairs = []
    for branch, outcome in evaluated.items():
        of_the_main_run = outcome["phase"] == "search" and outcome["stage"] > context.settings.method.opening
        if not of_the_main_run or outcome["candidate"] == CONTROL_ID:
            continue
        control = context.directory.evaluation(control_branch(outcome["stage"]))
        found = context.directory.evaluation(branch)
        if control is None or found is None or control.score is None or found.score is None:
            continue
        middle = min(len(control.curve), len(found.curve)) // 2
        if middle:
            earlier = found.curve[middle - 1].score - control.curve[middle - 1].score
            pairs.append((earlier, found.score - control.score))
    return competence(pairs)
