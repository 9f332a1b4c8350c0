"""The typed vocabulary as the generator is told it, read off the records, so that prompt and schema cannot differ."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel

from marlsmith.schemas import AnyFeature, AnyTerm, Feature, ProposalBrief, Term

Part = Literal["reward", "observation"]


def wanted(brief: ProposalBrief) -> tuple[Part, ...]:
    """The parts of a signal that this run evolves."""
    return ("reward", "observation") if brief.evolve == "both" else (brief.evolve,)


@cache
def vocabulary(part: Part) -> tuple[str, ...]:
    """A line for each term or feature."""
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
