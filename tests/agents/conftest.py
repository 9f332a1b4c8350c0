"""A client with all that stands behind it, and a question to put to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.address import Key, parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import Review

GOOD = '{"approve": true, "reasons": ["fits"]}'


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


class Chat(Client):
    def __init__(self, settings: ModelSettings, log: Path, backoff: float = 0.0) -> None:
        self.log = log
        self.accounts = Accounts(log, keys=[Key(settings.key_variable)])
        self.endpoint = Endpoint(settings, self.accounts, backoff)
        super().__init__(self.endpoint, self.accounts)

    def review(self, place: str = "c1/check", **options: Any) -> Review:
        return self.ask("validator", place, "You review. Answer in JSON.", "Review this.", Review, **options)

    def lines(self) -> list[dict[str, Any]]:
        """The requests on record."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if "messages" in line]


@pytest.fixture
def chat(tmp_path: Path) -> Callable[..., Chat]:
    """`chat(base_url, model, **settings)`"""

    def make(base_url: str, model: str = "m", backoff: float = 0.0, **settings: Any) -> Chat:
        return Chat(ModelSettings(model=model, base_url=base_url, **settings), tmp_path / "llm.jsonl", backoff)

    return make


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Chat, Any]]:
    """`client(model, content)`: a chat with a scripted endpoint, and the endpoint.

    Each place is asked once in a run; a test that asks again names another one.
    """

    def make(model: str, content: Any = GOOD, key: str | None = None, **options: Any) -> tuple[Chat, Any]:
        endpoint = chat_endpoint(content, key=key)
        settings = parse_model(endpoint.spec(model)).model_copy(update=options)
        return Chat(settings, tmp_path / "llm.jsonl"), endpoint

    return make
