"""What stands below the story of a run: the answer first, then what it took, where things are, what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from marlsmith.agents.settings import BUILT_IN, MANUAL
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.telling import jail
from marlsmith.graph.telling.main_run_result import Beside, files, main_run_result
from marlsmith.graph.telling.speech import WORDS, count, interval, money, price, standings
from marlsmith.graph.telling.trace import Event
from marlsmith.schemas import printable


def result(event: Event, settings: RunSettings | None, beside: Beside, again: bool) -> Iterable[RenderableType]:
    """Of a `finished` event. `again`: whoever reads it has asked for it, and need not be told how to."""
    adapted = event.get("main") is not None
    yield from main_run_result(event, settings, beside) if adapted else _compared(event)
    if (found := event.get("jail")) is not None and (stamp := jail.standing(**found)) is not None:
        yield Text(stamp, "yellow" if found["sound"] else "bold red")
    if (effect := event.get("validator")) is not None and (effect["refused"] or effect["vetoed"]):
        yield Text(
            f"validator refused {count(effect['refused'], 'candidate')}, which saved "
            f"{effect['steps_saved']:,} environment steps, and vetoed {count(effect['vetoed'], 'promotion')}",
            "dim",
        )
    steps, paid = f"{event['environment_steps']:,} environment steps", price(event["tokens"], event.get("money"))
    yield Text(f"{event['seconds']:.0f} s, {steps}, {paid}", "dim")
    yield from _players(event.get("roles", ()))
    yield Text()
    for name, path in (files(event) if adapted else _files(event)).items():
        yield Text(f"{name:<8}{path}")
    if not again:
        yield Text(f"next    marlsmith show {event['run']}")


def _files(event: Event) -> Mapping[str, str]:
    run, best = event["run"], event["best"]
    if event["promoted"]:
        return {"signal": f"{run}/main/signal.py", "policy": f"{run}/main/checkpoint.safetensors"}
    return {"best": f"{run}/candidates/{best['candidate']}.py"} if best is not None else {}


def _compared(event: Event) -> Iterator[RenderableType]:
    """Native against best on fresh seeds."""
    native, best, gain = event["native"], event["best"], event["gain"]
    if best is None or native is None:
        yield Text(f"No signal could be compared with the native one: {event['reason']}.", "bold yellow")
        return
    seeds = "fresh seeds" if event["phase"] == "confirm" else "seeds of the search, which flatter the best"
    yield Text(f"Score on {len(best['scores'])} {seeds}; interquartile mean and 95% interval", "dim")
    yield standings({"native": native, best["candidate"]: best})
    metrics = ", ".join(f"{k} {native['metrics'][k]:.3g} -> {v:.3g}" for k, v in best["metrics"].items())
    yield Text(metrics, "dim")
    word = "promoted" if event["promoted"] else "not promoted"
    spread = f" {interval(gain['interval'], '+')}" if gain else ""
    mean = f"mean paired gain {gain['mean']:+.3f}, 95% interval{spread}; " if gain else ""
    yield Text(f"{mean}{word}: {event['reason']}.", "bold" if event["promoted"] else "bold yellow")


def _players(players: Sequence[Event]) -> Iterable[RenderableType]:
    """Who played which role and what that took; nothing where all were offline."""
    if all(player["name"] in BUILT_IN for player in players):
        return
    table = Table.grid(padding=(0, 2))
    for player in players:
        table.add_row(
            *(Text(printable(words, WORDS), "dim") for words in (player["role"], _who(player), _took(player)))
        )
    yield Text()
    yield table


def _who(player: Event) -> str:
    if player["model"] is None:
        return "a person" if player["name"] == MANUAL else str(player["name"])
    named = f"{player['name']}, " if player["name"] not in (None, player["model"]) else ""
    return f"{named}{player['model']} at {urlsplit(player['address']).netloc}"


def _took(player: Event) -> str:
    """Nothing of those who are not paid."""
    if player["model"] is None:
        return ""
    parts = {"cached": player["cached_tokens"], "reasoning": player["reasoning_tokens"]}
    of_them = ", ".join(f"{number:,} {name}" for name, number in parts.items() if number)
    said = f"{count(player['calls'], 'call')}, {player['failed']:,} failed; {player['tokens']:,} tokens"
    said += f" ({of_them})" if of_them else ""
    if player["money"] is not None:
        said += f"; {money(player['money'])} {player['currency'] or 'in the currency of its price'}"
    return said
