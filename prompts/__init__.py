"""What the model roles are told: jinja2 templates, one file per part, a missing field is an error."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from marlsmith.schemas import UserError, agents_by_number, listed, printable, visible

if TYPE_CHECKING:
    from marlsmith.prompts.sandbox import TemplateEnvironment

OURS = Path(__file__).parent
MOST_BYTES = 200_000
"""Of one template; ours have some thousands."""
LONGEST_FAULT = 200


class Prompts:
    """The templates of this package, or of a directory where it has a file of the same name.

    They are read once: what was checked and what is rendered later cannot differ.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Raises UserError where the directory holds a file that takes no template's place or cannot be parsed."""
        self._own = _own_templates(directory) if directory else {}
        self._environment = _environment(self._own, directory) if directory else _our_environment()

    @property
    def overridden(self) -> tuple[str, ...]:
        """The templates that are not ours, such as `critic/user`."""
        ours = _our_templates()
        return tuple(name.removesuffix(".md") for name, source in self._own.items() if source != ours[name])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.removesuffix(".md") for name in sorted(_our_templates()))

    @property
    def version(self) -> str:
        """A digest of all templates in effect, whoever wrote them."""
        told = sha256()
        for name, source in sorted((_our_templates() | self._own).items()):
            told.update(f"{name}\0{source}\0".encode())
        return told.hexdigest()[:12]

    def write(self, directory: Path) -> None:
        """The templates in effect as files; the directory is made if need be."""
        for name, source in (_our_templates() | self._own).items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source, encoding="utf-8")

    def render(self, name: str, **fields: object) -> str:
        """The template `name`, such as 'generator/system', with its fields filled in.

        Raises UserError, with file and line, where the template uses a field that was not given, or fails.
        """
        try:
            return self._environment.get_template(f"{name}.md").render(fields).strip()
        except Exception as error:  # a filter, or a method that the template calls, may raise anything
            raise _fault(error, OURS / f"{name}.md") from error


def _own_templates(directory: Path) -> dict[str, str]:
    """By name, such as `critic/user.md`. Hidden files and READMEs are let be."""
    known = _our_templates()
    if not directory.is_dir():
        raise UserError(
            f"{directory} is no directory: name one with templates, or make it by `marlsmith prompts --copy`"
        )
    found = {}
    for parent, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for file in sorted(Path(parent, name) for name in files if not name.startswith((".", "README"))):
            name = file.relative_to(directory).as_posix()
            if name not in known:
                raise UserError(f"{file} takes no template's place: name it as one of {', '.join(sorted(known))}")
            found[name] = _read(file, directory)
    return found


def _read(file: Path, directory: Path) -> str:
    # A directory of somebody else's may hold a link to a file that is nobody's business.
    if not file.resolve().is_relative_to(directory.resolve()) or not file.is_file():
        raise UserError(f"{file} is no file of {directory}: put a copy in its place")
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(f"{file} has more than {MOST_BYTES:,} bytes, which no prompt needs: is it the right file?")
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"cannot read {file} ({(error.strerror or 'fault').lower()}): allow it") from None


@cache
def _our_templates() -> dict[str, str]:
    return {file.relative_to(OURS).as_posix(): file.read_text(encoding="utf-8") for file in OURS.glob("*/*.md")}


@cache
def _our_environment() -> TemplateEnvironment:
    return _environment({}, OURS)


def _environment(own: Mapping[str, str], directory: Path) -> TemplateEnvironment:
    """Raises UserError where a template of one's own cannot be parsed, or uses a field that ours does not get."""
    from jinja2 import TemplateError
    from jinja2.meta import find_undeclared_variables

    from marlsmith.prompts.sandbox import TemplateEnvironment

    ours = _our_templates()
    files = {name: str((directory if name in own else OURS) / name) for name in ours}
    environment = TemplateEnvironment({**ours, **own}, files)
    environment.filters |= {"number": _number, "fence": _fence, "line": _line, "thin": _thin}
    environment.filters |= {"listed": listed, "agents": agents_by_number}
    for name in own:
        try:
            environment.get_template(name)
        except TemplateError as error:
            raise _fault(error, directory / name) from error
        given = set().union(*(find_undeclared_variables(environment.parse(source)) for source in _together(name)))
        for field in sorted(find_undeclared_variables(environment.parse(own[name])) - given):
            line = _line_of(own[name], field)
            raise UserError(
                f"{directory / name}, line {line}: there is no field '{field}': use {', '.join(sorted(given))}"
            )
    return environment


def _together(name: str) -> list[str]:
    """Our sources whose fields a template may use: its own, and for a part those of whatever may include it."""
    ours = _our_templates()
    return list(ours.values()) if name.startswith("parts/") else [ours[name], *_included(ours[name])]


def _included(source: str) -> list[str]:
    ours = _our_templates()
    names = [name for name in re.findall(r'"([\w/]+\.md)"', source) if name in ours]
    return [text for name in names for text in (ours[name], *_included(ours[name]))]


def _line_of(source: str, field: str) -> int:
    pattern = re.compile(rf"\b{re.escape(field)}\b")
    return next((number for number, line in enumerate(source.split("\n"), start=1) if pattern.search(line)), 1)


def _fault(error: Exception, file: Path) -> UserError:
    """Says where: jinja2 lets the frames of a template bear its file and its lines."""
    where, line = str(getattr(error, "filename", None) or file), getattr(error, "lineno", None)
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.endswith(".md"):
            where, line = frame.filename, frame.lineno
    said = printable(getattr(error, "message", None) or str(error) or type(error).__name__, LONGEST_FAULT)
    return UserError(f"{where}, line {line or 1}: {said.rstrip('.')}: mend the template")


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
    shown = visible(lines)
    if len(shown) > LONGEST_QUOTE:
        shown = f"{shown[:LONGEST_QUOTE]}\n... ({len(shown) - LONGEST_QUOTE} more characters are left out)"
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _thin(points: tuple[object, ...], count: int) -> list[object]:
    """At most `count` points, evenly spread, the last one among them."""
    if len(points) <= count:
        return list(points)
    return [points[round((i + 1) * len(points) / count) - 1] for i in range(count)]
