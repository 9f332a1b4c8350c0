"""The house: imports go one way, marl knows no LLM, agents know no torch, and --help imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "schemas": set(),
    "prompts": {"schemas"},
    "agents": {"prompts", "schemas"},
    "marl": {"schemas"},
    "graph": {"agents", "marl", "schemas"},
    "cli": {"graph", "agents", "marl", "schemas"},
}
FOREIGN = {
    "marl": {"langgraph", "langchain_core", "langchain_openai", "openai"},
    "agents": {"torch", "langgraph"},
    "prompts": {"torch", "langgraph", "langchain_openai"},
    "graph": {"torch", "openai", "langchain_openai"},
    "schemas": {"torch", "langgraph", "numpy"},
}


def modules() -> list[tuple[str, Path]]:
    files = [(path.stem, path) for path in (ROOT / "schemas.py", ROOT / "cli.py")]
    rooms = [room for room in ROOMS if (ROOT / room).is_dir()]
    return files + [(room, path) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(getattr(value, "name", value)))
def test_imports_go_one_way(room: str, path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in ROOMS, f"{path}: `import {name}` makes a second copy; say marlsmith.{name}"
        assert parts[0] not in FOREIGN.get(room, set()), f"{path}: {room} must not know {parts[0]}"
        if parts[0] == "marlsmith" and len(parts) > 1:
            assert parts[1] == room or parts[1] in ROOMS[room], f"{path}: {room} must not import {name}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['marlsmith', '--help']\nfrom marlsmith.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'langgraph', 'pydantic', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_the_package_is_installed_under_its_name() -> None:
    """A flat install would put `agents`, `graph` and others into everybody's site-packages."""
    code = "import importlib.util as u; print([n for n in ('agents', 'marl', 'schemas') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"
