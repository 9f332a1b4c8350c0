"""The generator role played by a model: one question for each proposal that is wanted, all asked at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import AnswerError, TextForm
from marlsmith.agents.generating.drafts import Answer, modules, usable
from marlsmith.agents.generating.plan import Commission, plan
from marlsmith.agents.generating.tools import Tryout
from marlsmith.agents.generating.vocabulary import vocabulary, wanted
from marlsmith.agents.roles import Workbench
from marlsmith.prompts import Prompts
from marlsmith.schemas import Proposal, ProposalBrief, canonical, printable

RATIONALE_LENGTH = 600
PARALLEL = 4


class ModelGenerator:
    """`parallel`: questions at the same time. Without a workbench it answers without trying its signals first."""

    def __init__(
        self,
        client: Client,
        prompts: Prompts | None = None,
        workbench: Workbench | None = None,
        parallel: int = PARALLEL,
    ) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()
        self._workbench = workbench
        self._parallel = parallel

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        """What is usable of the model's answers, in the order of their slots: one for each, or none.

        Raises AnswerError where no slot gave anything usable (the caller notes it and goes on), and PausingError
        where one slot met it: after the others under way have ended, so that what they cost is on record.
        """
        commissions = plan(brief)
        with ThreadPoolExecutor(max_workers=max(1, min(len(commissions), self._parallel))) as pool:
            asked = [pool.submit(self._one, brief, commission) for commission in commissions]
            _stop_at_the_first_halt(pool, asked)
        made: list[Proposal] = []
        faults: list[str] = []
        for commission, future in zip(commissions, asked, strict=True):
            try:
                made.append(future.result())
            except AnswerError as error:
                faults.append(f"slot {commission.slot}: {error}")
        if not made:
            raise AnswerError(f"{self.name} as generator: no usable proposal: {'; '.join(faults)}")
        return made

    def _one(self, brief: ProposalBrief, commission: Commission) -> Proposal:
        place = f"s{brief.stage}r{brief.round}a{brief.attempt}/{commission.slot}"
        system, user = told(brief, commission, self._prompts, tools=self._workbench is not None)
        answer = self._client.ask(
            "generator",
            place,
            system,
            user,
            Answer,
            complaints=lambda answer: _complaints(answer, brief, commission.slot),
            text_form=TextForm(self._prompts.render("answer/modules"), modules) if brief.signals == "any" else None,
            tools=Tryout(self._workbench, brief, self.name, place) if self._workbench else None,
        )
        try:
            draft, signal = usable(answer, brief, commission.slot)
        except ValueError as error:
            self._client.discard(place)
            raise AnswerError(str(error)) from None
        spent = self._client.spent(place)
        return Proposal(
            signal=signal,
            kind=commission.kind,
            parents=commission.parents,
            rationale=printable(draft.rationale, RATIONALE_LENGTH) or "(none given)",
            tokens=spent.usage.tokens,
            money=spent.money,
        )


def told(brief: ProposalBrief, commission: Commission, prompts: Prompts, *, tools: bool = False) -> tuple[str, str]:
    """What a slot is sent, as system and user. Slots differ at the end alone: endpoints may keep the rest at hand."""
    parts = wanted(brief)
    system = prompts.render(
        "generator/system",
        brief=brief,
        reward_terms=vocabulary("reward") if "reward" in parts else (),
        features=vocabulary("observation") if "observation" in parts else (),
        tools=tools,
    )
    return system, prompts.render("generator/user", brief=brief, commission=commission)


def _complaints(answer: Answer, brief: ProposalBrief, slot: int) -> list[str]:
    try:
        _, signal = usable(answer, brief, slot)
    except ValueError as error:
        return [str(error)]
    if canonical(signal) in brief.tried:
        return ["this very signal was tried already in this run: propose another one"]
    return []


def _stop_at_the_first_halt(pool: ThreadPoolExecutor, asked: list[Future[Proposal]]) -> None:
    """Where one question ends in more than an unusable answer, those that wait are not put any more."""
    for future in as_completed(asked):
        if future.cancelled():
            continue
        error = future.exception()
        if error is not None and not isinstance(error, AnswerError):
            pool.shutdown(wait=True, cancel_futures=True)
            raise error
