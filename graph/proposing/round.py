"""Who proposes for which slot of a round, and how proposals become candidates."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from marlsmith.agents.asking.accounting.ledger import Spent
from marlsmith.agents.generator import place_of
from marlsmith.agents.roles import Generator, Unfinished
from marlsmith.graph.briefing.briefs import proposal_brief
from marlsmith.graph.context import Context
from marlsmith.graph.naming import candidate_id, control_branch, edit_of, filled, slot_of
from marlsmith.graph.proposing import bandit
from marlsmith.graph.proposing.bandit import Play, Share
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import State, Words
from marlsmith.schemas import (
    AnswerError,
    BudgetError,
    Candidate,
    Interrupted,
    PausingError,
    Proposal,
    ProposalBrief,
    printable,
)

Slots = Mapping[str, tuple[int, ...]]
"""By author: the numbers of the slots that he is to fill. In a repair pass, of the rejected candidates."""


@dataclass(frozen=True)
class Returned:
    """What a generator brought from one question, and what kept it from more."""

    proposals: Sequence[Proposal] = ()
    error: AnswerError | PausingError | None = None


def shares(state: State, context: Context) -> dict[str, Share]:
    """The bandit's choice for a round that opens; empty where there is none, for one generator or a repair pass.

    A pure function of state and run directory, so that a resume and a replay choose the same.
    """
    cast = authors(context.parts.roles.generators)
    if len(cast) == 1 or state["attempt"] > 0:
        return {}
    slots = range(1, context.settings.method.candidates + 1)
    return bandit.allot(_plays(cast, state, context), slots, _seed(state, context))


def unanswered(
    state: State, context: Context, given: Mapping[str, Share], candidates: Sequence[Candidate]
) -> dict[str, list[Words]]:
    """The state's list, with the slots of this pass that brought nothing from whom they were given to.

    Where another one has filled such a slot, what was said for nothing is all the rest that it took.
    """
    made = {candidate.id: candidate for candidate in candidates}
    found = {name: [*empty] for name, empty in state["unanswered"].items()}
    for name, share in given.items():
        for slot in share.slots:
            candidate = made.get(f"s{state['stage']}r{state['round']}c{slot}")
            if candidate is None or candidate.author != name:
                place = place_of(state["stage"], state["round"], state["attempt"], slot)
                found.setdefault(name, []).append(_rest(context.parts.spent_at(place), candidate))
    return found


def _rest(spent: Spent, candidate: Candidate | None) -> Words:
    tokens, money = (candidate.tokens, candidate.money) if candidate else (0, None)
    rest = None if spent.money is None else max(0.0, spent.money - (money or 0.0))
    return Words(tokens=max(0, spent.usage.tokens - tokens), money=rest)


def ask_for_candidates(state: State, context: Context, given: Mapping[str, Share]) -> tuple[list[Candidate], list[str]]:
    """The generators' proposals as candidates in the order of their slots, and notes on what went wrong.

    All are asked at once. What one that cannot be reached leaves empty goes to the others. Raises PausingError
    where none can be reached any more, or where a round that opens brings nothing because no answer was usable;
    and BudgetError, for the budget is everybody's: what was answered is on record for the resume.
    """
    brief = proposal_brief(state, context)
    cast = authors(context.parts.roles.generators)
    dead: dict[str, PausingError] = {}
    useless: list[str] = []
    notes: list[str] = []
    found: list[tuple[int, Candidate]] = []
    due = {name: share.slots for name, share in given.items()} or _by_author(brief, list(cast))
    while due:
        open_slots: list[int] = []
        briefs = {name: _part(brief, slots) for name, slots in due.items() if slots}
        for name, returned in _returned(cast, briefs).items():
            part = briefs[name]
            candidates = _candidates(returned.proposals, part, name)
            found += candidates.items()
            if isinstance(returned.error, PausingError):
                dead[name] = returned.error
                open_slots += [slot for slot in part.slots if slot not in candidates]
                notes.append(f"{name} cannot be asked: {returned.error}")
            elif returned.error is not None:
                useless.append(f"{name} gave no usable proposal for {_slots(part.count)}: {returned.error}")
                notes.append(useless[-1])
            else:
                notes += _remarks(returned.proposals, part, name)
        due = _taken_over(sorted(open_slots), [name for name in cast if name not in dead], state, context)
        notes += [f"{name} takes {_slots(len(slots))} over" for name, slots in due.items() if slots]
    if len(dead) == len(cast):
        raise next(iter(dead.values()))
    if not found and useless and not brief.rejected:
        raise PausingError(
            f"round {brief.round} has no proposal to try: {printable(useless[-1], 300)}; "
            "a resume asks once more, a new run may ask another model"
        )
    if dead and len(found) < brief.count:
        empty = brief.count - len(found)
        notes.append(f"round {brief.round} has no proposal for {empty} of its {_slots(brief.count)}")
    found.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in found], [printable(note, 400) for note in notes]


def authors(generators: Sequence[Generator]) -> dict[str, Generator]:
    """Each generator under a name of its own, for two may be the same model at different addresses."""
    cast: dict[str, Generator] = {}
    for generator in generators:
        alike = sum(other.name == generator.name for other in cast.values())
        cast[f"{generator.name} ({alike + 1})" if alike else generator.name] = generator
    return cast


# ---------------------------------------------------------------- who is given what


def _plays(cast: Iterable[str], state: State, context: Context) -> dict[str, list[Play]]:
    """What each author's slots of earlier rounds came to. A slot's candidates are the first and its repairs."""
    plays = {name: [bandit.silent(**words) for words in state["unanswered"].get(name, [])] for name in cast}
    for _, ids in groupby(sorted(state["proposed"], key=slot_of), key=slot_of):
        family = [context.directory.candidate(id) for id in ids if not edit_of(id)]  # those are a person's
        if family[0].author in plays:
            gain = max(_gain(candidate, state) for candidate in family)
            words = sum(bandit.in_trainings(candidate.tokens, candidate.money) for candidate in family)
            plays[family[0].author].append(Play(gain, 1.0 + words))
    return plays


def _gain(candidate: Candidate, state: State) -> float:
    """In the search branch, over the control of its stage; 0 where either has no score."""
    branch = state["evaluated"].get(candidate.id)
    control = state["evaluated"].get(control_branch(candidate.stage))
    if branch is None or control is None or branch["score"] is None or control["score"] is None:
        return 0.0
    return max(0.0, branch["score"] - control["score"])


def _by_author(brief: ProposalBrief, cast: Sequence[str]) -> Slots:
    """Repairs go back to their author; all else to the only generator there is."""
    due: dict[str, tuple[int, ...]] = {}
    for slot in range(1, brief.count + 1):
        author = brief.rejected[slot - 1].candidate.author if brief.rejected else cast[0]
        name = author if author in cast else cast[0]
        due[name] = (*due.get(name, ()), slot)
    return due


def _taken_over(slots: Sequence[int], living: Sequence[str], state: State, context: Context) -> Slots:
    if not slots or not living:
        return {}
    given = bandit.allot(_plays(living, state, context), slots, _seed(state, context))
    return {name: share.slots for name, share in given.items()}


def _seed(state: State, context: Context) -> int:
    return role_seed(context.settings.seed, state["stage"], state["round"], state["attempt"])


def _slots(count: int) -> str:
    return f"{count} slot{'s' if count > 1 else ''}"


def _part(brief: ProposalBrief, slots: tuple[int, ...]) -> ProposalBrief:
    """The brief for some of its slots."""
    rejected = tuple(brief.rejected[slot - 1] for slot in slots) if brief.rejected else ()
    return brief.model_copy(update={"count": len(slots), "slots": slots, "rejected": rejected})


# ---------------------------------------------------------------- asking


def _returned(cast: Mapping[str, Generator], briefs: Mapping[str, ProposalBrief]) -> dict[str, Returned]:
    """All at once; each one's surroundings are copied, for LangGraph's writer finds its stream through them."""

    def ask(name: str) -> Returned:
        try:
            return Returned(cast[name].propose(briefs[name]))
        except (Interrupted, BudgetError):
            raise
        except Unfinished as unfinished:
            if isinstance(unfinished.cause, BudgetError):
                raise unfinished.cause from None
            return Returned(unfinished.made, unfinished.cause)
        except (AnswerError, PausingError) as error:
            return Returned(error=error)

    with ThreadPoolExecutor(max_workers=max(1, len(briefs))) as pool:
        asked = {name: pool.submit(contextvars.copy_context().run, ask, name) for name in briefs}
    return {name: future.result() for name, future in asked.items()}


def _remarks(proposals: Sequence[Proposal], brief: ProposalBrief, name: str) -> list[str]:
    count = len(proposals)
    if count > brief.count:
        return [f"{name} proposed {count} signals for {brief.count}: the rest was dropped"]
    if not proposals:
        return [f"{name} proposed nothing"]
    return [f"{name} gave {count} usable proposals of {brief.count}"] if count < brief.count else []


def _candidates(proposals: Sequence[Proposal], brief: ProposalBrief, author: str) -> dict[int, Candidate]:
    """By slot. Only parents that the generator was shown count as parents."""
    proposals = proposals[: brief.count]
    known = {elite.candidate.id for elite in brief.elites} | {r.candidate.id for r in brief.rejected}
    return {
        slot: Candidate(
            id=candidate_id(brief, slot),
            stage=brief.stage,
            round=brief.round,
            author=author,
            kind=proposal.kind,
            parents=tuple(parent for parent in proposal.parents if parent in known),
            rationale=proposal.rationale,
            tokens=proposal.tokens,
            money=proposal.money,
            signal=proposal.signal,
        )
        for slot, proposal in zip(filled(brief, proposals), proposals, strict=True)
    }
