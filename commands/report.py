"""`marlsmith report`: a run as one page."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError, printable

LONGEST_REASON = 200


def write_report(run: Path, out: Path | None, *, animation: bool) -> None:
    """Prints where the page is."""
    past = PastRun.open(run)
    target = out if out is not None else past.path / "report.html"
    _require_place(target)
    page = _page(past, animation=animation)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {target} ({_reason(error)}): choose another file by --out") from None
    print(target)


def _page(past: PastRun, *, animation: bool) -> str:
    from marlsmith.results.page import pictures  # matplotlib
    from marlsmith.results.page.account import account
    from marlsmith.results.page.film import film
    from marlsmith.results.page.page import render

    try:
        told = account(past)
        learning = pictures.learning(past, told.family, told.score)
        terms = pictures.terms(past, told.family)
    except (ValidationError, LookupError, AttributeError, TypeError, ValueError) as error:
        reason = printable(str(error), LONGEST_REASON)
        raise UserError(f"{past.path} is damaged ({type(error).__name__}: {reason}): restore its files") from error
    console = Console(stderr=True)
    filmed = None
    if animation:
        with console.status("filming the behaviour") as status:
            filmed = film(past, lambda words: status.update(printable(words, LONGEST_REASON)))
    return render(told, learning, terms, filmed)


def _require_place(target: Path) -> None:
    """Refused at once what would be refused after the filming."""
    if target.is_dir():
        raise UserError(f"{target} is a directory: name a file by --out")
    if not target.parent.is_dir():
        raise UserError(f"{target.parent} is no directory: make it, or choose another file by --out")


def _reason(error: OSError) -> str:
    return (error.strerror or "fault").lower()
