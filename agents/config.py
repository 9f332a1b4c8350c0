"""Who plays the roles and what that may cost: what `marlsmith.toml` and the command line say, as one RoleSettings.

The file is read strictly, and nothing in it is code. A key never stands in it: only the name of its variable does.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from marlsmith.agents.asking.address import checked_address, hosted_or_stand_in, looks_like_a_key, parse_model, written
from marlsmith.agents.settings import (
    MANUAL,
    NOBODY,
    OFFLINE,
    RANDOM,
    Budget,
    Limits,
    ManualSeconds,
    ModelSettings,
    Price,
    RoleSettings,
)
from marlsmith.schemas import Record, UserError, printable

FILE = "marlsmith.toml"
NO_LIMIT = "none"
RESERVED = (OFFLINE, MANUAL, NOBODY, RANDOM)
TABLES = {"models": "[models.NAME]", "roles": "[roles]", "budget": "[budget]"}
LARGEST = 1_000_000
"""Bytes of a file: what is more was not meant."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Choice:
    """As the command line says it. Empty or None: as the file has it, else as it is by default."""

    generators: Sequence[str] = ()
    critic: str | None = None
    validator: str | None = None
    no_validator: bool = False
    budget: Sequence[str] = ()
    prompts: Path | None = None
    config: Path | None = None


class RolesTable(Record):
    """`[roles]` of the file."""

    generator: str | list[str] | None = None
    critic: str | None = None
    validator: str | None = None
    manual_seconds: ManualSeconds | None = None
    prompts: str | None = None


@dataclass(frozen=True)
class Config:
    """A marlsmith.toml, or none at all."""

    file: Path | None = None
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    roles: RolesTable = field(default_factory=RolesTable)
    budget: Budget = field(default_factory=Budget)


def role_settings(choice: Choice) -> RoleSettings:
    """What the command line says goes before what the file says. Raises UserError with file, place and remedy."""
    if choice.no_validator and choice.validator not in (None, NOBODY):
        raise UserError("--no-validator and --validator contradict each other: leave one out")
    config = find_config(choice.config)
    cast = _Casting(config)
    table = config.roles
    generators = _generators(cast, choice, config)
    critic = cast.player("critic", choice.critic, table.critic)
    said = NOBODY if choice.no_validator else choice.validator
    validator = cast.player("validator", said, table.validator, nobody=True)
    prompts = choice.prompts or (_beside(config, table.prompts) if table.prompts else None)
    return RoleSettings(
        generators=generators,
        critic=critic,
        validator=validator,
        models=cast.models,
        budget=limited(config.budget, choice.budget),
        prompts=str(_directory(prompts)) if prompts else None,
        **({"manual_seconds": table.manual_seconds} if table.manual_seconds else {}),
    )


def find_config(file: Path | None) -> Config:
    """The file that was named, else the one in the current directory, else nothing."""
    if file is None and not Path(FILE).exists():
        return Config()
    return read_config(file or Path(FILE))


# ---------------------------------------------------------------- who plays


class _Casting:
    """Finds who is meant by each name, and keeps the models that are in play under names that tell them apart."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.models: dict[str, ModelSettings] = {}

    def player(self, role: str, said: str | None, in_file: str | None, *, nobody: bool = False) -> str:
        name, from_file = (said, False) if said is not None else (in_file, True)
        if name is None:
            return OFFLINE
        name = name.strip()
        where = f"{self._config.file}: roles.{role}" if from_file else f"--{role}"
        if name in (OFFLINE, MANUAL) or (nobody and name == NOBODY) or (role == "generator" and name == RANDOM):
            return name
        if name == RANDOM:
            raise UserError(f"{where} is 'random', and only the generator can be: write offline")
        if name == NOBODY:
            raise UserError(f"{where} is 'none', and only the validator can be left out: write offline")
        if name in self._config.models:
            self.models[name] = self._config.models[name]
            return name
        return self._unlisted(name, where, from_file)

    def _unlisted(self, name: str, where: str, from_file: bool) -> str:
        """A model that the file does not list, by its own name and address."""
        if looks_like_a_key(name):
            raise UserError(f"{where} seems to hold a key: set OPENAI_API_KEY to it, and write the model's name here")
        listed = ", ".join(self._config.models)
        if from_file and "@" not in name:
            raise UserError(
                f"{where} = {printable(name, 80)!r} is none of its models ({listed or 'it lists none'}): "
                "write one of them, offline, manual, or MODEL@BASE_URL"
            )
        if meant := _meant(name, (OFFLINE, MANUAL), 0.8) or _meant(name, self._config.models):
            raise UserError(
                f"{where} {printable(name, 80)} is not known: did you mean {meant}? "
                "A model of that name is written MODEL@BASE_URL; OPENAI_API_KEY alone does not make it one"
            )
        try:
            model = parse_model(name)
        except UserError as error:
            known = f"; {self._config.file} lists {listed}" if listed else ""
            raise UserError(f"{error}{known}") from None
        label = next((label for label, known in self.models.items() if known == model), None)
        taken = {**self._config.models, **self.models}
        label = label or (model.model if model.model not in (*taken, *RESERVED) else written(model))
        self.models[label] = model
        return label


def _meant(said: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    by_letters = {name.lower(): name for name in known}
    near = get_close_matches(said.lower(), by_letters, 1, likeness)
    return by_letters[near[0]] if near else None


def _generators(cast: _Casting, choice: Choice, config: Config) -> tuple[str, ...]:
    table = config.roles.generator
    listed = [table] if isinstance(table, str) else table
    where = "--generator" if choice.generators else f"{config.file}: roles.generator"
    if choice.generators:
        generators = tuple(cast.player("generator", said, None) for said in choice.generators)
    elif listed is None:
        return (OFFLINE,)
    else:
        generators = tuple(cast.player("generator", None, said) for said in listed)
    if not generators:
        raise UserError(f"{where} is empty: name one, or leave it out")
    for name in generators:
        if generators.count(name) > 1:
            raise UserError(f"{where}: {name} is named twice: name each once, who gains more is asked more")
        alike = [other for other in generators if other in cast.models and cast.models[other] == cast.models.get(name)]
        if len(alike) > 1:
            raise UserError(f"{where}: {' and '.join(alike)} are one model with the same settings: name it once")
    return generators


# ---------------------------------------------------------------- what it may cost


def limited(budget: Budget, pairs: Sequence[str]) -> Budget:
    """The budget with what the command line says: `tokens=2000000`, `money=1.5`, `critic.calls=40`, `tokens=none`."""
    limits: dict[str, dict[str, object]] = {place: vars(getattr(budget, place)).copy() for place in Budget.model_fields}
    for pair in pairs:
        key, _, said = pair.partition("=")
        place, _, name = key.strip().rpartition(".")
        if (place or "run") not in limits or name not in Limits.model_fields or (place == "run"):
            roles = ", ".join(f"{role}." for role in Budget.model_fields if role != "run")
            raise UserError(
                f"--budget {printable(pair, 80)}: write calls=N, tokens=N or money=X, for a role {roles} before it"
            )
        limits[place or "run"][name] = _amount(pair, said.strip(), whole=name != "money")
    try:
        return Budget.model_validate(limits)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise UserError(f"--budget {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _amount(pair: str, said: str, *, whole: bool) -> float | int | None:
    if said == NO_LIMIT:
        return None
    try:
        amount = float(said)
        if amount < 0 or not amount < float("inf") or (whole and not amount.is_integer()):
            raise ValueError
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"--budget {printable(pair, 80)}: it must be {kind} from 0 on, or none") from None
    return int(amount) if whole else amount


# ---------------------------------------------------------------- the file


def read_config(file: Path) -> Config:
    """Raises UserError with file, place and remedy."""
    document, texts = _document(file)
    for place, text in texts:
        if looks_like_a_key(text):
            raise UserError(
                f"{file}: {place} seems to hold a key itself: take it out, set an environment variable to it "
                'and write the name of that variable, as in key = "GROQ_API_KEY"'
            )
    for name, table in document.items():
        if name not in TABLES:
            near = _meant(name, TABLES)
            remedy = f"did you mean {TABLES[near]}?" if near else "write [models.NAME], [roles] or [budget]"
            raise UserError(f"{file}: there is no {_place((name,))}: {remedy}")
        if not isinstance(table, dict):
            raise UserError(f"{file}: {name} is a value and must be a table: write it as [{name}]")
    return Config(
        file=file,
        models={name: _model(file, name, table) for name, table in document.get("models", {}).items()},
        roles=_record(file, ("roles",), RolesTable, document.get("roles", {})),
        budget=_budget(file, document.get("budget", {})),
    )


def _document(file: Path) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """And all texts in it, with their places."""
    try:
        document = tomllib.loads(_content(file).decode("utf-8"))
        return document, list(_strings(document))
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8: save it as that") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file} is not TOML ({error}): texts want quotes, tables [brackets]") from None
    except ValueError:  # of int(), which says no place
        raise UserError(f"{file} holds a number of too many digits: shorten it") from None
    except RecursionError:
        raise UserError(f"{file} nests too deep: its tables are [models.NAME], [roles] and [budget]") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({(error.strerror or 'fault').lower()}): check --config") from None


def _content(file: Path) -> bytes:
    """Of a plain file only: a pipe may never begin, and a device never end."""
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{file} is no plain file: name one with --config")
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"{file} is larger than {LARGEST:,} bytes: check --config")
    return content


def _strings(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every text in the document with its place, the names of tables and fields among them."""
    if isinstance(value, str):
        yield _place(path), value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"a name under {_place(path)}" if path else "a name", key
            yield from _strings(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, path)


def _model(file: Path, name: str, table: Any) -> ModelSettings:
    path = ("models", name)
    if name in RESERVED or "@" in name or not name.strip():
        raise UserError(f"{file}: {_place(path)} cannot be called so: choose a name without @ that is no role's word")
    if not isinstance(table, dict):
        raise UserError(f"{file}: {_place(path)} is a value and must be a table: write it as [{_place(path)}]")
    if "key_variable" in table:
        raise UserError(f"{file}: there is no {_place((*path, 'key_variable'))}: write key")
    variable = table.get("key")
    if variable is not None and not _is_variable(variable):
        raise UserError(
            f"{file}: {_place((*path, 'key'))} is not the name of an environment variable: "
            'write its name, as in key = "GROQ_API_KEY", and set that variable to the key'
        )
    renamed = {"key_variable" if key == "key" else key: value for key, value in table.items()}
    model = _record(file, path, ModelSettings, renamed)
    if not model.model.strip():
        raise UserError(f"{file}: {_place((*path, 'model'))} is empty: write the model's name")
    try:
        address = checked_address(model.base_url) if model.base_url else hosted_or_stand_in()
    except UserError as error:
        raise UserError(f"{file}: {_place((*path, 'base_url'))}: {error}") from None
    return model.model_copy(update={"base_url": address})


def _is_variable(said: object) -> bool:
    """A name, and not a key that happens to look like one: long, with digits and both cases or without any break."""
    if not isinstance(said, str) or not _VARIABLE.fullmatch(said):
        return False
    if len(said) < 20 or not re.search(r"\d", said):
        return True
    mixed = re.search(r"[a-z]", said) and re.search(r"[A-Z]", said)
    return not mixed and "_" in said


def _budget(file: Path, table: dict[str, Any]) -> Budget:
    roles = {name: value for name, value in table.items() if isinstance(value, dict)}
    for name in roles:
        if name == "run" or name not in Budget.model_fields:
            raise UserError(
                f"{file}: there is no {_place(('budget', name))}: write [budget], or [budget.generator], "
                "[budget.critic] or [budget.validator]"
            )
    whole = {name: value for name, value in table.items() if name not in roles}
    limits = {name: _record(file, ("budget", name), Limits, value) for name, value in roles.items()}
    return Budget(run=_record(file, ("budget",), Limits, whole), **limits)


def _record(file: Path, path: tuple[str, ...], record: type[R], table: Mapping[str, Any]) -> R:
    """Strictly: "30" is no number, and 1 is no yes."""
    try:
        return record.model_validate(dict(table), strict=True)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # What is misspelt goes first: for want of it, another may be missing.
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    own = tuple("key" if part == "key_variable" else str(part) for part in fault["loc"])
    if record is RolesTable:
        own = own[:1]  # behind it stands which form of the two was tried
    place = _place((*path, *own))
    if fault["type"] == "extra_forbidden":
        fields = Price.model_fields if own[:-1] == ("price",) else record.model_fields
        known = ["key" if name == "key_variable" else name for name in fields]
        near = get_close_matches(own[-1], known, 1)
        raise UserError(f"{file}: there is no {place}: " + (f"did you mean {near[0]}?" if near else _one_of(known)))
    if fault["type"] == "missing":
        raise UserError(f"{file}: {_place((*path, *own[:-1]))} needs {own[-1]}: write {own[-1]} = ...")
    if fault["type"] == "value_error":  # our own words, which say what matters of a value that may hold anything
        raise UserError(f"{file}: {place}: {fault['ctx']['error']}")
    given = table[own[0]] if record is RolesTable else fault["input"]
    raise UserError(f"{file}: {place} is {_shown(given)}: {_why(own[0], given, fault)}")


def _why(name: str, given: object, fault: ErrorDetails) -> str:
    if name == "generator":
        return "write a name or a list of names"
    if fault["type"] == "string_type" and isinstance(given, list):
        return "only the generator may be a list, write one name" if name in Budget.model_fields else "write one text"
    if fault["type"] in ("model_type", "dict_type"):
        return f"write a table, as in {'{ input = 1, output = 2 }' if name == 'price' else '{ NAME = 1 }'}"
    return fault["msg"][:1].lower() + fault["msg"][1:]


def _shown(value: object) -> str:
    try:
        return printable(repr(value), 60)
    except ValueError:  # a hexadecimal number may have more digits than can be written
        return "a number of too many digits"


def _one_of(names: Sequence[str]) -> str:
    return f"known are {', '.join(names)}"


def _place(path: tuple[str, ...]) -> str:
    """As TOML writes it, fit for a terminal."""
    return ".".join(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else repr(printable(part, 40)) for part in path)


def _beside(config: Config, path: str) -> Path:
    assert config.file is not None
    return config.file.parent / path


def _directory(path: Path) -> Path:
    """From any directory, for a resume may be called from another one."""
    if not path.is_dir():
        raise UserError(
            f"{printable(str(path), 200)} is no directory: --prompts and roles.prompts name one with templates"
        )
    return path.absolute()
