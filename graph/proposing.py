"""Who proposes for which slot of a round, and how proposals become candidates."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from marlsmith.agents.asking.question import AnswerError
from marlsmith.agents.roles import Generator
from marlsmith.graph import bandit
from marlsmith.graph.bandit import Play, Share
from marlsmith.graph.briefs import proposal_brief
from marlsmith.graph.context import Context
from marlsmith.graph.naming import candidate_ids, slot_of
from marlsmith.graph.seeds import role_seed
from marlsmith.graph.state import State, control_branch
from marlsmith.schemas import Candidate, Interrupted, PausingError, Proposal, ProposalBrief, printable

Slots = Mapping[str, tuple[int, ...]]
"""By author: the numbers of the slots that he is to fill. In a repair pass, of the rejected candidates."""
Answer = list[Proposal] | AnswerError | PausingError


def shares(state: State, context: Context) -> dict[str, Share]:
    """The bandit's choice for a round that opens; empty where there is none, for one generator or a repair pass.

    A pure function of state and run directory, so that a resume and a replay choose the same.
    """
    cast = authors(context.parts.roles.generators)
    if len(cast) == 1 or state["attempt"] > 0:
        return {}
    slots = range(1, context.settings.method.candidates + 1)
    return bandit.allot(_plays(cast, state, context), slots, _seed(state, context))


def unanswered(state: State, given: Mapping[str, Share], candidates: Sequence[Candidate]) -> dict[str, int]:
    """The state's count, with the slots of this pass that brought nothing from whom they were given to."""
    made = [candidate.author for candidate in candidates]
    empty = {name: max(0, len(share.slots) - made.count(name)) for name, share in given.items()}
    return {name: state["unanswered"].get(name, 0) + empty.get(name, 0) for name in {**state["unanswered"], **empty}}


def ask_for_candidates(state: State, context: Context, given: Mapping[str, Share]) -> tuple[list[Candidate], list[str]]:
    """The generators' proposals as candidates in the order of their slots, and notes on what went wrong.

    All are asked at once. The slots of one that cannot be reached go to the others. Raises PausingError where
    none can be reached, or where a round that opens brings nothing because no answer was usable.
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
        for name, answer in _answers(cast, briefs).items():
            part = briefs[name]
            if isinstance(answer, PausingError):
                dead[name] = answer
                open_slots += part.slots
                notes.append(f"{name} cannot be asked, others take its slots: {answer}")
            elif isinstance(answer, AnswerError):
                useless.append(f"{name} gave no usable proposal: {answer}")
                notes.append(useless[-1])
            else:
                found += zip(part.slots, _candidates(answer, part, name), strict=False)
                notes += _remarks(answer, part, name)
        due = _taken_over(sorted(open_slots), [name for name in cast if name not in dead], state, context)
    if not found:
        _pause_where_nobody_helps(brief, cast, dead, useless)
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
    plays = {name: [bandit.SILENT] * state["unanswered"].get(name, 0) for name in cast}
    for _, ids in groupby(sorted(state["proposed"], key=slot_of), key=slot_of):
        family = [context.directory.candidate(id) for id in ids]
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


def _part(brief: ProposalBrief, slots: tuple[int, ...]) -> ProposalBrief:
    """The brief for some of its slots."""
    rejected = tuple(brief.rejected[slot - 1] for slot in slots) if brief.rejected else ()
    return brief.model_copy(update={"count": len(slots), "slots": slots, "rejected": rejected})


# ---------------------------------------------------------------- asking


def _answers(cast: Mapping[str, Generator], briefs: Mapping[str, ProposalBrief]) -> dict[str, Answer]:
    """All at once; each one's surroundings are copied, for LangGraph's writer finds its stream through them."""

    def ask(name: str) -> Answer:
        try:
            return cast[name].propose(briefs[name])
        except Interrupted:
            raise
        except (AnswerError, PausingError) as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, len(briefs))) as pool:
        asked = {name: pool.submit(contextvars.copy_context().run, ask, name) for name in briefs}
    return {name: future.result() for name, future in asked.items()}


def _pause_where_nobody_helps(
    brief: ProposalBrief, cast: Mapping[str, Generator], dead: Mapping[str, PausingError], useless: Sequence[str]
) -> None:
    if len(dead) == len(cast):
        raise next(iter(dead.values()))
    if useless and not brief.rejected:
        raise PausingError(f"round {brief.round} has no proposal to try: {printable(useless[-1], 300)}")


def _remarks(proposals: Sequence[Proposal], brief: ProposalBrief, name: str) -> list[str]:
    count = len(proposals)
    if count > brief.count:
        return [f"{name} proposed {count} signals for {brief.count}: the rest was dropped"]
    if not proposals:
        return [f"{name} proposed nothing"]
    return [f"{name} gave {count} usable proposals of {brief.count}"] if count < brief.count else []


def _candidates(proposals: Sequence[Proposal], brief: ProposalBrief, author: str) -> list[Candidate]:
    """Only parents that the generator was shown count as parents."""
    proposals = proposals[: brief.count]
    known = {elite.candidate.id for elite in brief.elites} | {r.candidate.id for r in brief.rejected}
    return [
        Candidate(
            id=id,
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
        for id, proposal in zip(candidate_ids(brief, proposals), proposals, strict=True)
    ]
