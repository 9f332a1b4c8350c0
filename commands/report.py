"""`marlsmith report`: a run as one page."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from marlsmith.commands.outputs import Output, require_outputs
from marlsmith.graph.run_directory import replacing
from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError, printable

LONGEST_REASON = 200


def write_report(run: Path, out: Path | None, *, animation: bool, trusted: bool) -> None:
    """Prints where the page is. `trusted`: a task of others may be started for a film."""
    past = PastRun.open(run)
    target = out if out is not None else past.path / "report.html"
    require_outputs([Output("--out", target, (".html",))])
    page = _page(past, animation=animation, trusted=trusted)
    try:
        with replacing(target) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {target} ({_reason(error)}): choose another file by --out") from None
    print(target)


def _page(past: PastRun, *, animation: bool, trusted: bool) -> str:
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

            def tell(words: str) -> None:
                status.update(printable(words, LONGEST_REASON))
                console.print(printable(f"{words} (--no-animation leaves the film out)", LONGEST_REASON), markup=False)

            filmed = film(past, tell, trusted=trusted)
    return render(told, learning, terms, filmed)


def _reason(error: OSError) -> str:
    return (error.strerror or "fault").lower()
