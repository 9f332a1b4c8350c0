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
        model, base_url = spec.strip(), os.environ.get(BASE_URL_VARIABLE, "").strip()
    if not model:
        raise UserError(f"`{spec}` names no model: write MODEL@BASE_URL, MODEL, or offline")
    if base_url:
        return ModelSettings(model=model, base_url=checked_address(base_url))
    if not os.environ.get(KEY_VARIABLE, "").strip():
        raise UserError(
            f"`{spec}` is neither 'offline' nor a model that can be reached: write MODEL@BASE_URL for an "
            f"endpoint of your own, or set {KEY_VARIABLE}"
        )
    return ModelSettings(model=model)


def written(settings: ModelSettings) -> str:
    """As `parse_model` reads it."""
    return f"{settings.model}@{settings.base_url}" if settings.base_url else settings.model


def checked_address(base_url: str) -> str:
    """The address without a trailing slash; refused where it is none, or where it carries a password."""
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
    return base_url.rstrip("/")


class Key:
    """A key, by the name of its variable: read when it is needed, and hidden wherever it comes back."""

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

    def hide(self, text: str) -> str:
        key = self.read()
        return text.replace(key, "***") if len(key) >= SECRET_LENGTH else text
