"""Writes an export: a directory with a signal, its policy and what applies them elsewhere, all without marlsmith."""

from __future__ import annotations

import ast
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from marlsmith.results.exporting.choice import Choice, choose
from marlsmith.results.exporting.facts import export_facts, signal_facts, task_facts
from marlsmith.results.exporting.policy import write_policy
from marlsmith.results.exporting.readme import readme
from marlsmith.results.past import PastRun
from marlsmith.schemas import Scope, Signal, SignalError, TaskCard, UserError, printable

if TYPE_CHECKING:  # it brings torch
    from marlsmith.marl.external.task import ExternalTask

# Not signal.py: in a directory from which Python is started it would stand in for the library's own `signal`.
SIGNAL_FILE = "learning_signal.py"
POLICY_FILE = "policy.safetensors"
READERS = {"mpe/": "state_of_particles", "lbf/": "state_of_foraging"}
"""By the beginning of a task's name; all others are read as their card declares."""
PACKAGE = '"""Made by `marlsmith export`: SignalEnv in signal_env, Policy in policy; README.md says how."""\n'


@dataclass(frozen=True)
class Exported:
    """What was taken home, for the last word of a command."""

    directory: Path
    candidate: str
    promoted: bool
    policy_seeds: tuple[int, ...]


def export(path: Path, directory: Path, wanted: str | None, *, trusted: bool = False) -> Exported:
    """Raises UserError where there is nothing to take home, or no room for it, or where the task is a program of others
    and nobody said that it is to be trusted.
    """
    directory = directory.absolute()
    _require_room(directory)
    past = PastRun.open(path)
    choice = choose(past, wanted)
    if past.is_of_others and not trusted:
        raise UserError(
            f"{past.path} is of {printable(past.settings.task, 80)}, a program of others that would be started: "
            "say --trust-task if you know it"
        )
    if choice.candidate.signal.is_native:
        raise UserError(
            f"{choice.candidate.id} changes nothing, the native task is all of it: choose another candidate"
        )
    code, about, card, task = _read_task(past, choice)
    facts = export_facts(past, choice, about, task)
    with _building(directory) as building:
        if choice.checkpoints:
            facts["policy"] = write_policy(choice, task, building / POLICY_FILE)
            _copy("policy.py.txt", building / "policy.py")
        _write(building / SIGNAL_FILE, code)
        _copy("signal_functions.py.txt", building / "signal_functions.py")
        _copy("signal_env.py.txt", building / "signal_env.py")
        reader = next((name for start, name in READERS.items() if card.name.startswith(start)), "state_as_declared")
        _copy(f"{reader}.py.txt", building / "task_state.py")
        if reader in READERS.values():
            _copy("score.py.txt", building / "score.py")
        _copy("LICENSE.txt", building / "LICENSE.txt")
        _write(building / "__init__.py", PACKAGE)
        _write(building / "export.json", json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        _write(building / "README.md", readme(facts, card, choice))
    seeds = tuple(facts["policy"]["seeds"]) if facts["policy"] else ()
    return Exported(directory, choice.candidate.id, choice.promoted, seeds)


# ---------------------------------------------------------------- what is written


def _read_task(past: PastRun, choice: Choice) -> tuple[str, dict[str, Any], TaskCard, dict[str, Any]]:
    """The signal as code, how it is called, and the task. Code is read and checked here, and never executed."""
    from marlsmith.marl.signals.static import checked_tree
    from marlsmith.marl.signals.writer import to_code
    from marlsmith.marl.tasks import make_task

    reference = past.settings.task
    task = make_task(reference)
    signal = choice.candidate.signal
    try:
        tree = checked_tree(signal, task.card)
        code = to_code(signal, task.card)
    except SignalError as error:
        raise UserError(f"{choice.candidate.id} was refused, so there is nothing to take home: {error}") from None
    facts = task_facts(task.card, reference)
    if not task.card.name.startswith(tuple(READERS)):
        facts |= _declared(cast("ExternalTask", task))
    return code, signal_facts(signal, tree, _scope(signal, tree)), task.card, facts


def _declared(task: ExternalTask) -> dict[str, Any]:
    """How the state of an external task is cut out of what its environment gives."""
    source = task.source
    kind, _, target = source.environment.partition(":")
    return {
        "names": list(task.found.names),
        "declared": [field.model_dump(mode="json") for field in source.fields],
        "extras": {name: list(shape) for name, shape in task.layout.extras},
        "score_from": source.score.from_,
        "kind": kind,
        "target": target,
        "options": source.options,
    }


def _scope(signal: Signal, tree: ast.Module) -> Scope:
    if signal.observation is None:
        return "own"
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SCOPE")], value=ast.Constant(value="team")):
                return "team"
            case ast.AnnAssign(target=ast.Name(id="SCOPE"), value=ast.Constant(value="team")):
                return "team"
    return "own"


def _copy(name: str, target: Path) -> None:
    """Of the files that are taken home as they are. Modules among them end in .txt here: none of this program's."""
    _write(target, files("marlsmith.results.exporting").joinpath("files", name).read_text("utf-8"))


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


# ---------------------------------------------------------------- where it is written


def _require_room(directory: Path) -> None:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise UserError(f"{directory} exists: choose another directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"{directory} is not empty: choose another directory")


@contextmanager
def _building(directory: Path) -> Iterator[Path]:
    """A directory beside its place, renamed into it when it is whole: a refusal leaves nothing behind."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise UserError(f"cannot write {directory} ({_reason(error)}): choose another directory") from None
    try:
        yield building
        building.chmod(0o755)
        building.rename(directory)  # in the place of an empty one, too
    except OSError as error:
        raise UserError(f"cannot write {directory} ({_reason(error)}): choose another directory") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _reason(error: OSError) -> str:
    return (error.strerror or "fault").lower()
