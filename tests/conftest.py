"""What tests of several rooms share. Modules beside the tests are loaded by path: tests are no package."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent

# As in the workers; and on a busy machine two threads of one test wait for each other more than they compute.
os.environ["OMP_NUM_THREADS"] = "1"


def _load(path: Path) -> ModuleType:
    name = f"marlsmith_tests_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session", autouse=True)
def _state_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What commands keep between calls is not kept where the developer lives."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture
def chat_endpoint() -> Iterator[Callable[..., Any]]:
    """Starts scripted chat endpoints: `chat_endpoint(content, key=None)`, see tests/agents/endpoint.py.

    `content` is what a good reply says: a text, or a callable from the request's JSON to one.
    """
    module = _load(HERE / "agents" / "endpoint.py")
    with ExitStack() as stack:

        def start(content: str | Callable[[dict[str, Any]], str] = "{}", key: str | None = None) -> Any:
            says = content if callable(content) else lambda request: content
            return stack.enter_context(module.serve(says, key))

        yield start


@pytest.fixture
def records() -> ModuleType:
    """Records by hand, see tests/agents/records.py."""
    return _load(HERE / "agents" / "records.py")
