"""Files that a comparison leaves where the user says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marlsmith.schemas import UserError


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """A fault of the disk meanwhile is the user's to mend: UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {file} ({(error.strerror or '').lower()}): choose another file") from None
