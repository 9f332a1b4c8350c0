"""What the page is put together from: tables, pairs of a name and a value, and texts that may be too long for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Literal

Tone = Literal["", "good", "bad", "caution", "quiet"]
Pair = tuple[str, str]

LONGEST = 60_000
"""Characters of one folded text; the run directory has it whole."""


@dataclass(frozen=True)
class Table:
    """The first cell of a row names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    """Columns that are read from the right."""
    tones: tuple[Tone, ...] = ()
    """Of the rows; empty where none has any."""

    @property
    def toned(self) -> Iterable[tuple[Tone, tuple[str, ...]]]:
        none: tuple[Tone, ...] = ("",)
        return zip(self.tones or none * len(self.rows), self.rows, strict=True)


@dataclass(frozen=True)
class Folded:
    """A text behind a summary. `lines` are a difference's, each with its sign; else `text` is what is to be read."""

    title: str
    text: str = ""
    lines: tuple[tuple[Literal["+", "-", "@", " "], str], ...] = ()
    note: str = ""
    """What was left out of it, and where it stands."""


@dataclass
class Allowance:
    """How much of what roles wrote still fits: the page is to stay small enough to send and to open at once.

    Each text is cut to LONGEST, and left out where nothing is left for it; both are said, with where it stands whole.
    """

    left: int = 1_200_000
    refused: int = field(default=0, init=False)

    def text(self, title: str, text: str, whole: str) -> Folded:
        shown, note = self._cut(text, whole)
        return Folded(title, text=shown, note=note)

    def difference(self, title: str, lines: Iterable[str], whole: str) -> Folded:
        """`lines` as difflib has them."""
        shown, note = self._cut("\n".join(line.rstrip("\n") for line in lines), whole)
        return Folded(title, lines=tuple(map(_signed, shown.split("\n"))) if shown else (), note=note)

    def _cut(self, text: str, whole: str) -> tuple[str, str]:
        shown = text[:LONGEST]
        weight = len(escape(shown).encode("utf-8", "backslashreplace")) + 16 * shown.count("\n")
        if weight > self.left:
            self.refused += 1
            return "", f"Left out, so that the page stays small: {whole} has it."
        self.left -= weight
        return shown, f"Cut after {LONGEST:,} characters: {whole} has it whole." if len(text) > LONGEST else ""


def _signed(line: str) -> tuple[Literal["+", "-", "@", " "], str]:
    match line[:1]:
        case "+":
            return "+", line[1:]
        case "-":
            return "-", line[1:]
        case "@":
            return "@", line
    return " ", line[1:]


def number(value: float | None, sign: str = "") -> str:
    """Three digits; nothing gained has no sign of loss."""
    return "" if value is None else f"{round(value, 3) + 0.0:{sign}.3f}"
