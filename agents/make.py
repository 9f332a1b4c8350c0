"""From the settings of a run to its roles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marlsmith.agents.asking.accounts import Accounts
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.endpoint import Endpoint
from marlsmith.agents.critic import ModelCritic
from marlsmith.agents.generator import ModelGenerator
from marlsmith.agents.roles import Critic, Generator, Roles, Validator
from marlsmith.agents.settings import NOBODY, OFFLINE, RoleSettings
from marlsmith.agents.validator import ModelValidator
from marlsmith.prompts import Prompts


@dataclass(frozen=True)
class Cast:
    """The roles of a run, and the endpoints and accounts behind them."""

    roles: Roles
    endpoints: tuple[Endpoint, ...]
    accounts: Accounts


def make_roles(settings: RoleSettings, log: Path | None = None) -> Cast:
    """Roles with the same model share a client, and with it what was learned about the endpoint.

    Without a log nothing is written: for a look at the endpoints.
    """
    from marlsmith.agents.offline import OfflineCritic, OfflineGenerator, OfflineValidator

    accounts = Accounts(log, settings.budget, [Key(model.key_variable) for model in settings.models.values()])
    endpoints = {name: Endpoint(model, accounts) for name, model in settings.models.items() if name in settings.players}
    prompts = Prompts(Path(settings.prompts) if settings.prompts else None)
    clients = {name: Client(endpoint, accounts, prompts) for name, endpoint in endpoints.items()}

    def generator(name: str) -> Generator:
        return OfflineGenerator() if name == OFFLINE else ModelGenerator(clients[name], prompts)

    def critic(name: str) -> Critic:
        return OfflineCritic() if name == OFFLINE else ModelCritic(clients[name], prompts)

    def validator(name: str) -> Validator | None:
        if name == NOBODY:
            return None
        return OfflineValidator() if name == OFFLINE else ModelValidator(clients[name], prompts)

    roles = Roles(
        generators=tuple(map(generator, settings.generators)),
        critic=critic(settings.critic),
        validator=validator(settings.validator),
    )
    return Cast(roles, tuple(endpoints.values()), accounts)
