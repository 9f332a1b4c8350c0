"""The run's last word: the best signal and the native task, compared on the same seeds, and what it cost."""

from __future__ import annotations

from marlsmith.graph import judgement
from marlsmith.graph.briefs import scored
from marlsmith.graph.context import Context
from marlsmith.graph.naming import slot_of
from marlsmith.graph.state import Phase, State, confirm_branch, control_branch
from marlsmith.graph.trace import CandidateStanding, Finished, Gain, Standing, ValidatorEffect
from marlsmith.schemas import Evaluation, Verdict


def finished_event(state: State, context: Context) -> Finished:
    phase, native, best = _compared(state, context)
    gain = None
    if native is not None and best is not None:
        paired = judgement.gain_over(native, best, context.settings.method.level)
        if paired is not None:
            gain = Gain(mean=paired.mean, interval=paired.interval)
    return Finished(
        run=str(context.directory.path),
        native=Standing(**_standing(native)) if native is not None else None,
        best=CandidateStanding(candidate=best.candidate, **_standing(best)) if best is not None else None,
        gain=gain,
        phase=phase,
        promoted=state["promotion"] is not None,
        reason=_reason(state),
        environment_steps=_environment_steps(state, context),
        validator=_validator_effect(state, context),
        jail=context.journal.jail(),
    )


def _compared(state: State, context: Context) -> tuple[Phase, Evaluation | None, Evaluation | None]:
    """Native and best, in this order of trust: what was promoted, the last finalist, the best of the search.

    A pair always comes from the same stage and phase, so that it has its seeds in common. The phase says
    whether they were fresh: the search's own numbers flatter its winner.
    """
    promotion = state["promotion"]
    finalists = [promotion["candidate"]] if promotion is not None else list(state["finalists"])[::-1]
    for id in finalists:
        control = scored(state, context, confirm_branch(control_branch(state["finalists"][id])))
        candidate = scored(state, context, confirm_branch(id))
        if control is not None and candidate is not None:
            return "confirm", control, candidate
    for id in judgement.ranked(judgement.strengths(state["evaluated"])):
        control = scored(state, context, control_branch(state["evaluated"][id]["stage"]))
        return "search", control, scored(state, context, id)
    return "search", scored(state, context, control_branch(state["stage"])), None


def _standing(evaluation: Evaluation) -> dict[str, object]:
    return evaluation.model_dump(include={"score", "scores", "interval", "metrics"})


def _reason(state: State) -> str:
    verdict, promotion = Verdict.model_validate(state["verdict"]), state["promotion"]
    if promotion is not None and verdict.candidate != promotion["candidate"]:
        return f"stage {promotion['stage']} promoted {promotion['candidate']}; since then: {verdict.reason}"
    if state["approved"] is False:
        return f"{verdict.reason}; the promotion was refused"
    return verdict.reason


def _environment_steps(state: State, context: Context) -> int:
    evaluations = map(context.directory.required_evaluation, state["evaluated"])
    return sum(evaluation.steps * len(evaluation.seeds) for evaluation in evaluations)


def _validator_effect(state: State, context: Context) -> ValidatorEffect | None:
    """Counted from the trace, where every refusal and every veto stands once."""
    if context.parts.roles.validator is None:
        return None
    events = list(context.directory.events())
    refused = [e["candidate"] for e in events if e["event"] == "check" and e["by"] == "validator"]
    vetoed = sum(e["event"] == "promotion_review" and not e["approve"] for e in events)
    trained = {slot_of(outcome["candidate"]) for outcome in state["evaluated"].values()}
    untrained = {slot_of(id) for id in refused} - trained
    steps = context.settings.train.whole_steps * context.settings.method.search_seeds
    return ValidatorEffect(refused=len(refused), vetoed=vetoed, steps_saved=len(untrained) * steps)
