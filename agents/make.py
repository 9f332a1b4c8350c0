"""From the words of the command line to the roles of a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from marlsmith.agents.client import ChatClient
from marlsmith.agents.critic import ModelCritic
from marlsmith.agents.endpoint import ModelSpec, parse_model
from marlsmith.agents.generator import ModelGenerator
from marlsmith.agents.roles import Roles
from marlsmith.agents.validator import ModelValidator

OFFLINE = "offline"


def make_roles(
    generator: str, critic: str, validator: str, log: Path, timeout: float = 120.0
) -> tuple[Roles, list[ChatClient]]:
    """Each role is 'offline' or a model, MODEL[@BASE_URL]; the clients are for preflight and for counting.

    Roles with the same model share a client, and with it what was learned about the endpoint. Raises
    UserError for a model that cannot be reached.
    """
    from marlsmith.agents.offline import OfflineCritic, OfflineGenerator, OfflineValidator

    clients: dict[ModelSpec, ChatClient] = {}

    def client(name: str) -> ChatClient:
        spec = parse_model(name)
        return clients.setdefault(spec, ChatClient(spec, log, timeout))

    roles = Roles(
        generator=OfflineGenerator() if generator == OFFLINE else ModelGenerator(client(generator)),
        critic=OfflineCritic() if critic == OFFLINE else ModelCritic(client(critic)),
        validator=OfflineValidator() if validator == OFFLINE else ModelValidator(client(validator)),
    )
    return roles, list(clients.values())


def tokens(clients: Iterable[ChatClient]) -> int:
    """Prompt and completion tokens of all clients so far."""
    return sum(client.usage.tokens for client in clients)
