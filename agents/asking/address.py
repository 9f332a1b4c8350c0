"""Whose endpoint is meant, and its key: `MODEL` at the hosted service, or `MODEL@BASE_URL` anywhere else."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from marlsmith.agents.settings import KEY_VARIABLE, ModelSettings
from marlsmith.schemas import EndpointError, UserError

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
HOSTED = "https://api.openai.com/v1"
SECRET_LENGTH = 8
"""Shorter keys are the dummies that local endpoints get: "x", "EMPTY", "ollama"."""
_KEYS = re.compile(r"\s*(Bearer\s+\S|(sk|pk|rk)[-_]\S{8}|(gsk|hf|xai|pplx|nvapi|tgp|fw|ghp)[-_]\w{16}|AIza\w{20})")
"""How the keys of the well-known services begin."""


def address(settings: ModelSettings) -> str:
    return settings.base_url or HOSTED


def parse_model(spec: str) -> ModelSettings:
    """`MODEL[@BASE_URL]`, refused here with a remedy rather than at the first request.

    The OPENAI_BASE_URL variable stands in for a base URL that is not written, as in OpenAI's own clients.
    """
    written = re.fullmatch(r"(?P<model>.*?)@(?P<base_url>https?:.*)", spec.strip(), re.IGNORECASE)
    if written:
        model, base_url = written["model"].strip(), written["base_url"]
    elif "@" in spec:
        raise UserError(f"`{spec}` names no http(s) address after the @: write MODEL@http://HOST:PORT/v1")
    else:
        model, base_url = spec.strip(), hosted_or_stand_in() or ""
    if not model:
        raise UserError(f"`{spec}` names no model: write MODEL@BASE_URL, MODEL, or offline")
    if base_url:
        return ModelSettings(model=model, base_url=checked_address(base_url))
    if not os.environ.get(KEY_VARIABLE, "").strip():
        raise UserError(
            f"`{spec}` is neither 'offline' nor a model that can be reached: write MODEL@BASE_URL for an endpoint "
            f"of your own, a NAME of marlsmith.toml, or manual for a person, or set {KEY_VARIABLE}"
        )
    return ModelSettings(model=model)


def written(settings: ModelSettings) -> str:
    """As `parse_model` reads it."""
    return f"{settings.model}@{settings.base_url}" if settings.base_url else settings.model


def hosted_or_stand_in() -> str | None:
    """The address where none is written: that of OPENAI_BASE_URL, else None for the hosted service."""
    base_url = os.environ.get(BASE_URL_VARIABLE, "").strip()
    return checked_address(base_url) if base_url else None


def looks_like_a_key(text: str) -> bool:
    """A key where a name or an address belongs must not be quoted, kept or sent on."""
    return any(_KEYS.match(part) for part in text.split("@"))


def checked_address(base_url: str) -> str:
    """Without a trailing slash, or the page that requests go to.

    Raises UserError where it is no address, or where it carries a password or a query.
    """
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        valid = False
    if not valid or re.search(r"\s", base_url):
        raise UserError(f"`{base_url}` is no http(s) address: write it as http://HOST:PORT/v1")
    if parts.username is not None or parts.password is not None:
        raise UserError(
            f"the address of {parts.hostname} carries a password, which logs would show: "
            f"leave it out and set {KEY_VARIABLE}"
        )
    if parts.query or parts.fragment:
        raise UserError(
            f"the address of {parts.hostname} has something after a ? or #, where keys like to stand: "
            "leave that out, it should end in a path such as /v1"
        )
    return base_url.rstrip("/").removesuffix("/chat/completions").rstrip("/")


class Key:
    """A key, by the name of its variable: read when it is needed; Keys hide it wherever it comes back."""

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def read(self) -> str:
        return os.environ.get(self.variable, "").strip()

    def presented(self) -> str:
        """Refused here where it cannot be a header, for the HTTP libraries would quote it in their error."""
        key = self.read() or "none"
        if not re.fullmatch(r"[!-~]+", key):
            raise EndpointError(
                f"{self.variable} holds a blank, a line break or another character that no key has: set it anew"
            )
        return key
