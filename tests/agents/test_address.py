"""Whose endpoint is meant: what may be written, and how a wrong one is refused."""

from __future__ import annotations

import pytest

from marlsmith.agents.asking.address import HOSTED, address, parse_model
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import UserError

KEY = "sk-secret-0123456789"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("qwen3:8b@http://localhost:11434/v1", ModelSettings(model="qwen3:8b", base_url="http://localhost:11434/v1")),
        ("org/model@2026@https://host/v1/", ModelSettings(model="org/model@2026", base_url="https://host/v1")),
    ],
)
def test_parse_model(spec: str, expected: ModelSettings) -> None:
    assert parse_model(spec) == expected


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("m@localhost:8000", "names no http"),
        ("m@ftp://host", "names no http"),
        ("m@http://", "no http.s. address"),
        ("m@http://host:port/v1", "no http.s. address"),
        ("@http://host/v1", "names no model"),
        ("", "names no model"),
        ("m@http://me:hunter2@host/v1", "carries a password"),
        ("ofline", "neither 'offline' nor a model that can be reached"),
    ],
)
def test_a_spec_that_cannot_work_is_refused_in_one_sentence(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse_model(spec)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hosted_model_needs_the_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert parse_model("gpt-5") == ModelSettings(model="gpt-5")
    assert address(parse_model("gpt-5")) == HOSTED
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy/v1")
    assert address(parse_model("gpt-5")) == "http://proxy/v1"
