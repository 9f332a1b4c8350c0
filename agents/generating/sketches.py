"""From what a model wrote to a signal that the brief allows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Annotated, Any

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

from marlsmith.agents.generating.vocabulary import Part, wanted
from marlsmith.schemas import Code, ObservationConfig, ProposalBrief, RewardConfig, Signal, parsed

FUNCTIONS: dict[str, Part] = {
    "agent_reward": "reward",
    "global_reward": "reward",
    "enhance_observation": "observation",
    "stateEnhance": "observation",  # LERO's name for it
}


class SignalConfig(BaseModel):
    """A signal without code."""

    model_config = ConfigDict(extra="forbid")

    reward: RewardConfig | None = None
    observation: ObservationConfig | None = None


class Sketch(BaseModel):
    """One proposal as a model writes it, before it is held against the brief."""

    rationale: str = ""
    code: str | None = None
    config: SignalConfig | None = None
    fault: SkipJsonSchema[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        """Any object at all would do otherwise; a configuration is known without its envelope."""
        if not isinstance(value, dict) or value.keys() & {"fault", "more"}:
            return value
        parts = {part: value[part] for part in SignalConfig.model_fields if part in value}
        if parts and value.get("code") is None and value.get("config") is None:
            value = {**value, "config": parts}
        if (value.get("code") is None) == (value.get("config") is None):
            raise ValueError("it needs either code or config, and not both")
        return value


def _sketch_or_fault(value: Any, validate: ValidatorFunctionWrapHandler) -> Sketch:
    """One proposal that does not validate must not cost the model the others: it carries its fault."""
    try:
        sketch: Sketch = validate(value)
    except ValidationError as error:
        return Sketch(fault=_first(error))
    return sketch


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"].removeprefix("Value error, ")


class Answer(Sketch):
    """What is asked for is one proposal. Models that write several all the same are let pass."""

    more: SkipJsonSchema[list[Annotated[Sketch, WrapValidator(_sketch_or_fault)]]] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("proposals"), list):
            value = value["proposals"]
        return {"more": value} if isinstance(value, list) and value else value

    def sketches(self, slot: int) -> list[Sketch]:
        """In the order in which they are to be tried: of several, each slot of a round begins with another."""
        if not self.more:
            return [self]
        start = (slot - 1) % len(self.more)
        return [*self.more[start:], *self.more[:start]]


def usable(answer: Answer, brief: ProposalBrief, slot: int) -> tuple[Sketch, Signal]:
    """The first sketch that can be used, with its signal; raises ValueError with words for the model."""
    faults: list[str] = []
    for sketch in answer.sketches(slot):
        try:
            return sketch, signal_of(sketch, brief)
        except ValueError as error:
            faults.append(str(error))
    raise ValueError("; ".join(dict.fromkeys(faults)))


def signal_of(sketch: Sketch, brief: ProposalBrief) -> Signal:
    """The parts that this run evolves; raises ValueError with words for the model."""
    if sketch.fault:
        raise ValueError(sketch.fault)
    parts = wanted(brief)
    if sketch.code is not None:
        if brief.signals == "config":
            raise ValueError("code is refused in this run: write a config")
        signal = _from_code(sketch.code, parts)
    else:
        assert sketch.config is not None
        signal = Signal(**{part: getattr(sketch.config, part) for part in parts})
    if signal.is_native:
        raise ValueError(f"it holds nothing of what is wanted: {' or '.join(parts)}")
    observation = signal.observation
    if isinstance(observation, ObservationConfig) and observation.scope == "team" and brief.scope == "own":
        raise ValueError("scope 'team' is closed in this run: use features of scope 'own'")
    return signal


def sketched(value: Any) -> Sketch:
    """A sketch from JSON; raises ValueError with words for the model."""
    try:
        return Sketch.model_validate(value)
    except ValidationError as error:
        raise ValueError(_first(error)) from None


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
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(FUNCTIONS.values())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return frozenset(part for name, part in FUNCTIONS.items() if name in names)


def modules(text: str) -> Answer | None:
    """Answer in plain text: a fenced Python block is a module, the prose before it its rationale.

    Models illustrate their thoughts with further blocks: those that define nothing of a signal do not count.
    """
    blocks = [(prose, code) for prose, code in _blocks(text) if parts_of(code)]
    if not blocks:
        blocks = _blocks(text)[-1:]  # what is wrong with it, the checks say
    sketches = [Sketch(rationale=" ".join(prose), code=code) for prose, code in blocks]
    match sketches:
        case []:
            return None
        case [only]:
            return Answer(rationale=only.rationale, code=only.code)
        case _:
            return Answer(more=sketches)


def _blocks(text: str) -> list[tuple[list[str], str]]:
    found: list[tuple[list[str], str]] = []
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
                found.append((prose, "\n".join(block)))
                prose = []
            block = None
    return found
