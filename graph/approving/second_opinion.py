"""The validator's second word: on a branch's result, when the statistics accept it and before it is promoted."""

from __future__ import annotations

from marlsmith.graph.briefing.briefs import code_of, main_brief
from marlsmith.graph.context import Context
from marlsmith.graph.naming import confirm_branch, confirm_control, edit_of
from marlsmith.graph.state import State
from marlsmith.graph.telling.trace import PromotionReviewed
from marlsmith.schemas import PromotionBrief, Review, Verdict, printable


def second_opinion(verdict: Verdict, state: State, context: Context) -> PromotionReviewed | None:
    """Asked once for a candidate, and read back afterwards; None where nobody is to review. Raises AnswerError."""
    validator = context.parts.roles.validator
    if validator is None or verdict.candidate is None:
        return None
    brief = _brief(verdict, verdict.candidate, state, context)
    review = context.directory.once(f"{verdict.candidate}-promotion", Review, lambda: validator.confirm(brief))
    return PromotionReviewed(
        stage=state["stage"],
        candidate=verdict.candidate,
        author=validator.name,
        approve=review.approve,
        reasons=review.reasons or (() if review.approve else ("no reason was given",)),
    )


def vetoed(verdict: Verdict, review: PromotionReviewed) -> Verdict:
    """What the statistics said stays in the verdict's numbers."""
    reasons = printable("; ".join(review.reasons), 400)
    reason = f"{review.author} vetoed the promotion, which the statistics accept: {reasons}"
    return verdict.model_copy(update={"decision": "keep", "reason": reason})


def _brief(verdict: Verdict, id: str, state: State, context: Context) -> PromotionBrief:
    directory, method = context.directory, context.settings.method.at(state["stage"])
    candidate = directory.candidate(id)
    control = confirm_control(state["stage"], state["round"], adapts=method.adapts, edit=edit_of(id))
    return PromotionBrief(
        task=context.parts.card,
        candidate=candidate,
        code=code_of(candidate.signal, context),
        scope=method.scope,
        reward_mode=method.reward_mode,
        verdict=verdict,
        evaluation=directory.required_evaluation(confirm_branch(id)),
        control=directory.required_evaluation(control),
        main=main_brief(state, context),
    )
