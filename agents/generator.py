"""The generator role played by a model: it writes signals as code or as configurations."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import AnswerError, TextForm
from marlsmith.prompts import Prompts
from marlsmith.schemas import (
    AnyFeature,
    AnyTerm,
    Code,
    Feature,
    ObservationConfig,
    Proposal,
    ProposalBrief,
    RewardConfig,
    Signal,
    Term,
    printable,
)

Kind = Literal["new", "mutate", "crossover", "repair"]
Part = Literal["reward", "observation"]

FUNCTIONS: dict[str, Part] = {
    "agent_reward": "reward",
    "global_reward": "reward",
    "enhance_observation": "observation",
    "stateEnhance": "observation",  # LERO's name for it
}
RATIONALE_LENGTH = 600


class Config(BaseModel):
    """A signal without code."""

    model_config = ConfigDict(extra="forbid")

    reward: RewardConfig | None = None
    observation: ObservationConfig | None = None


class Draft(BaseModel):
    """One proposal as a model writes it, before it is held against the brief."""

    kind: Kind = "new"
    parents: list[str] = []
    rationale: str = ""
    code: str | None = None
    config: Config | None = None
    fault: SkipJsonSchema[str | None] = None


def _draft_or_fault(value: Any, validate: ValidatorFunctionWrapHandler) -> Draft:
    """One proposal that does not validate must not cost the model the others: it carries its fault."""
    try:
        draft: Draft = validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return Draft(fault=f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return draft


class Answer(BaseModel):
    proposals: list[Annotated[Draft, WrapValidator(_draft_or_fault)]] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, value: Any) -> Any:
        return {"proposals": value} if isinstance(value, list) else value


class ModelGenerator:
    def __init__(self, client: Client, prompts: Prompts | None = None) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        """What is usable of the model's answers, one for each rejected candidate in a repair pass.

        Fewer than `brief.count` cost a repair turn only where some were faulty; more are for the caller to drop.
        Raises AnswerError where the model's answer holds no usable proposal even after its repair turn
        (the caller notes it and goes on) and EndpointError where no answer can be had.
        """
        answer = self._client.ask(
            "generator",
            f"s{brief.stage}r{brief.round}a{brief.attempt}",
            self._prompts.render(
                "generator/system",
                brief=brief,
                reward_terms=vocabulary("reward") if "reward" in wanted(brief) else (),
                features=vocabulary("observation") if "observation" in wanted(brief) else (),
            ),
            self._prompts.render("generator/user", brief=brief),
            Answer,
            complaints=lambda answer: shortfall(answer, brief),
            combine=lambda first, second: combined(first, second, brief),
            text_form=TextForm(self._prompts.render("answer/modules"), modules) if brief.signals == "any" else None,
        )
        made, faults = proposals(answer, brief)
        if not made:
            raise AnswerError(f"{self.name} as generator: no usable proposal: {'; '.join(faults)}")
        return made


# ---------------------------------------------------------------- from drafts to proposals


def wanted(brief: ProposalBrief) -> tuple[Part, ...]:
    return ("reward", "observation") if brief.evolve == "both" else (brief.evolve,)


def proposals(answer: Answer, brief: ProposalBrief) -> tuple[list[Proposal], list[str]]:
    """What of an answer can be used, and what is wrong with the rest, by position from 1."""
    made, faults = _judged(answer, brief)
    return _repairs(made, brief) if brief.rejected else _descent(made, brief), faults


def shortfall(answer: Answer, brief: ProposalBrief) -> list[str]:
    """The faults of an answer that holds too few usable proposals because of them."""
    made, faults = proposals(answer, brief)
    return faults if len(made) < brief.count else []


def combined(first: Answer, second: Answer, brief: ProposalBrief) -> Answer:
    """The second answer, filled up to the wanted count with what is usable and not a double in the first."""
    made, _ = _judged(second, brief)
    signals = [signal for _, signal in made]
    mended = {parent for draft, _ in made for parent in draft.parents}
    mended &= {rejection.candidate.id for rejection in brief.rejected}
    kept = [
        draft
        for draft, signal in _judged(first, brief)[0]
        if signal not in signals and mended.isdisjoint(draft.parents)
    ]
    return Answer(proposals=[*second.proposals, *kept[: max(0, brief.count - len(made))]])


def _judged(answer: Answer, brief: ProposalBrief) -> tuple[list[tuple[Draft, Signal]], list[str]]:
    """The usable drafts with their signals, and the faults of the others."""
    made: list[tuple[Draft, Signal]] = []
    faults: list[str] = []
    for position, draft in enumerate(answer.proposals, start=1):
        try:
            made.append((draft, _signal(draft, brief)))
        except ValueError as error:
            faults.append(f"proposal {position}: {error}")
    return made, faults


def _signal(draft: Draft, brief: ProposalBrief) -> Signal:
    """The parts that this run evolves; raises ValueError with words for the model."""
    if draft.fault:
        raise ValueError(draft.fault)
    if (draft.code is None) == (draft.config is None):
        raise ValueError("it needs either code or config, and not both")
    parts = wanted(brief)
    if draft.code is not None:
        if brief.signals == "config":
            raise ValueError("code is refused in this run: write a config")
        signal = _from_code(draft.code, parts)
    else:
        assert draft.config is not None
        signal = Signal(**{part: getattr(draft.config, part) for part in parts})
    if signal.is_native:
        raise ValueError(f"it holds nothing of what is wanted: {' or '.join(parts)}")
    observation = signal.observation
    if isinstance(observation, ObservationConfig) and observation.scope == "team" and brief.scope == "own":
        raise ValueError("scope 'team' is closed in this run: use features of scope 'own'")
    return signal


def _from_code(source: str, parts: Iterable[Part]) -> Signal:
    fenced = re.fullmatch(r"\s*```\w*\n(.*?)\n?```\s*", source, re.DOTALL)
    try:
        code = Code(source=fenced[1] if fenced else source)
    except ValidationError as error:
        raise ValueError(f"code: {error.errors()[0]['msg']}") from None
    defined = parts_of(code.source)
    if not defined:
        raise ValueError(f"the code defines none of {', '.join(FUNCTIONS)} at its top level")
    return Signal(**{part: code for part in parts if part in defined})


def parts_of(source: str) -> frozenset[Part]:
    """Which parts of a signal a module defines; all of them where it does not parse.

    A module that does not parse is handed on as it is, for the checker names the fault best.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(FUNCTIONS.values())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return frozenset(part for name, part in FUNCTIONS.items() if name in names)


def _descent(made: list[tuple[Draft, Signal]], brief: ProposalBrief) -> list[Proposal]:
    """Proposals whose parents are elites, and whose kind fits how many of them there are."""
    elites = {elite.candidate.id for elite in brief.elites}
    result = []
    for draft, signal in made:
        parents = tuple(dict.fromkeys(parent for parent in draft.parents if parent in elites))
        kind: Kind
        if draft.kind == "new" or not parents:
            kind, parents = "new", ()
        else:
            kind = "crossover" if len(parents) > 1 else "mutate"
        result.append(_proposal(signal, kind, parents, draft))
    return result


def _repairs(made: list[tuple[Draft, Signal]], brief: ProposalBrief) -> list[Proposal]:
    """One proposal for each rejected candidate: the one that names it, else the next that names none."""
    open_ids = [rejection.candidate.id for rejection in brief.rejected]
    claimed: dict[str, tuple[Draft, Signal]] = {}
    unclaimed = []
    for draft, signal in made:
        target = next((p for p in draft.parents if p in open_ids and p not in claimed), None)
        if target is not None:
            claimed[target] = (draft, signal)
        else:
            unclaimed.append((draft, signal))
    for target in open_ids:
        if target not in claimed and unclaimed:
            claimed[target] = unclaimed.pop(0)
    return [
        _proposal(claimed[target][1], "repair", (target,), claimed[target][0])
        for target in open_ids
        if target in claimed
    ]


def _proposal(signal: Signal, kind: Kind, parents: tuple[str, ...], draft: Draft) -> Proposal:
    rationale = printable(draft.rationale, RATIONALE_LENGTH) or "(none given)"
    return Proposal(signal=signal, kind=kind, parents=parents, rationale=rationale)


def modules(text: str) -> Answer | None:
    """Answer in plain text: each fenced Python block a module, the prose before it its rationale."""
    drafts: list[Draft] = []
    prose: list[str] = []
    block: list[str] | None = None
    language = ""
    for line in text.splitlines():
        fence = line.strip()
        if block is None and fence.startswith("```"):
            block, language = [], fence[3:].strip().lower()
        elif block is None:
            prose.append(line)
        elif fence != "```":
            block.append(line)
        else:
            if language in ("", "py", "python"):
                drafts.append(Draft(rationale=" ".join(prose), code="\n".join(block)))
                prose = []
            block = None
    return Answer(proposals=drafts) if drafts else None


# ---------------------------------------------------------------- the vocabulary, from the schemas


@cache
def vocabulary(part: Part) -> tuple[str, ...]:
    """A line for each term or feature, read off the records, so that prompt and schema cannot differ."""
    union, shared = (AnyTerm, Term) if part == "reward" else (AnyFeature, Feature)
    return tuple(_entry(record, set(shared.model_fields)) for record in get_args(get_args(union)[0]))


def _entry(record: type[BaseModel], shared: set[str]) -> str:
    schema = record.model_json_schema()["properties"]
    parameters = [
        f"{name} = {json.dumps(schema[name].get('default'))}{_range(schema[name])}"
        for name in record.model_fields
        if name not in shared and name != "kind"
    ]
    fixed = [name for name in record.model_fields if name in shared and "const" in schema[name]]
    parameters += [f"{name} is always {json.dumps(schema[name]['const'])}" for name in fixed]
    doc = " ".join((record.__doc__ or "").split())
    return f'{{"kind": "{schema["kind"]["const"]}"}}: {doc}' + (f" {', '.join(parameters)}." if parameters else "")


def _range(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f" ({' | '.join(schema['enum'])})"
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {schema[name]:g}" for name, word in words.items() if name in schema]
    return f" ({', '.join(bounds)})" if bounds else ""
