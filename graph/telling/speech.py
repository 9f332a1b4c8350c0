"""How the story of a run is worded: who says what, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from marlsmith.schemas import printable

ROLE_STYLES = {"critic": "magenta", "generator": "cyan", "validator": "yellow", "tool": "blue", "judge": "green"}
WORDS = 400
"""Characters of a role's words in the trace; the run directory has them whole."""
EIGHTHS = "▏▎▍▌▋▊▉"


def says(role: str, words: str, subject: str = "", style: str = "") -> RenderableType:
    """One line of the trace: who, about what, in their words. From outside, hence never as markup."""
    row = Table.grid(padding=(0, 1))
    row.add_column(width=9)
    row.add_column(ratio=1, overflow="fold")
    said = Text(style=style)
    if subject:
        said.append(f"{subject} ", "bold")
    said.append(printable(words, WORDS))
    row.add_row(Text(role, ROLE_STYLES.get(role, "yellow")), said)
    return row


def detail(words: str, style: str = "dim") -> RenderableType:
    return Padding(Text(printable(words, WORDS), style), (0, 0, 0, 12))


def rows_of(pairs: Sequence[tuple[str, str]]) -> Table:
    """Names and values, one pair a row."""
    table = Table.grid(padding=(0, 2))
    for name, value in pairs:
        table.add_row(Text(name, "dim"), Text(printable(value, WORDS)))
    return table


def interval(ends: Any, sign: str = "") -> str:
    return "" if not ends else f"[{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def bar(score: float, width: int) -> str:
    """A score from 0 to 1 as a bar of eighths; what lies outside is cut to it."""
    eighths = round(min(1.0, max(0.0, score)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("" if rest == 0 else EIGHTHS[rest - 1])


def price(tokens: int, amount: float | None) -> str:
    return f"{tokens:,} tokens" + (f", money {money(amount)}" if amount is not None else "")


def money(amount: float) -> str:
    """Four digits, never as 4e-05."""
    return f"{Decimal(f'{amount:.4g}'):f}"


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def numbers(slots: Sequence[int]) -> str:
    return f"slot{'s' if len(slots) > 1 else ''} {', '.join(map(str, slots))}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def standings(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Names with their scores as bars, the last of them the one that counts."""
    table = Table.grid(padding=(0, 2))
    for number, (name, standing) in enumerate(rows.items(), start=1):
        style = "bold green" if number == len(rows) else "dim"
        score = standing["score"]
        table.add_row(
            Text(name, style), Text(bar(score, 30), style), f"{score:.3f}", Text(interval(standing["interval"]))
        )
    return table
