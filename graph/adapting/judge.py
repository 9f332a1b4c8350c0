"""Race, gate and confirmation of a round's candidates against the control (DESIGN section 6).

What is read here is scores by seed; what is decided is decided by the pure functions of `graph.judging`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from marlsmith.graph.adapting import branches
from marlsmith.graph.adapting.known_competence import known_competence
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.briefing.evidence import paired_mean
from marlsmith.graph.context import Context
from marlsmith.graph.judging import judgement
from marlsmith.graph.judging.competence import Competence, informative
from marlsmith.graph.judging.gate import Judgement, Trial, best, gate, leading, passing
from marlsmith.graph.judging.racing import RaceCost, audited, hopeless
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of, heat_branch
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import CONTROL_ID, Outcome, OutcomePhase, Refusal, State
from marlsmith.schemas import Evaluation, Verdict, plain

NOTHING_TRIED = "no candidate came as far as a branch"
TAKEN = "taken as it is: this method has no gate"


def judge_search(state: State, context: Context) -> State:
    """After a heat: on with the race, or the round's verdict."""
    method = context.settings.method
    if not method.gate:
        return _taken_as_it_is(state, context)
    heats = len(branches.members(context))
    racing = state["accepted"] if state["heat"] == 1 else state["racing"]
    running = [id for id in racing if not _failed(id, state["heat"], state)]
    if not running or state["heat"] == heats or _control_failed(state, context):
        return _settled(state, context)
    out = _dropped([id for id in running if id not in state["dropped"]], state, context)
    seed = role_seed(context.settings.seed, state["stage"], state["round"], state["heat"])
    watched = audited(list(out), method.audit, seed)
    left = [id for id in running if id not in out or id in watched]
    raced: State = {
        "racing": left,
        "dropped": {**state["dropped"], **out},
        "audited": [*state["audited"], *watched],
        "race_cost": asdict(RaceCost(**state["race_cost"]) + _cost(len(out), len(watched), state, context)),
    }
    if not left:
        return {**raced, **_settled(State(**{**state, **raced}), context)}
    reason = f"{len(left)} of {len(state['accepted'])} candidates go into heat {state['heat'] + 1} of {heats}"
    verdict = Verdict(decision="race", reason=reason)
    return {**raced, "heat": state["heat"] + 1, "verdict": plain(verdict)}


def judge_edit(edit: str, state: State, context: Context) -> State:
    """A person's signal passes the round's gate or not, as one candidate more that was looked at."""
    control, tried = whole(control_branch(state["stage"]), context), whole(edit, context)
    evaluated = {each.branch: _outcome(each, state, "search") for each in (control, tried)}
    if tried.error is not None:
        verdict = Verdict(decision="keep", candidate=edit, reason=_fault(tried))
    elif not context.settings.method.gate:
        verdict = Verdict(decision="accept", candidate=edit, reason=TAKEN)
    else:
        knowing = known_competence({**state["evaluated"], **evaluated}, context)
        verdict, _ = _gated(control, _judgements(control, [tried], state, context), knowing, state, context)
        verdict = verdict.model_copy(update={"candidate": edit})
    delta: State = {"verdict": plain(verdict), "evaluated": evaluated, **_next(verdict, [edit], state)}
    if verdict.decision == "keep" and tried.error is None:
        delta["refusals"] = {**state["refusals"], edit: _refusal(verdict)}
    return delta


def judge_confirmation(state: State, context: Context) -> State:
    """The gate's second half, and the tournament of all that passed its first: the same comparison on random numbers
    that have chosen nothing, and over a longer training, for what is ahead first may not be so later.
    """
    method, names = context.settings.method, state["racing"]
    control = whole(confirm_control(state["stage"], state["round"], adapts=True, edit=edit_of(names[0])), context)
    tried = {name: whole(confirm_branch(name), context) for name in names}
    evaluated = {each.branch: _outcome(each, state, "confirm") for each in (control, *tried.values())}
    trials = [Trial(name, each.scores) for name, each in tried.items() if each.error is None]
    if control.error is not None or not trials:
        failed = control if control.error is not None else tried[names[0]]
        verdict = Verdict(decision=_otherwise(state, context), candidate=names[0], reason=_fault(failed))
    else:
        judged = gate(control.scores, trials, level=method.level, margin=method.margin, tests=len(names))
        winner = best(judged)
        verdict = _verdict("accept" if winner else _otherwise(state, context), winner or leading(judged))
    delta: State = {"verdict": plain(verdict), "evaluated": evaluated, **_next(verdict, [], state)}
    refusals = dict(state["refusals"])
    for name in names:
        if verdict.decision != "accept" or name != verdict.candidate:
            refusals[name] = _unconfirmed(name, tried[name], control, verdict)
    return {**delta, "refusals": refusals}


def _unconfirmed(name: str, tried: Evaluation, control: Evaluation, verdict: Verdict) -> Refusal:
    if name == verdict.candidate:
        return _refusal(verdict, "not confirmed: ")
    failed = tried if tried.error is not None else control
    if failed.error is not None:
        return Refusal(gain=None, lower_bound=None, reason=f"not confirmed: {_fault(failed)}")
    ahead = f"{verdict.candidate} was ahead in the confirmation, over {tried.steps:,} steps"
    return Refusal(gain=paired_mean(control, tried), lower_bound=None, reason=ahead)


def refused(verdict: Verdict, state: State, context: Context) -> State:
    """What comes of a candidate that passed the gate and was not let through after that."""
    verdict = verdict.model_copy(update={"decision": _otherwise(state, context)})
    assert verdict.candidate is not None
    # No bound: it was not the statistics that refused it, and whoever reads of it is told who did.
    refusal = Refusal(gain=verdict.gain, lower_bound=None, reason=verdict.reason)
    refusals = {**state["refusals"], verdict.candidate: refusal}
    return {"verdict": plain(verdict), "refusals": refusals, **_next(verdict, [], state)}


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


def _cost(dropped: int, watched: int, state: State, context: Context) -> RaceCost:
    """Of what is dropped after this heat: the heats that are left, trained by those who are watched alone."""
    steps = branches.length(state["stage"], context) * sum(map(len, branches.members(context)[state["heat"] :]))
    return RaceCost(
        dropped=dropped, audited=watched, steps_saved=(dropped - watched) * steps, steps_audited=watched * steps
    )


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
    knowing = known_competence(known, context)
    verdict, finalists = _gated(control, judged, knowing, State(**{**state, "evaluated": known}), context)
    delta: State = {
        "verdict": plain(verdict),
        "evaluated": evaluated,
        "dropped": state["dropped"],
        "refusals": {**state["refusals"], **_refusals(judged, verdict, finalists, tried, control, state)},
    }
    missed = sum(judged[id].passed for id in state["audited"] if id in judged)
    delta["race_cost"] = asdict(RaceCost(**state["race_cost"]) + RaceCost(missed=missed))
    gains = {each.candidate: paired_mean(control, each) for each in tried}
    promising = {id: gain for id, gain in gains.items() if gain is not None and gain > 0}
    delta["population"] = judgement.ranked(promising)[: method.population]
    return {**delta, **_next(verdict, finalists, state)}


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
) -> tuple[Verdict, list[str]]:
    """The round's verdict, and who goes into the confirmation, best first."""
    method, otherwise = context.settings.method, _otherwise(state, context)
    if control.error is not None:
        return Verdict(decision="keep", reason=_fault(control)), []  # a later round would be compared with it too
    if not judged:
        reason = "; ".join(_ends(state)) or branches.rests(state["stage"], context) or NOTHING_TRIED
        return Verdict(decision=otherwise, reason=reason), []
    winners = passing(list(judged.values()))[: method.finalists]
    if not winners:
        return _verdict(otherwise, leading(list(judged.values()))), []
    if not informative(knowing, method.competence):
        reason = f"{winners[0].reason}, but the gate abstains: {knowing.words}"
        return _verdict(otherwise, winners[0]._replace(reason=reason)), []
    verdict = _verdict("confirm", winners[0])
    if not knowing.known:
        verdict = verdict.model_copy(update={"reason": f"{verdict.reason}; {knowing.words}"})
    return verdict, [winner.candidate for winner in winners]


def _ends(state: State) -> Iterator[str]:
    """Why each of the round's candidates came no further."""
    for id in state["accepted"]:
        outcome = state["evaluated"].get(id)
        if outcome is not None and outcome["error"] is not None:
            yield f"{id} failed ({outcome['error']})"
        elif id in state["dropped"]:
            yield f"{id} was dropped: {state['dropped'][id]}"


def _refusals(
    judged: Mapping[str, Judgement],
    verdict: Verdict,
    finalists: Sequence[str],
    tried: Sequence[Evaluation],
    control: Evaluation,
    state: State,
) -> dict[str, Refusal]:
    """What is told of those that did not get through; whoever is confirmed has not been refused yet."""
    found: dict[str, Refusal] = {}
    for each in tried:
        id, one = each.candidate, judged.get(each.candidate)
        if each.error is not None or id in finalists:
            continue
        if id == verdict.candidate:
            found[id] = _refusal(verdict)
        elif one is not None:
            reason = "another one of the round was better" if one.passed else one.reason
            found[id] = Refusal(gain=one.gain.mean, lower_bound=one.gain.lower_bound, reason=reason)
        else:
            dropped = state["dropped"].get(id)
            reason = f"dropped in the race: {dropped}" if dropped is not None else verdict.reason
            found[id] = Refusal(gain=paired_mean(control, each), lower_bound=None, reason=reason)
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


def _fault(evaluation: Evaluation) -> str:
    assert evaluation.error is not None
    return f"{evaluation.branch} failed ({evaluation.error.stage}): {evaluation.error.message}"


def _otherwise(state: State, context: Context) -> str:
    """A refused round goes back to the generator while rounds are left and something to gain, else the stage ends.

    A person's signal that has failed ends nothing: what it stood in for is asked about again.
    """
    if state["edit"] is not None:
        return "keep"
    done = state["round"] >= context.settings.method.rounds or branches.rests(state["stage"], context)
    standing = whole(control_branch(state["stage"]), context).score
    return "keep" if done or branches.nothing_left(standing, context) else "refine"


def _next(verdict: Verdict, finalists: Sequence[str], state: State) -> State:
    if verdict.decision == "refine":
        return {"round": state["round"] + 1, "phase": "search"}
    if verdict.decision == "confirm":
        known = {**state["finalists"], **dict.fromkeys(finalists, state["stage"])}
        return {"phase": "confirm", "racing": list(finalists), "finalists": known}
    return {}


def _taken_as_it_is(state: State, context: Context) -> State:
    """The arms without a gate: what was proposed first and could be trained becomes the main run.

    Where nothing could be, the main run needs its control after all.
    """
    found = {id: _whole_so_far(id, state, context) for id in state["accepted"]}
    tried = [each for each in found.values() if each is not None]
    sound = [each.candidate for each in tried if each.error is None]
    evaluated = {each.branch: _outcome(each, state, "search") for each in tried}
    ended = State(**{**state, "evaluated": {**state["evaluated"], **evaluated}})
    control = control_branch(state["stage"])
    if sound:
        verdict = Verdict(decision="accept", candidate=sound[0], reason=TAKEN)
        return {"verdict": plain(verdict), "evaluated": evaluated}
    reason = "; ".join(_ends(ended)) or branches.rests(state["stage"], context) or NOTHING_TRIED
    if heat_branch(control, 1) not in state["evaluated"]:
        verdict = Verdict(decision="race", reason=f"{reason}: the main run goes on with its control")
        heats = len(branches.members(context))
        delta: State = {"heat": state["heat"] + 1, "racing": [CONTROL_ID] * heats, "verdict": plain(verdict)}
        return {**delta, "evaluated": evaluated}
    evaluated[control] = _outcome(whole(control, context), state, "search")
    return {"verdict": plain(Verdict(decision="keep", reason=reason)), "evaluated": evaluated}


# ---------------------------------------------------------------- heats put together


def whole(branch: str, context: Context) -> Evaluation:
    """Of all heats; written where a reader looks for the branch."""
    found = context.directory.evaluation(branch)
    if found is None:
        heats = [context.directory.required_evaluation(name) for name in branches.heats(branch, context)]
        found = context.directory.write_evaluation(branch, merged(branch, heats, context.parts.card.score))
    return found


def _whole_so_far(id: str, state: State, context: Context) -> Evaluation | None:
    """Of the heats that the candidate ran; None where it ran none."""
    found = context.directory.evaluation(id)
    if found is None:
        names = [name for name in branches.heats(id, context) if name in state["evaluated"]]
        if names:
            heats = [context.directory.required_evaluation(name) for name in names]
            found = context.directory.write_evaluation(id, merged(id, heats, context.parts.card.score))
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
