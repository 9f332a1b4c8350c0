"""The validator role played by a model: a word on a candidate before it costs a training."""

from __future__ import annotations

from marlsmith.agents.asking.client import Client
from marlsmith.prompts import Prompts
from marlsmith.schemas import Review, ReviewBrief, canonical, printable


class ModelValidator:
    def __init__(self, client: Client, prompts: Prompts | None = None) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()

    def review(self, brief: ReviewBrief) -> Review:
        """Approval or reasons to refuse.

        Raises AnswerError where the model gives no usable review (the caller notes it and goes on) and
        EndpointError where no answer can be had.
        """
        review = self._client.ask(
            "validator",
            f"{brief.candidate.id}/check",
            self._prompts.render("validator/system"),
            self._prompts.render(
                "validator/user", brief=brief, duplicate=canonical(brief.candidate.signal) in brief.tried
            ),
            Review,
            complaints=_silent_refusal,
        )
        reasons = tuple(printable(reason, 300) for reason in review.reasons)
        if not review.approve and not reasons:
            reasons = ("the validator gave no reason",)
        return Review(approve=review.approve, reasons=reasons)


def _silent_refusal(review: Review) -> list[str]:
    """A refusal must say why, or the author has nothing to mend."""
    return [] if review.approve or review.reasons else ["it refuses the candidate without a reason"]
