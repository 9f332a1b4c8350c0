"""What the model roles are told: jinja2 templates, one file per part, a missing field is an error."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from marlsmith.schemas import agents_by_number, listed

if TYPE_CHECKING:
    from jinja2 import Environment


class Prompts:
    """The templates of this package, or of a directory where it has a file of the same name."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory

    def render(self, name: str, **fields: object) -> str:
        """The template `name`, such as 'generator/system', with its fields filled in.

        Raises jinja2.UndefinedError where the template uses a field that was not given.
        """
        return _environment(self.directory).get_template(f"{name}.md").render(fields).strip()


@cache
def _environment(directory: Path | None) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([*([directory] if directory else []), Path(__file__).parent]),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _number, "fence": _fence, "line": _line, "thin": _thin}
    environment.filters |= {"listed": listed, "agents": agents_by_number}
    return environment


def _number(value: float) -> str:
    """Four significant digits: what a reader needs, at a fraction of the tokens."""
    return f"{value:.4g}"


def _line(text: str) -> str:
    """Text from outside inside a sentence or a list: it cannot start a heading or a paragraph of its own."""
    return " ".join(text.split())


LONGEST_QUOTE = 20_000
"""Characters of a quoted text; a signal that somebody means to be read has some thousands."""


def _fence(text: str, language: str = "text") -> str:
    """Text from outside between fences that it cannot close: longer than any run of backticks in it.

    What a person would not see on the page, such as control and zero-width characters, is written out.
    """
    lines = text.replace("\r\n", "\n").strip()
    shown = "".join(c if c.isprintable() or c in "\n\t" else _written_out(c) for c in lines)
    if len(shown) > LONGEST_QUOTE:
        shown = f"{shown[:LONGEST_QUOTE]}\n... ({len(shown) - LONGEST_QUOTE} more characters are left out)"
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _thin(points: tuple[object, ...], count: int) -> list[object]:
    """At most `count` points, evenly spread, the last one among them."""
    if len(points) <= count:
        return list(points)
    return [points[round((i + 1) * len(points) / count) - 1] for i in range(count)]
