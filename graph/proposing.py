"""Who proposes, and how proposals become candidates."""

from __future__ import annotations

from marlsmith.agents.asking.question import AnswerError
from marlsmith.graph.briefs import proposal_brief
from marlsmith.graph.context import Context
from marlsmith.graph.naming import candidate_ids
from marlsmith.graph.state import State
from marlsmith.schemas import Candidate, Proposal, ProposalBrief, printable


def ask_for_candidates(state: State, context: Context) -> tuple[list[Candidate], str | None]:
    """The generator's proposals as candidates, and a note where there was something to note."""
    brief = proposal_brief(state, context)
    generator = context.parts.roles.generators[0]
    try:
        proposals = generator.propose(brief)
    except AnswerError as error:
        return [], f"{generator.name} gave no usable proposal: {printable(str(error), 300)}"
    note = None
    if len(proposals) > brief.count:
        note = f"{generator.name} proposed {len(proposals)} signals for {brief.count}: the rest was dropped"
    elif not proposals:
        note = f"{generator.name} proposed nothing"
    elif len(proposals) < brief.count:
        note = f"{generator.name} gave {len(proposals)} usable proposals of {brief.count}"
    proposals = proposals[: brief.count]
    ids = candidate_ids(brief, proposals)
    return [_candidate(id, p, brief, generator.name) for id, p in zip(ids, proposals, strict=True)], note


def _candidate(id: str, proposal: Proposal, brief: ProposalBrief, author: str) -> Candidate:
    """Only parents that the generator was shown count as parents."""
    known = {elite.candidate.id for elite in brief.elites} | {r.candidate.id for r in brief.rejected}
    return Candidate(
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
