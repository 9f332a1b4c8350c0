"""What the roles would be sent, without sending it; and an example of what they are told about, on any task."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import Question, Reply
from marlsmith.agents.critic import ModelCritic
from marlsmith.agents.generator import ModelGenerator
from marlsmith.agents.roles import Roles
from marlsmith.agents.validator import ModelValidator
from marlsmith.prompts import Prompts
from marlsmith.schemas import (
    AnswerError,
    Candidate,
    Citation,
    Code,
    CurvePoint,
    Diagnosis,
    DiagnosisBrief,
    DiscreteActions,
    Elite,
    Entity,
    Evaluation,
    Failure,
    Finding,
    MainRun,
    Metric,
    ObservationPart,
    PromotionBrief,
    ProposalBrief,
    Refused,
    Rejection,
    ReviewBrief,
    Signal,
    StateField,
    TaskCard,
    TermStatistics,
    ToolUse,
    Tried,
    Verdict,
)

Brief = ProposalBrief | DiagnosisBrief | ReviewBrief | PromotionBrief


class Nobody:
    """A wire that takes note of what it is asked, and has no answer."""

    name = asked = "nobody"

    def __init__(self) -> None:
        self._asked: list[Question] = []

    def send(self, question: Question) -> Reply:
        self._asked.append(question)
        raise AnswerError("nobody is there")

    def heard(self) -> list[Question]:
        """In the order of their places, for those of a round are asked at once."""
        return sorted(self._asked, key=lambda question: (len(question.place), question.place))


class _EmptyBench:
    """A generator that has one is told of its tools; where nobody answers, they are never used."""

    def check(self, signal: Signal) -> list[str]:
        return []

    def probe(self, signal: Signal) -> str:
        return ""

    def tell(self, use: ToolUse) -> None:
        pass


def roles(nobody: Nobody, prompts: Prompts, *, tools: bool = False) -> Roles:
    """Whatever is asked of them, they raise AnswerError. `tools`: as a generator is asked that may use some."""
    client = Client(nobody, Accounts(), prompts)
    generator = ModelGenerator(client, prompts, _EmptyBench() if tools else None)
    return Roles((generator,), ModelCritic(client, prompts), ModelValidator(client, prompts))


def questions(brief: Brief, prompts: Prompts, *, tools: bool = False) -> list[Question]:
    """All that a model would be asked for this brief at first. Raises UserError where a template fails."""
    nobody = Nobody()
    cast = roles(nobody, prompts, tools=tools)
    assert cast.validator is not None
    with suppress(AnswerError):
        match brief:
            case ProposalBrief():
                cast.generators[0].propose(brief)
            case DiagnosisBrief():
                cast.critic.diagnose(brief)
            case ReviewBrief():
                cast.validator.review(brief)
            case PromotionBrief():
                cast.validator.confirm(brief)
    return nobody.heard()


def rehearse(prompts: Prompts) -> None:
    """Renders the templates on examples of every kind, so that a fault in one is not met in the middle of a run."""
    for brief in examples(CARD):
        for tools in (False, True):
            questions(brief, prompts, tools=tools)
    prompts.render("answer/repair", fault="it holds no JSON object")


# ---------------------------------------------------------------- examples

CARD = TaskCard(
    name="example",
    description="Two rovers park on two beacons.",
    agents=2,
    actions=DiscreteActions(meanings=(("stay", "forward"),) * 2),
    observation_size=4,
    horizon=25,
    fields=tuple(
        StateField(name=name, shape="[B, 2, 2]", unit="lengths", meaning=name) for name in ("agent_pos", "beacon_pos")
    ),
    observation=(
        ObservationPart(name="beacons", start=0, stop=4, kind="offset", of="beacon", meaning="vector to each"),
    ),
    entities=(
        Entity(name="agent", count=2, position="agent_pos", radius=0.15),
        Entity(name="beacon", count=2, position="beacon_pos", radius=0.05),
    ),
    target="beacon",
    reach=0.1,
    collide=0.3,
    metrics=(Metric(name="parked", unit="share", meaning="beacons with a rover on them"),),
    score="parked",
    sparsity="only when every beacon is taken",
)
SOURCE = """import torch

ALPHA = 0.5


def agent_reward(state):
    return {"effort": -state.action.float().abs()}


def global_reward(state):
    return {"native": state.reward.mean(-1)}
"""


def candidate(id: str, round: int = 1) -> Candidate:
    """Written by no role, and for no task in particular."""
    signal = Signal(reward=Code(source=SOURCE))
    return Candidate(
        id=id, stage=1, round=round, author="example", kind="new", rationale="an example, made up", signal=signal
    )


def evaluation(card: TaskCard, id: str, branch: str, score: float) -> Evaluation:
    """Its numbers are made up."""
    points = [
        CurvePoint(steps=10_000 * i, score=score * i / 3, native_return=-9 / i, shaped_return=i) for i in (1, 2, 3)
    ]
    return Evaluation(
        candidate=id,
        branch=branch,
        seeds=(0, 1),
        steps=30_000,
        score=score,
        scores=(score - 0.05, score + 0.05),
        interval=(score - 0.04, score + 0.04),
        metrics={metric.name: score for metric in card.metrics},
        behaviour={"idleness": 0.25},
        terms={
            "effort": TermStatistics(mean=-0.5, spread=0.5, share=0.3),
            "native": TermStatistics(mean=-1.2, spread=0.4, share=0.7),
        },
        curve=tuple(points),
        warnings=("an example of a warning",),
    )


def examples(card: TaskCard) -> list[Brief]:
    """Briefs of every role, early and late in a run."""
    parent = candidate("s1r1c1")
    control = evaluation(card, "native", "control-s1", 0.3)
    measured = evaluation(card, parent.id, parent.id, 0.4)
    elite = Elite(candidate=parent, code=SOURCE, evaluation=measured)
    error = Failure(stage="crash", message="an example of a crash")
    crashed = Evaluation(candidate="s1r1c2", branch="s1r1c2", seeds=(0,), steps=30_000, error=error)
    failed = Elite(candidate=candidate("s1r1c2"), code=SOURCE, evaluation=crashed)
    refused = Rejection(candidate=candidate("s1r2c1", round=2), problems=("an example of a problem",))
    cited = (Citation(key="s1r1c1.score", value=0.4),)
    findings = (Finding(failure="precision", evidence=cited, advice="an example of advice"),)
    diagnosis = Diagnosis(summary="an example of a diagnosis", findings=findings)
    first: dict[str, Any] = {"task": card, "count": 2, "stage": 1, "round": 1, "seed": 0, "reward_mode": "replace"}
    later = {**first, "round": 2, "elites": (elite, failed), "control": control, "failed": (refused,)}
    contract: dict[str, Any] = {"task": card, "code": SOURCE, "scope": "own", "reward_mode": "replace"}
    verdict = Verdict(
        decision="accept", candidate=parent.id, reason="an example", gain=0.1, interval=(0.05, 0.15), lower_bound=0.06
    )
    main = MainRun(
        stages=6,
        steps=20_000,
        until=120_000,
        branch_steps=20_000,
        fade=0.8,
        evaluation=evaluation(card, "m", "m", 0.35),
    )
    gate = {"gain": -0.05, "lower_bound": -0.1, "reason": "an example of a reason"}
    unpromoted = Refused(candidate=candidate("s2r1c1"), code=SOURCE, evaluation=measured, **gate)
    came = (Tried(id="s2r1c1", kind="new", summary="an example", score=0.4, gain=-0.05, came="an example"),)
    adapting: dict[str, Any] = {**later, "stage": 2, "reward_mode": "add", "main": main}
    tried = {"refused": (unpromoted,), "past": came, "evolve": "both", "scope": "own", "signals": "any"}
    return [
        ProposalBrief(**first, evolve="both", scope="own", signals="any"),
        ProposalBrief(**first, evolve="observation", scope="team", signals="any"),
        ProposalBrief(**later, evolve="reward", scope="own", signals="config", diagnosis=diagnosis),
        ProposalBrief(**later, evolve="both", scope="own", signals="any", diagnosis=diagnosis, rejected=(refused,)),
        ProposalBrief(**first | {"main": main}, evolve="observation", scope="team", signals="any"),
        ProposalBrief(**adapting, **tried, incumbent=elite, diagnosis=diagnosis),
        DiagnosisBrief(task=card, stage=1, round=1, evidence={"native.score": 0.3}),
        DiagnosisBrief(
            task=card,
            stage=1,
            round=2,
            evidence={"s1r1c1.score": 0.4},
            elites=(elite, failed),
            history=("stage 1 round 1: found nothing",),
        ),
        DiagnosisBrief(task=card, stage=1, round=1, evidence={"main.score": 0.3}, main=main),
        DiagnosisBrief(
            task=card,
            stage=2,
            round=2,
            evidence={"main.score": 0.4, "control.score": 0.4, "s2r1c1.gain": -0.05},
            elites=(elite, failed),
            history=("stage 2 round 1: found precision; nothing promoted",),
            main=main,
            incumbent=elite,
        ),
        ReviewBrief(**contract, candidate=parent),
        PromotionBrief(**contract, candidate=parent, verdict=verdict, evaluation=measured, control=control),
    ]
