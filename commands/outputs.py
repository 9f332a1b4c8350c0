"""Files that a command writes where the user says: refused before anything is done, never over what a run needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlsmith.graph.telling.speech import listed
from marlsmith.schemas import UserError

PICTURES = (".svg", ".png", ".pdf")
FOR_PEOPLE = (".html", ".csv", *PICTURES)
"""Endings that no file has which a run writes by itself."""


@dataclass(frozen=True)
class Output:
    """What is written to a file that an option names, told by the endings that it may have."""

    option: str
    file: Path
    endings: tuple[str, ...]


def require_outputs(outputs: Sequence[Output]) -> None:
    """Raises UserError where one of them could not be written, or would be written over something else."""
    for output in outputs:
        try:
            _require_place(output)
            _require_ending(output)
            _require_no_loss(output)
        except OSError as error:
            reason = (error.strerror or "fault").lower()
            raise UserError(f"cannot write {output.file} ({reason}): choose another file by {output.option}") from None
    files = [output.file.resolve() for output in outputs]
    for output, file in zip(outputs, files, strict=True):
        if files.count(file) > 1:
            named = [other.option for other, each in zip(outputs, files, strict=True) if each == file]
            raise UserError(f"{listed(named)} name one file, {output.file}: choose another for one of them")


def _require_ending(output: Output) -> None:
    if output.file.suffix.lower() not in output.endings:
        *others, last = output.endings
        wanted = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"{output.option} {output.file} does not end in {wanted}: choose another name")


def _require_place(output: Output) -> None:
    file, option = output.file, output.option
    if file.is_dir():
        raise UserError(f"{file} is a directory: name a file by {option}")
    if not file.parent.is_dir():
        raise UserError(
            f"cannot write {file}, for {file.parent} is no directory: make it, or choose another file by {option}"
        )


def _require_no_loss(output: Output) -> None:
    """A new file may stand anywhere. Of a run's files only those for people, beside its run.toml, are written anew."""
    file = output.file.resolve()
    run = next((parent for parent in file.parents if (parent / "run.toml").exists()), None)
    if run is None or not file.exists() or (run == file.parent and file.suffix.lower() in FOR_PEOPLE):
        return
    raise UserError(f"{output.file} belongs to the run in {run}: choose another file by {output.option}")
