"""The run's last word: the best signal and the native task, compared on the same seeds, and what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Index, Line
from marlsmith.agents.asking.accounting.prices import DIGITS
from marlsmith.agents.asking.address import address
from marlsmith.agents.asking.question import NO_USAGE, Role
from marlsmith.agents.settings import NOBODY, ModelSettings
from marlsmith.graph.adapting import outcome as adapting
from marlsmith.graph.briefing.briefs import scored
from marlsmith.graph.context import Context
from marlsmith.graph.judging import judgement
from marlsmith.graph.methods import branch_steps
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, edit_of, heat_branch, slot_of
from marlsmith.graph.state import Outcome, Phase, State
from marlsmith.graph.telling.trace import CandidateStanding, Finished, Gain, Player, Standing, ValidatorEffect
from marlsmith.schemas import Evaluation, Verdict


def finished_event(state: State, context: Context) -> Finished:
    adapts = context.settings.method.adapts
    phase, native, best = adapting.compared(state, context) if adapts else _compared(state, context)
    gain, steps = None, environment_steps(state["evaluated"], context)
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
        environment_steps=steps,
        main=adapting.story(state, context, steps) if adapts else None,
        validator=_validator_effect(state, context),
        roles=tuple(_players(context)),
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
        again = confirm_control(state["finalists"][id], 0, adapts=False, edit=edit_of(id))
        control = scored(state, context, again)
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
    return verdict.reason


def environment_steps(evaluated: Mapping[str, Outcome], context: Context) -> int:
    """Of all trainings, over all seeds. What was put together from heats was not trained again."""
    trained = (branch for branch in evaluated if heat_branch(branch, 1) not in evaluated)
    evaluations = map(context.directory.required_evaluation, trained)
    return sum(evaluation.environment_steps for evaluation in evaluations)


def _validator_effect(state: State, context: Context) -> ValidatorEffect | None:
    """Counted from the trace, where every refusal and every veto stands once."""
    if context.parts.roles.validator is None:
        return None
    events = list(context.directory.events())
    refused = [e["candidate"] for e in events if e["event"] == "check" and e["by"] == "validator"]
    vetoed = sum(e["event"] == "promotion_review" and not e["approve"] for e in events)
    trained = {slot_of(outcome["candidate"]) for outcome in state["evaluated"].values()}
    untrained = {slot_of(id) for id in refused} - trained
    steps = branch_steps(context.settings) * context.settings.method.search_seeds
    return ValidatorEffect(refused=len(refused), vetoed=vetoed, steps_saved=len(untrained) * steps)


def _players(context: Context) -> Iterator[Player]:
    """By the settings, and whom they named before somebody corrected them; counted from the record."""
    roles = context.settings.roles
    paid: defaultdict[tuple[Role, str], list[Line]] = defaultdict(list)
    for line in Index(book.read(context.directory.path / book.FILE)).lines():
        if book.usage_of(line) is not None:
            paid[line["role"], line["asked"]].append(line)
    for role, name in roles.cast:
        if name == NOBODY:
            continue
        model = roles.models.get(name)
        key = next((key for key in paid if model and key[0] == role and book.model_of(key[1]) == model), None)
        yield _player(role, name, model, paid.pop(key) if key else [])
    for (role, asked), lines in paid.items():
        yield _player(role, None, book.model_of(asked), lines)


def _player(role: Role, name: str | None, model: ModelSettings | None, lines: list[Line]) -> Player:
    usage = sum((book.usage_of(line) or NO_USAGE for line in lines), NO_USAGE)
    money = [line["money"] for line in lines if line["money"] is not None]
    return Player(
        role=role,
        name=name,
        model=model.model if model else None,
        address=address(model) if model else None,
        calls=len(lines),
        failed=sum(map(book.failed, lines)),
        tokens=usage.tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        money=round(sum(money), DIGITS) if money else None,
        currency="US dollars" if model and money and model.price is None else None,
    )
