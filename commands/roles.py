"""`marlsmith roles`: who would play the roles of a run, how they are reached, and what that may cost."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from marlsmith.agents.asking.accounting.prices import known_price, require_prices
from marlsmith.agents.asking.address import Key, address
from marlsmith.agents.asking.wire.endpoint import Ability, Endpoint
from marlsmith.agents.config import Choice, role_settings
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import MANUAL, NOBODY, OFFLINE, RANDOM, Budget, ModelSettings, RoleSettings
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.schemas import AnswerError, PausingError, UserError, plain, printable

__all__ = ["Choice", "show_roles"]

_FORMS = {
    "json_schema": "JSON by a schema",
    "json_object": "JSON without a schema",
    "tool": "arguments of a tool",
    "text": "plain text",
}
AT_ONCE = 16
"""Endpoints that are asked beside one another."""
PING_TIMEOUT = 60.0
"""Seconds of one try: a local server may have to load its model first."""


@dataclass(frozen=True)
class Pinged:
    """What came of a tiny question: what the endpoint can do, or one sentence that says what is wrong."""

    ability: Ability | None = None
    fault: str | None = None


def show_roles(choice: Choice, *, ping: bool, as_json: bool) -> bool:
    """Returns whether all that were asked have answered."""
    settings = role_settings(choice)
    pinged = _ping(settings) if ping else {}
    if as_json:
        print(json.dumps(_plain(settings, pinged)))
    else:
        _print(settings, pinged)
    return all(answer.fault is None for answer in pinged.values())


# ---------------------------------------------------------------- asking


def _ping(settings: RoleSettings) -> dict[str, Pinged]:
    """All at once. Neither the run's budget nor its patience is for this."""
    models = {
        name: model.model_copy(update={"timeout": min(model.timeout, PING_TIMEOUT)})
        for name, model in settings.models.items()
    }
    asked = make_roles(settings.model_copy(update={"budget": Budget(), "models": models}))
    if not asked.endpoints:
        return {}
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(asked.endpoints))) as pool:
        try:
            answers = list(pool.map(_answer, asked.endpoints))
        except KeyboardInterrupt:
            asked.interrupt()  # or the pool would wait for those that hang
            raise
    names = [name for name in settings.models if name in settings.players]
    return dict(zip(names, answers, strict=True))


def _answer(endpoint: Endpoint) -> Pinged:
    try:
        return Pinged(endpoint.ping())
    except (AnswerError, PausingError) as error:
        return Pinged(fault=str(error))


# ---------------------------------------------------------------- telling


def _plain(settings: RoleSettings, pinged: dict[str, Pinged]) -> dict[str, object]:
    return {
        "roles": [{"role": role, "who": who} for role, who in settings.cast],
        "models": {
            name: {
                **plain(model),
                "address": address(model),
                "key_set": bool(Key(model.key_variable).read()),
                "price_known": known_price(model) is not None,
                **({"ping": _told(pinged[name])} if name in pinged else {}),
            }
            for name, model in settings.models.items()
        },
        "budget": plain(settings.budget),
        "refused": _refusal(settings),
        "manual_seconds": settings.manual_seconds,
        "prompts": settings.prompts,
    }


def _told(pinged: Pinged) -> dict[str, object]:
    can = asdict(pinged.ability) if pinged.ability else {}
    return {"answered": pinged.ability is not None, "fault": pinged.fault, **can}


def _refusal(settings: RoleSettings) -> str | None:
    """Why `run` would not start with these."""
    try:
        require_prices(settings)
    except UserError as error:
        return str(error)
    return None


def _print(settings: RoleSettings, pinged: dict[str, Pinged]) -> None:
    console = OutputConsole(highlight=False, width=None if sys.stdout.isatty() else 160)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("role", "who", "what that is"):
        table.add_column(title, no_wrap=title != "what that is")
    for role, who in settings.cast:
        table.add_row(Text(role), Text(who), Text(_described(role, who, settings)))
    console.print(table)
    for name, model in settings.models.items():
        console.print()
        console.print(_about(name, model, pinged.get(name)))
    console.print()
    console.print(Text(f"budget: {_budget(settings.budget)}"))
    if (sentence := _refusal(settings)) is not None:
        console.print(Text(f"run would refuse: {sentence}", "bold yellow"))


def _described(role: str, who: str, settings: RoleSettings) -> str:
    if who == NOBODY:
        return "nobody reviews candidates"
    if who == MANUAL:
        return f"a person, by files in RUN/manual, with {settings.manual_seconds / 60:g} minutes for an answer"
    if who == RANDOM:
        return "draws from the config vocabulary and learns nothing, no model"
    if who != OFFLINE:
        return f"the model {settings.models[who].model}"
    return {
        "generator": "an evolutionary designer over the config vocabulary, no model",
        "critic": "rules over the measured evidence, no model",
        "validator": "rules, no model",
    }[role]


def _about(name: str, model: ModelSettings, pinged: Pinged | None) -> Table:
    about = Table.grid(padding=(0, 2))
    about.add_row(Text(name, "bold"), Text(model.model if model.model != name else ""))
    rows = {
        "address": address(model),
        "key": f"{model.key_variable} is {'set' if Key(model.key_variable).read() else 'not set'}",
        "settings": _settings(model),
        "price": tariff.words if (tariff := known_price(model)) else "not known: tokens are counted, money is not",
    }
    for title, said in rows.items():
        about.add_row(Text(f"  {title}", "dim"), Text(said))
    if pinged is not None:
        said, style = (_ability(pinged.ability), "green") if pinged.ability else (str(pinged.fault), "bold red")
        about.add_row(Text("  ping", "dim"), Text(said, style))
    return about


def _ability(ability: Ability) -> str:
    parts = [
        f"answered in {ability.seconds:.1f} s",
        f"answers as {_FORMS[ability.rung]}",
        "calls tools" if ability.tools else "calls no tools",
        "says what a call took" if ability.usage else "does not say what a call took: tokens are estimated",
    ]
    if ability.without:
        parts.append(f"does not take {', '.join(ability.without)}")
    if ability.model:
        parts.append(f"calls itself {printable(ability.model, 80)}")
    return ", ".join(parts)


def _settings(model: ModelSettings) -> str:
    """What differs from nothing said, and what bounds a call in any case."""
    parts = [f"timeout {model.timeout:g} s", f"{model.parallel} calls at once"]
    for name in ("temperature", "reasoning_effort", "max_tokens", "requests_per_minute"):
        if (value := getattr(model, name)) is not None:
            parts.append(f"{name.replace('_', ' ')} {value}")
    if not model.tools:
        parts.append("no tools")
    if model.extra_body:
        parts.append(f"extra body {', '.join(model.extra_body)}")
    return ", ".join(parts)


def _budget(budget: Budget) -> str:
    said = []
    for place in Budget.model_fields:
        limits = [f"{_amount(value)} {name}" for name, value in getattr(budget, place) if value is not None]
        if limits:
            said.append(f"{place} {', '.join(limits)}")
    return "; ".join(said) or "no limits"


def _amount(value: float) -> str:
    """Calls and tokens are counted, money is not."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
