"""Reading a task's source: from a reference alone, or from a TOML task card."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from marlsmith.marl.external.source import Score, Source, SourceField
from marlsmith.marl.tasks.reference import PREFIXES, TaskReference
from marlsmith.schemas import Entity, UserError

TABLES: dict[str, type[BaseModel]] = {"score": Score, "fields": SourceField, "entities": Entity}
"""Tables of a task card, by their keys."""


def absolute(reference: str) -> str:
    """The reference as it must be kept: a task card's path holds from everywhere."""
    parsed = TaskReference.parse(reference)
    if not parsed.name.endswith(".toml") or parsed.name.startswith(PREFIXES):
        return reference
    return str(TaskReference(str(Path(parsed.name).absolute()), parsed.options))


def read_source(reference: str) -> Source:
    """Raises UserError where there is no such card, or it is not sound."""
    parsed = TaskReference.parse(reference)
    options: dict[str, Any] = {key: _argument(value) for key, value in parsed.options.items()}
    paths: tuple[str, ...] = (os.getcwd(),)
    if parsed.name.endswith(".toml") and not parsed.name.startswith(PREFIXES):
        file = Path(parsed.name)
        found = _read_card(file)
        paths = (str(file.absolute().parent), *paths)
        found.setdefault("name", file.stem)
        given = found.get("options", {})
        options = {**given, **options} if isinstance(given, dict) else given
    else:
        found = {"environment": parsed.name, "name": reference}
    if isinstance(options, dict) and "horizon" in options:
        found["horizon"] = options["horizon"]
    try:
        source = Source.model_validate({**found, "options": options, "paths": paths})
    except ValidationError as error:
        raise UserError(f"The task {reference} is not sound: {_sentence(error.errors()[0])}.") from None
    return source


def _sentence(fault: ErrorDetails) -> str:
    """What is wrong in a card, in its own words: keys by their path."""
    *above, key = fault["loc"] or ("card",)
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        record = TABLES.get(str(above[0]), Source) if above else Source
        known = [field.alias or name for name, field in record.model_fields.items() if name != "paths"]
        holder = f" in {'.'.join(map(str, above))}" if above else ""
        return f"there is no key {key!r}{holder}; known are {', '.join(known)}"
    if fault["type"] == "missing":
        return f"{where} is missing"
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{where}: {message}" if where else message


def _read_card(file: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the task card {file}: {(error.strerror or 'unreadable').lower()}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The task card {file} is not TOML: {error}.") from None
    if "paths" in found:
        raise UserError(f"The task card {file} has no key paths: modules are found beside it.")
    return found


def _argument(value: object) -> object:
    """Lists and objects are written as JSON."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
