"""How a task is named on the command line, in a run's settings and in requests to workers: one string."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from marlsmith.marl.pairs import parse_pairs, read_value
from marlsmith.schemas import UserError

Option = int | float | bool | str | None

KINDS = {int: "a whole number", float: "a number with a point", bool: "true or false", str: "text"}
PREFIXES = ("pettingzoo:", "gymnasium:")
EXTERNAL = ("pettingzoo:MODULE:FACTORY", "gymnasium:MODULE:ID", "CARD.toml")
"""How environments of others are named."""


def is_external(name: str) -> bool:
    """Whether this names an environment of others: directly, or by a task card."""
    return name.startswith(PREFIXES) or name.endswith(".toml")


@dataclass(frozen=True)
class TaskReference:
    """`NAME?key=value&key=value`; values are read as JSON where they are JSON, else as text."""

    name: str
    options: dict[str, Option] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> TaskReference:
        name, _, query = text.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise UserError(f"{text!r} is no task: write NAME or NAME?key=value&key=value") from None
        return cls(name, {key: _value(value) for key, value in pairs})

    def __str__(self) -> str:
        if not self.options:
            return self.name
        pairs = (f"{quote(key)}={quote(_text(value), safe='')}" for key, value in sorted(self.options.items()))
        return f"{self.name}?{'&'.join(pairs)}"

    def checked_options(self, factory: Callable[..., object]) -> dict[str, Option]:
        """The options, where the factory takes them by name with values of their kind; raises UserError if not."""
        known = {
            name: parameter
            for name, parameter in inspect.signature(factory).parameters.items()
            if isinstance(parameter.default, int | float | bool | str)
        }
        for name, value in self.options.items():
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise UserError(f"{self.name} has no parameter {name!r}: {has}.")
            default = known[name].default
            if type(value) is not type(default):
                raise UserError(f"{self.name}: {name} is {value!r} and must be {KINDS[type(default)]}.")
        return self.options


def with_options(reference: str, pairs: list[str]) -> str:
    """The reference with more `KEY=VALUE` parameters, as the command line takes them."""
    parsed = TaskReference.parse(reference)
    added = parse_pairs(pairs, "parameter of a task", _value)
    return str(TaskReference(parsed.name, {**parsed.options, **added}))


def _value(text: str) -> Option:
    value = read_value(text)
    return value if value is None or isinstance(value, int | float | bool | str) else text


def _text(value: Option) -> str:
    return value if isinstance(value, str) and isinstance(_value(value), str) else json.dumps(value)
