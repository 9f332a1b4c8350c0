"""The validator role played by a model: its word before a candidate costs a training, and before it is promoted."""

from __future__ import annotations

from marlsmith.agents.asking.client import Client
from marlsmith.prompts import Prompts
from marlsmith.schemas import PromotionBrief, Review, ReviewBrief, canonical, printable


class ModelValidator:
    """Both calls raise AnswerError where the model gives no usable review (the caller notes it and goes on), and
    PausingError where no answer can be had."""

    def __init__(self, client: Client, prompts: Prompts | None = None) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()

    def review(self, brief: ReviewBrief) -> Review:
        """Whether the candidate may be trained."""
        return self._word(
            f"{brief.candidate.id}/check",
            self._prompts.render("validator/system"),
            self._prompts.render(
                "validator/user", brief=brief, duplicate=canonical(brief.candidate.signal) in brief.tried
            ),
        )

    def confirm(self, brief: PromotionBrief) -> Review:
        """Whether a candidate that the statistics accept may be promoted."""
        return self._word(
            f"{brief.candidate.id}/promotion",
            self._prompts.render("validator/promotion_system", brief=brief),
            self._prompts.render("validator/promotion_user", brief=brief),
        )

    def _word(self, place: str, system: str, user: str) -> Review:
        review = self._client.ask("validator", place, system, user, Review, complaints=_silent_refusal)
        reasons = tuple(printable(reason, 300) for reason in review.reasons)
        if not review.approve and not reasons:
            reasons = ("the validator gave no reason",)
        return Review(approve=review.approve, reasons=reasons)


def _silent_refusal(review: Review) -> list[str]:
    """A refusal must say why, or nobody has anything to mend."""
    return [] if review.approve or review.reasons else ["it refuses the candidate without a reason"]
