"""Where templates are rendered: they may come from others, and a template can call what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """A missing field is an error, and of a record only what we gave it can be reached.

    jinja2's sandbox lets every public method pass, and pydantic's own ones read files and load pickles.
    """

    def __init__(self, sources: Mapping[str, str], files: Mapping[str, str]) -> None:
        def load(name: str) -> tuple[str, str, Any] | None:
            return (sources[name], files[name], lambda: True) if name in sources else None

        super().__init__(
            loader=FunctionLoader(load),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, BaseModel) and hasattr(BaseModel, attr) and attr != "model_dump_json":
            return False
        return not isinstance(obj, type) and super().is_safe_attribute(obj, attr, value)
