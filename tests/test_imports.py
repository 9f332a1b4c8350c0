"""The house: imports go one way, marl knows no LLM, agents know no torch, and --help imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "schemas": set(),
    "prompts": {"schemas"},
    "agents": {"prompts", "schemas"},
    "marl": {"schemas"},
    "graph": {"agents", "marl", "schemas"},
    "results": {"graph", "agents", "marl", "schemas"},
    "commands": {"results", "graph", "agents", "marl", "schemas"},
    "cli": {"commands", "schemas"},
}
FOREIGN = {
    "marl": {"langgraph", "langchain_core", "langchain_openai", "openai"},
    "agents": {"torch", "langgraph"},
    "prompts": {"torch", "langgraph", "langchain_openai"},
    "graph": {"torch", "openai", "langchain_openai"},
    "results": {"torch", "openai", "langchain_openai", "langgraph"},
    "schemas": {"torch", "langgraph", "numpy"},
    "commands": {"torch", "numpy", "langgraph", "openai", "langchain_openai"},
    "cli": {"torch", "numpy", "langgraph", "openai", "langchain_openai", "pydantic", "rich"},
}


def modules() -> list[tuple[str, Path]]:
    rooms = [room for room in ROOMS if (ROOT / room).is_dir()]
    return [("cli", ROOT / "cli.py")] + [(room, path) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


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


MARL = {
    "tasks": {"external", "evaluation", "pairs", "seeding"},
    "signals": {"tasks"},
    "algorithms": {"config", "distributions", "losses", "mixing", "networks", "normaliser", "optimiser", "returns"},
    "checking": {
        "checkpoint", "config", "evaluation", "executor", "observing", "seeding", "signals", "tasks", "trainer",
        "workers",
    },
    "rendering": {"recording"},
}  # fmt: skip
"""Rooms within marl, and which other parts of marl they may know."""


def modules_of_marl() -> dict[str, Path]:
    """By name within marl: `trainer`, `tasks`, `tasks.base`."""
    inside = ROOT / "marl"
    paths = (path for path in inside.rglob("*.py") if path != inside / "__init__.py")
    return {".".join(path.relative_to(inside).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def marl_imports(path: Path) -> set[str]:
    """The modules of marl that a file imports, or imports from."""
    known, before = modules_of_marl(), "marlsmith.marl"
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = {name for name in whole if name.removeprefix(f"{before}.") in known}
            found |= inner | ({node.module or ""} if whole - inner else set())
    return {name.removeprefix(f"{before}.") for name in found if name.startswith(f"{before}.")} & known.keys()


def test_nothing_within_marl_imports_back() -> None:
    """No module leads to itself, by whatever way."""
    left = {name: marl_imports(path) - {name} for name, path in modules_of_marl().items()}
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert not left, f"these import each other: {sorted(left)}"


@pytest.mark.parametrize("room", [room for room in MARL if (ROOT / "marl" / room).is_dir()])
def test_rooms_of_marl_know_only_what_lies_below(room: str) -> None:
    for path in (ROOT / "marl" / room).rglob("*.py"):
        known = {name.partition(".")[0] for name in marl_imports(path)} - {room}
        assert known <= MARL[room], f"{path} knows {sorted(known - MARL[room])}"


HEAVY = ("torch", "numpy", "langgraph", "langchain_core", "openai")


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        ("--help", (*HEAVY, "pydantic")),
        ("--version", (*HEAVY, "pydantic")),
        ("run --help", HEAVY),
        ("show nowhere", HEAVY),
        ("report nowhere", HEAVY),
        ("reproduce table2 --finished --out nowhere", ("torch",)),
        ("resume nowhere", ("torch", "openai")),
        ("check nowhere.py", ("langgraph", "langchain_core", "openai")),
    ],
)
def test_a_command_imports_no_more_than_it_needs(words: str, unneeded: tuple[str, ...]) -> None:
    code = (
        f"import sys\nsys.argv = ['marlsmith', *{words.split()}]\nfrom marlsmith.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {unneeded} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert ("nowhere" in done.stderr) == ("nowhere" in words), done.stderr


def test_every_room_is_installed_and_looked_at() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert {name.removesuffix(".py") for name in tools["hatch"]["build"]["only-include"]} == set(ROOMS)
    assert set(tools["mypy"]["packages"]) == {f"marlsmith.{room}" for room in ROOMS}
    assert set(tools["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]) == set(ROOMS)


def test_only_the_package_is_installed_under_its_name() -> None:
    """A flat install would put `agents`, `graph` and others into everybody's site-packages."""
    code = "import importlib.util as u; print([n for n in ('agents', 'marl', 'schemas') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"
