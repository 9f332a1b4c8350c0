"""Who stands behind a model role: `MODEL` at the hosted service, or `MODEL@BASE_URL` anywhere else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from marlsmith.schemas import UserError

KEY_VARIABLE = "OPENAI_API_KEY"
BASE_URL_VARIABLE = "OPENAI_BASE_URL"
HOSTED = "https://api.openai.com/v1"


@dataclass(frozen=True)
class ModelSpec:
    model: str
    base_url: str | None = None

    @property
    def address(self) -> str:
        return self.base_url or HOSTED

    def __str__(self) -> str:
        return f"{self.model}@{self.base_url}" if self.base_url else self.model


def parse_model(spec: str) -> ModelSpec:
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
        return ModelSpec(model, _checked(base_url))
    if not os.environ.get(KEY_VARIABLE, "").strip():
        raise UserError(
            f"`{spec}` is neither 'offline' nor a model that can be reached: write MODEL@BASE_URL for an "
            f"endpoint of your own, or set {KEY_VARIABLE}"
        )
    return ModelSpec(model)


def _checked(base_url: str) -> str:
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
