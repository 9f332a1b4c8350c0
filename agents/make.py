"""From the settings of a run to its roles."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.manual import Person
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.critic import ModelCritic
from marlsmith.agents.generator import ModelGenerator
from marlsmith.agents.roles import Critic, Generator, Roles, Validator, Workbench
from marlsmith.agents.settings import MANUAL, NOBODY, OFFLINE, RANDOM, RoleSettings
from marlsmith.agents.templates import prompts_of
from marlsmith.agents.validator import ModelValidator

MOST_PARALLEL = 16


@dataclass(frozen=True)
class Cast:
    """The roles of a run, and the endpoints and accounts behind them."""

    roles: Roles
    endpoints: tuple[Endpoint, ...]
    accounts: Accounts
    interrupt: Callable[[], None]
    """Ends all waits for a person or a model, and lets nothing more be asked: whoever would raises Interrupted."""


def make_roles(
    settings: RoleSettings,
    log: Path | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
    workbench: Workbench | None = None,
) -> Cast:
    """Roles with the same model share a client, and with it what was learned about the endpoint.

    Without a log nothing is written: for a look at the endpoints. `tell` hears whom the run waits for.
    On the `workbench` generators may try their signals before they propose them.
    """
    from marlsmith.agents.offline import OfflineCritic, OfflineGenerator, OfflineValidator, RandomGenerator

    interrupted = threading.Event()
    accounts = Accounts(
        log,
        settings.budget,
        keys=[Key(model.key_variable) for model in settings.models.values()],
        replay=Path(settings.replay) if settings.replay else None,
        interrupted=interrupted,
    )
    endpoints = {name: Endpoint(model, accounts) for name, model in settings.models.items() if name in settings.players}
    prompts = prompts_of(settings, log.parent if log else None)
    clients = {name: Client(endpoint, accounts, prompts, name=name) for name, endpoint in endpoints.items()}
    if MANUAL in settings.players:
        run = log.parent if log else Path(os.devnull)  # for a look at the endpoints: nobody is asked
        person = Person(run, accounts, prompts, seconds=settings.manual_seconds, interrupted=interrupted, tell=tell)
        clients[MANUAL] = Client(person, accounts, prompts)

    def generator(name: str) -> Generator:
        if name == OFFLINE:
            return OfflineGenerator()
        if name == RANDOM:
            return RandomGenerator()
        if name == MANUAL:  # a person has no tools, and is asked for everything at once
            return ModelGenerator(clients[name], prompts, parallel=MOST_PARALLEL)
        model = settings.models[name]
        bench = workbench if model.tools else None
        return ModelGenerator(clients[name], prompts, bench, model.parallel)

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
    return Cast(roles, tuple(endpoints.values()), accounts, interrupted.set)
