"""The account as one page that opens anywhere: no network, no script, and nobody else's words as markup."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from marlsmith.results.page import lineage
from marlsmith.results.page.account import Account, Standing
from marlsmith.results.page.film import Film
from marlsmith.results.page.parts import number
from marlsmith.results.page.pictures import Picture
from marlsmith.results.page.trust import HIDDEN
from marlsmith.schemas import visible

TEMPLATES = Path(__file__).parent / "templates"
CONTENTS = {
    "answer": "Answer",
    "asked": "What was asked",
    "learning": "Learning curves",
    "behaviour": "Behaviour",
    "lineage": "Lineage",
    "decisions": "Decisions",
    "terms": "Reward terms",
    "cost": "Cost",
    "trust": "How far to trust it",
    "words": "What roles were told",
    "story": "The story",
}


def render(account: Account, pictures: Sequence[Picture] = (), terms: str = "", film: Film | None = None) -> str:
    """`pictures` and `terms` are our own SVG; all else is text, whoever wrote it."""
    absent = {
        name
        for name, there in {
            "learning": pictures,
            "behaviour": film,
            "terms": account.terms,
            "words": account.told or account.left,
        }.items()
        if not there
    }
    return (
        _environment(account.hidden)
        .get_template("report.html.j2")
        .render(
            account=account,
            anchors=frozenset(kin.id for kin in account.family),
            contents=[(anchor, title) for anchor, title in CONTENTS.items() if anchor not in absent],
            ruler=ruler(account.answer.standings, account.score),
            pictures=[{"title": each.title, "words": each.words, "svg": Markup(each.svg)} for each in pictures],
            terms=Markup(terms),
            film=None if film is None else {"shots": list(_shots(film)), "note": film.note},
            drawing=lineage.drawing(account.family),
            box_width=lineage.WIDTH,
            box_height=lineage.HEIGHT,
            family_table=lineage.table(account.family),
            version=version("marlsmith"),
        )
    )


def _environment(hidden: Sequence[str]) -> Environment:
    def outside(value: Any) -> Any:
        """Whatever a template prints passes here before it is escaped; what is markup already was escaped before."""
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return visible(reduce(lambda text, address: text.replace(address, f"[{HIDDEN}]"), hidden, value))

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=outside,
    )


# ---------------------------------------------------------------- seeds on a line


@dataclass(frozen=True)
class Row:
    """Places in percent of the line."""

    name: str
    value: str
    told: str
    centre: float
    spread: tuple[float, float] | None
    """Where the interval begins, and how wide it is."""
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Ruler:
    low: str
    high: str
    words: str
    rows: tuple[Row, ...]


def ruler(standings: Sequence[Standing], score: str) -> Ruler | None:
    """Every seed of native and best on the same line; a share has the whole of 0 to 1."""
    if not standings:
        return None
    low, high = _ends(each for standing in standings for each in (*standing.scores, *(standing.interval or ())))

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    rows = tuple(
        Row(
            name=each.name,
            value=each.said,
            told=f"{each.name}: {each.said}; by seed {', '.join(map(number, each.scores))}",
            centre=place(each.score),
            spread=(place(each.interval[0]), place(each.interval[1]) - place(each.interval[0]))
            if each.interval
            else None,
            seeds=tuple(map(place, each.scores)),
        )
        for each in standings
    )
    words = f"{score}: interquartile mean, 95% interval, and each seed"
    return Ruler(f"{low:.3g}", f"{high:.3g}", words, rows)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    low, high = min(known), max(known)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    room = (high - low) * 0.05 or 0.5
    return low - room, high + room


# ---------------------------------------------------------------- the film


def _shots(film: Film) -> Iterator[dict[str, Any]]:
    for title, shot in (("before: the native task", film.before), ("after: the best signal", film.after)):
        if shot is not None:
            yield {
                "title": title,
                "moving": _inline(shot.data, shot.mime),
                "still": _inline(shot.still, shot.mime),
                "alt": shot.alt,
                "width": shot.width,
                "height": shot.height,
            }


def _inline(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{b64encode(data).decode('ascii')}"
