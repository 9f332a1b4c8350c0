"""The generator role played by a model: one question for each proposal that is wanted, all asked at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import TextForm
from marlsmith.agents.generating.plan import Commission, plan
from marlsmith.agents.generating.sketches import Answer, modules, usable
from marlsmith.agents.generating.tools import Tryout
from marlsmith.agents.generating.vocabulary import vocabulary, wanted
from marlsmith.agents.roles import Unfinished, Workbench
from marlsmith.prompts import Prompts
from marlsmith.schemas import (
    AnswerError,
    Interrupted,
    PausingError,
    Proposal,
    ProposalBrief,
    canonical,
    printable,
)

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
        """What is usable of the model's answers, in the order of their slots, which each of them names.

        Raises AnswerError where no slot gave anything usable (the caller notes it and goes on), and PausingError
        where one could not be asked: after the others under way have ended, with what they gave as Unfinished.
        """
        commissions = plan(brief)
        halts: list[Exception] = []
        with ThreadPoolExecutor(max_workers=max(1, min(len(commissions), self._parallel))) as pool:
            asked = [pool.submit(self._tried, brief, commission, halts) for commission in commissions]
        made: list[Proposal] = []
        faults: dict[str, list[int]] = {}
        pauses: list[PausingError] = []
        for commission, future in zip(commissions, asked, strict=True):
            try:
                made.append(future.result())
            except AnswerError as error:
                reason = str(error).removeprefix(f"{self.name} as generator: ")  # who it is, the caller says
                faults.setdefault(reason, []).append(commission.slot)
            except Interrupted:
                raise
            except PausingError as error:
                pauses.append(error)
        if pauses:
            raise Unfinished(made, pauses[0]) if made else pauses[0]
        if not made:
            raise AnswerError(_told_once(faults))
        return made

    def _tried(self, brief: ProposalBrief, commission: Commission, halts: list[Exception]) -> Proposal:
        try:
            return self._one(brief, commission, _gate(halts))
        except AnswerError:
            raise
        except Exception as error:
            halts.append(error)
            raise

    def _one(self, brief: ProposalBrief, commission: Commission, gate: Callable[[], None]) -> Proposal:
        place = place_of(brief.stage, brief.round, brief.attempt, commission.slot)
        system, user = told(brief, commission, self._prompts, tools=self._workbench is not None)
        answer = self._client.behind(gate).ask(
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
            sketch, signal = usable(answer, brief, commission.slot)
        except ValueError as error:
            self._client.discard(place)
            raise AnswerError(str(error)) from None
        spent = self._client.spent(place)
        return Proposal(
            signal=signal,
            kind=commission.kind,
            parents=commission.parents,
            rationale=printable(sketch.rationale, RATIONALE_LENGTH) or "(none given)",
            slot=commission.slot,
            tokens=spent.usage.tokens,
            money=spent.money,
        )


def place_of(stage: int, round: int, attempt: int, slot: int) -> str:
    return f"s{stage}r{round}a{attempt}/{slot}"


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


def _told_once(faults: Mapping[str, Sequence[int]]) -> str:
    """The slots of each fault; without them where all have the same."""
    if len(faults) == 1:
        return next(iter(faults))
    named = {
        fault: f"slot{'s' if len(slots) > 1 else ''} {', '.join(map(str, slots))}" for fault, slots in faults.items()
    }
    return "; ".join(f"in {slots} {fault}" for fault, slots in named.items())


def _complaints(answer: Answer, brief: ProposalBrief, slot: int) -> list[str]:
    try:
        _, signal = usable(answer, brief, slot)
    except ValueError as error:
        return [str(error)]
    if canonical(signal) in brief.tried:
        return ["this very signal was tried already in this run: propose another one"]
    return []


def _gate(halts: Sequence[Exception]) -> Callable[[], None]:
    """Of one slot: where another one has met more than an unusable answer, it does not begin to ask. If it has begun,
    it goes on, for what it has is paid for."""
    begun = False

    def passed() -> None:
        nonlocal begun
        if halts and not begun:
            raise halts[0]
        begun = True

    return passed
