"""What a run would ask of its roles, before it asks: calls and tokens, from the method and from rendered prompts.

Nothing is sent.

Assumptions, for nobody knows an answer before it is given:
- a token is four bytes; a prompt is what the role would be sent, with the schema of the answer;
- answers have as many tokens as in ANSWERS, a model that thinks aloud up to THINKING times as many;
- every fourth question leads to one more (a repair turn, a repair pass), and a generator with tools tries each
  candidate once; at most, each takes a repair turn, all repair passes and all calls of tools;
- several generators share the proposals evenly; at most and at least, the dearest or the cheapest makes all;
- an adapted main run plays three of four of its rounds, half of the candidates leave a race after its first heat, and
  one round of four comes to a confirmation, of two finalists; at least it plays one round, which leaves no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum

from marlsmith.agents import rehearsal
from marlsmith.agents.asking.accounting.estimates import prompt_tokens, tokens_in
from marlsmith.agents.asking.question import Question, Role
from marlsmith.agents.generating.tools import MOST_CALLS
from marlsmith.agents.offline import OfflineGenerator
from marlsmith.agents.rehearsal import Brief
from marlsmith.agents.settings import BUILT_IN, MANUAL, NOBODY
from marlsmith.agents.templates import prompts_of
from marlsmith.graph.briefing.evidence import evidence, main_evidence
from marlsmith.graph.briefing.history import LONGEST_LINE
from marlsmith.graph.methods import Method, RunSettings
from marlsmith.marl.signals.writer import to_code
from marlsmith.schemas import (
    Candidate,
    Code,
    CurvePoint,
    DiagnosisBrief,
    Elite,
    Evaluation,
    MainRun,
    ProposalBrief,
    Refused,
    ReviewBrief,
    Signal,
    SignalError,
    TaskCard,
    TermStatistics,
    UserError,
)

ANSWERS: dict[Role, int] = {"generator": 1200, "critic": 400, "validator": 250}
"""Completion tokens of one answer."""
THINKING = 4
MORE = 0.25
"""Further questions for each one, on average."""
TRIES = 1
"""Calls of tools for a candidate, on average."""
TOOL_ANSWER = 600
"""Completion tokens of a call of a tool: the candidate once more."""
PLAYED, RACED_ON, CONFIRMED = 0.75, 0.5, 0.25
"""Of an adapted main run: rounds that are played, candidates behind their first heat, rounds with a confirmation."""
FINALISTS = 2
"""In a confirmation."""
ROLES: tuple[Role, ...] = ("generator", "critic", "validator")


@dataclass(frozen=True)
class Range:
    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, factor: float) -> Range:
        return Range(self.low * factor, self.likely * factor, self.high * factor)


@dataclass(frozen=True)
class Asked:
    """What one role asks of one player, as if no other had a share but in what is likely.

    Nothing is charged for a person's answers.
    """

    role: Role
    who: str
    calls: Range
    prompt: Range = Range()
    """Tokens of all calls together."""
    completion: Range = Range()

    @property
    def tokens(self) -> Range:
        return self.prompt + self.completion


def forecast(settings: RunSettings, card: TaskCard) -> tuple[Asked, ...]:
    """Of every role that is not played offline alone."""
    prompts = prompts_of(settings.roles, None)

    def tokens(brief: Brief) -> float:
        asked = rehearsal.questions(brief, prompts, tools=True)
        lengths = [prompt_tokens(question) + _schema(question) for question in asked]
        return sum(lengths) / len(lengths)

    return tuple(asked for role in ROLES for asked in _of_role(role, settings, _Example(settings, card), tokens))


def _schema(question: Question) -> int:
    return tokens_in(json.dumps(question.schema.model_json_schema()))


def _of_role(role: Role, settings: RunSettings, example: _Example, tokens: Callable[[Brief], float]) -> Iterator[Asked]:
    players = {"generator": settings.roles.generators, "critic": (settings.roles.critic,)}
    named = players.get(role, (settings.roles.validator,))
    calls = questions(role, settings.method)
    for who in named:
        if who == NOBODY or (who in BUILT_IN and len(named) == 1):
            continue
        if who in BUILT_IN:
            yield Asked(role, who, Range())
            continue
        share = Range(calls.low, calls.likely / len(named), calls.high)
        if who == MANUAL:
            yield Asked(role, who, share)
            continue
        model = settings.roles.models[who]
        uses = _uses(settings.method, share.likely) if role == "generator" and model.tools else Range()
        first, later = tokens(example.early(role)), tokens(example.late(role))
        rounds = max(1.0, rounds_of(settings.method).high)
        prompt = (first + (rounds - 1) * later) / rounds
        answer = min(ANSWERS[role], model.max_tokens or ANSWERS[role])
        thinking = min(THINKING * ANSWERS[role], model.max_tokens or THINKING * ANSWERS[role])
        both = share + uses
        both = Range(both.low, round(both.likely), both.high)  # or what is shown of the roles would not add up
        yield Asked(
            role,
            who,
            both,
            prompt=Range(both.low * min(first, later), both.likely * prompt, both.high * (later + 2 * answer)),
            completion=Range(share.low * answer / 2, share.likely * answer, share.high * thinking) + uses * TOOL_ANSWER,
        )


def total(asked: Sequence[Asked], quantity: Callable[[Asked], Range]) -> Range:
    """Of all roles; those who share a role have its least and its most once."""
    found = Range()
    for role in ROLES:
        shares = [quantity(one) for one in asked if one.role == role]
        if shares:
            likely = fsum(share.likely for share in shares)
            found += Range(min(share.low for share in shares), likely, max(share.high for share in shares))
    return found


def _uses(method: Method, answers: float) -> Range:
    """Calls of tools, in so many answers that are likely; one more question each."""
    return Range(0, TRIES * answers, MOST_CALLS * _candidates(method).high * (1 + method.repairs))


def questions(role: Role, method: Method) -> Range:
    """How often a role is asked in the whole run: see the assumptions above."""
    before = questions(role, method.prelude) if method.prelude is not None else Range()
    rounds, candidates, passes = rounds_of(method), method.candidates, 1 + method.repairs
    if role == "critic":
        asked = _with_evidence(method, rounds)
        return before + Range(asked.low, asked.likely * (1 + MORE), asked.high * 2)
    made = rounds * candidates
    if role == "generator":
        return before + Range(made.low, made.likely * (1 + MORE), made.high * (passes + 1))
    reviews = confirmations(method)
    return before + Range(made.low, made.likely * (1 + MORE) + reviews.likely, (made.high * passes + reviews.high) * 2)


def rounds_of(method: Method) -> Range:
    """Rounds in which candidates are asked for, without those of a search before the main run."""
    if not method.adapts:
        return Range(1, 1, 1) * (method.stages * method.rounds)
    most = min(method.stages, method.proposing_stages) * method.rounds
    return Range(min(1, most), PLAYED * most, most) if method.gate else Range(most, most, most)


def confirmations(method: Method) -> Range:
    """How often something is compared once more on fresh seeds, and the validator asked again."""
    if not method.adapts:
        return Range(1, 1, 1) * method.stages
    rounds = rounds_of(method)
    return Range(0, CONFIRMED * rounds.likely, rounds.high) if method.gate else Range()


def _with_evidence(method: Method, rounds: Range) -> Range:
    """Before the first training from scratch there is nothing to cite; a main run has its start."""
    if not method.diagnose:
        return Range()
    return rounds if method.adapts else rounds + Range(-1, -1, -1)


def _candidates(method: Method) -> Range:
    before = _candidates(method.prelude) if method.prelude is not None else Range()
    return before + rounds_of(method) * method.candidates


# ---------------------------------------------------------------- prompts as they would be sent


class _Example:
    """Briefs of the size that they have in a run; their numbers are made up, and only their length counts."""

    def __init__(self, settings: RunSettings, card: TaskCard) -> None:
        self.settings, self.card = settings, card
        count = max(1, settings.method.population)
        self.elites = tuple(self._elite(number, signal) for number, signal in enumerate(self._signals(count), start=1))

    def early(self, role: Role) -> Brief:
        return self.brief() if role == "generator" else self.late(role)

    def late(self, role: Role) -> Brief:
        """With parents to show."""
        if role == "generator":
            return self.brief(self.elites)
        return self.evidence() if role == "critic" else self.review()

    def brief(self, elites: tuple[Elite, ...] = ()) -> ProposalBrief:
        method = self.settings.method
        return ProposalBrief(
            task=self.card,
            count=method.candidates,
            evolve=method.evolve,
            scope=method.scope,
            signals=method.signals,
            reward_mode=method.reward_mode,
            stage=1,
            round=2 if elites else 1,
            elites=elites,
            control=self._evaluation("native", Signal()) if elites else None,
            main=self._main() if method.adapts else None,
            incumbent=elites[0] if elites and method.adapts else None,
            refused=self._refused() if elites and method.adapts else (),
            seed=self.settings.seed,
        )

    def evidence(self) -> DiagnosisBrief:
        native = self._evaluation("native", Signal())
        tried = [elite.evaluation for elite in self.elites]
        if not self.settings.method.adapts:
            shown = evidence(native, tried)
            return DiagnosisBrief(task=self.card, stage=1, round=2, evidence=shown, elites=self.elites)
        shown = main_evidence([native] * 3, "s1r1c1", native, tried)
        told = {"main": self._main(), "incumbent": self.elites[0], "history": (_USUAL[:LONGEST_LINE],) * 4}
        return DiagnosisBrief(task=self.card, stage=3, round=2, evidence=shown, elites=self.elites, **told)

    def _main(self) -> MainRun:
        method, steps = self.settings.method, self.settings.train.whole_steps
        return MainRun(
            stages=method.stages,
            steps=steps // 2,
            until=steps,
            branch_steps=method.branch_steps,
            fade=method.fade,
            evaluation=self._evaluation("main-s3", Signal()),
        )

    def _refused(self) -> tuple[Refused, ...]:
        said = {"gain": 0.0123, "lower_bound": -0.0321, "reason": _USUAL[:100]}
        return tuple(Refused(**dict(elite), **said) for elite in self.elites) * self.settings.method.candidates

    def review(self) -> ReviewBrief:
        method, elite = self.settings.method, self.elites[0]
        return ReviewBrief(
            task=self.card,
            candidate=elite.candidate,
            code=elite.code,
            scope=method.scope,
            reward_mode=method.reward_mode,
        )

    def _signals(self, count: int) -> list[Signal]:
        """As the offline designer writes them; where it has no means, code of the usual length."""
        try:
            made = OfflineGenerator().propose(self.brief().model_copy(update={"count": count}))
            return [proposal.signal for proposal in made]
        except UserError:
            return [Signal(reward=Code(source=_USUAL))] * count

    def _elite(self, number: int, signal: Signal) -> Elite:
        id = f"s1r1c{number}"
        candidate = Candidate(
            id=id, stage=1, round=1, author="model", kind="new", rationale=_USUAL[:300], signal=signal
        )
        try:
            code = to_code(signal, self.card)
        except SignalError:
            code = _USUAL
        return Elite(candidate=candidate, code=code, evaluation=self._evaluation(id, signal))

    def _evaluation(self, id: str, signal: Signal) -> Evaluation:
        terms = ("approach", "reach", "coverage") if not signal.is_native else ()
        steps = self.settings.train.steps
        points = [
            CurvePoint(steps=steps * k // 10, score=0.5, native_return=-20.0, shaped_return=9.9) for k in range(10)
        ]
        return Evaluation(
            candidate=id,
            branch=id,
            seeds=tuple(range(self.settings.method.search_seeds)),
            steps=steps,
            score=0.5432,
            interval=(0.4321, 0.6543),
            metrics={metric.name: 0.5432 for metric in self.card.metrics},
            behaviour={f"behaviour_number_{number}": 0.1234 for number in range(10)},
            terms={name: TermStatistics(mean=0.1234, spread=0.4321, share=0.3333) for name in terms},
            curve=tuple(points),
        )


_USUAL = "import torch\n\n\ndef agent_reward(state):\n" + "".join(
    f"    term_{number} = (state.obs - state.prev_obs).norm(dim=-1) * {number}.0\n" for number in range(20)
)
