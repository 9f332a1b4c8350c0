"""What a worker can be asked to do, by name, and how a name becomes a function.

A handler is `def handler(arguments: dict, report: Callable[[dict], None]) -> tuple[dict, bytes | None]`: it
reports progress as often as it likes and returns its result with, where it has any, safetensors bytes. Where
the caller sent some along, they are `arguments["tensors"]`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ENVIRONMENTS_FD = 4
"""Where a job finds the connection to its environment server, if it has one."""
PEER_FD = 5
"""Where a simulator finds its policy, and a policy its simulator."""

Report = Callable[[dict[str, Any]], None]
Handler = Callable[[dict[str, Any], Report], tuple[dict[str, Any], bytes | None]]

PROBE = "probe"
"""The job that tries the jail."""

# Targets are "module:function", or "path.py:function" for a file outside every package.
JOBS: dict[str, str] = {
    "train": "marlsmith.marl.jobs:train",
    "simulate": "marlsmith.marl.jobs:simulate",
    "film": "marlsmith.marl.jobs:film",
    "play": "marlsmith.marl.jobs:play",
    "sample": "marlsmith.marl.jobs:sample",
    "check": "marlsmith.marl.jobs:check",
    "values": "marlsmith.marl.jobs:values",
    PROBE: "marlsmith.marl.jail.probes:probe",
}
WARM_UP = "marlsmith.marl.warm_up:warm_up"
"""A job that the server itself does once, so that whatever is imported late has been imported before the first fork."""


def load(target: str) -> Handler:
    """The function a target names. Raises ImportError, AttributeError, or whatever the module raises."""
    module_name, _, function = target.rpartition(":")
    module = _file(module_name) if module_name.endswith(".py") else importlib.import_module(module_name)
    handler: Handler = getattr(module, function)
    return handler


def _file(path: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(Path(path).stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
