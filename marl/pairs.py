"""`KEY=VALUE` as the command line takes parameters of tasks and settings of trainings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from marlsmith.schemas import UserError

T = TypeVar("T")


def parse_pairs(pairs: Sequence[str], what: str, read: Callable[[str], T]) -> dict[str, T]:
    """The last value of each key, as `read` has it. Raises UserError, which calls a pair without `=` no `what`."""
    found: dict[str, T] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UserError(f"{pair!r} is no {what}: write KEY=VALUE")
        found[key] = read(value)
    return found


def read_value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
