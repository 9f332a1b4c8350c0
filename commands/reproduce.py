"""`marlsmith reproduce`: whole tables of the papers."""

from __future__ import annotations

from pathlib import Path


def reproduce_table(what: str, out: Path | None, *, as_json: bool, plain: bool) -> None:
    raise NotImplementedError
