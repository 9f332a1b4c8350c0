"""What tokens cost: as the settings say, else as the `prices` extra knows it, else nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from marlsmith.agents.asking.address import address
from marlsmith.agents.asking.question import NO_USAGE, Usage
from marlsmith.agents.settings import Budget, ModelSettings, Price, RoleSettings
from marlsmith.schemas import UserError

DIGITS = 9
"""Of an amount: sums of such are the same in whatever order parallel calls come back."""


@dataclass(frozen=True)
class Tariff:
    words: str
    """For people: what a million tokens cost, and who says so."""
    money: Callable[[Usage], float]


def known_price(settings: ModelSettings) -> Tariff | None:
    """None where neither the settings nor the table of the `prices` extra (in US dollars) has a price."""
    price = settings.price
    if price is not None:
        cached = "" if price.cached is None else f", {price.cached:g} cached"
        return Tariff(
            f"{price.input:g} in, {price.output:g} out{cached} (settings)", lambda usage: _money(price, usage)
        )
    return _listed(settings)


def require_prices(settings: RoleSettings) -> None:
    """Refuses, before a run starts, a budget of money for models whose calls nobody can price."""
    for name in settings.players:
        model = settings.models.get(name)
        if model is not None and _limits_money(settings, name) and known_price(model) is None:
            raise unpriced(model)


def unpriced(model: ModelSettings) -> UserError:
    return UserError(
        f"a budget of money needs the price of {model.model} at {address(model)}, and none is known: write "
        "price = { input = X, output = Y } (for a million tokens) into its [models.NAME] table in marlsmith.toml, "
        "or limit tokens instead"
    )


def limits_money(budget: Budget, role: str) -> bool:
    return budget.run.money is not None or getattr(budget, role).money is not None


def _limits_money(settings: RoleSettings, player: str) -> bool:
    played = {
        "generator": player in settings.generators,
        "critic": player == settings.critic,
        "validator": player == settings.validator,
    }
    return any(limits_money(settings.budget, role) for role, plays in played.items() if plays)


def _money(price: Price, usage: Usage) -> float:
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    of_cached = price.input if price.cached is None else price.cached
    fresh = usage.prompt_tokens - cached
    amount = fresh * price.input + cached * of_cached + usage.completion_tokens * price.output
    return round(amount / 1e6, DIGITS)


def _listed(settings: ModelSettings) -> Tariff | None:
    try:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price
    except ImportError:
        return None

    def money(usage: Usage) -> float:
        tokens = Tokens(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
            output_tokens=usage.completion_tokens,
        )
        return round(float(calc_price(tokens, settings.model, provider_api_url=address(settings)).total_price), DIGITS)

    try:
        money(NO_USAGE)
        a_million = [money(Usage(prompt_tokens=10**6)), money(Usage(completion_tokens=10**6))]
    except (LookupError, ValueError):  # a provider, or a model of it, that the table does not know
        return None
    return Tariff(f"{a_million[0]:g} in, {a_million[1]:g} out (genai-prices)", money)
