"""A run on disk (DESIGN section 8): everything a resume, a report or a reader needs, and nothing else.

Whole files appear at once (temporary file, fsync, rename), so that a file that exists is complete, whatever
killed the process. `events.jsonl` alone is appended to; its reader forgives a half-written last line.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from marlsmith.agents.settings import Budget
from marlsmith.agents.templates import keep_prompts
from marlsmith.graph import toml
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.seeds import confirm_seeds, search_seeds
from marlsmith.schemas import Candidate, Evaluation, Record, UserError

FREE_BYTES_NEEDED = 100_000_000
CHECKPOINT = "checkpoint.safetensors"
_VERSIONS_OF = (
    "marlsmith",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "torch",
    "numpy",
    "scipy",
    "pydantic",
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

R = TypeVar("R", bound=Record)


class Batch(Record):
    """What one pass of `propose` yielded. Written after its candidates: it stands for all of them."""

    candidates: tuple[str, ...]
    note: str | None = None


class RunDirectory:
    def __init__(self, path: Path, settings: RunSettings) -> None:
        self.path = path
        self.settings = settings

    @property
    def repeated(self) -> RunDirectory | None:
        """Of the run that this one replays. It may come from anybody: nothing that it accepted counts as sound."""
        source = self.settings.roles.replay
        return RunDirectory(Path(source), self.settings) if source else None

    # ------------------------------------------------------------ creating and opening

    @classmethod
    def create(
        cls, path: Path, settings: RunSettings, fingerprint: str, jail: Mapping[str, Any] | None = None
    ) -> RunDirectory:
        """A new run. Built beside its place and renamed into it: a refusal leaves nothing behind."""
        cls.require_place(path)
        path = path.absolute()
        with _creating(path), _parents_of(path):
            building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            try:
                for room in ("candidates", "branches", "main"):
                    (building / room).mkdir()
                (building / "events.jsonl").touch()
                settings = settings.model_copy(update={"roles": keep_prompts(settings.roles, building)})
                _write(building / "run.toml", toml.dumps(_manifest(settings, fingerprint, jail)))
                building.chmod(0o755)
                building.rename(path)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
        return cls(path, settings)

    @staticmethod
    def require_place(path: Path) -> None:
        """Refuses at once what `create` would refuse: a name that is taken or impossible, a disk that is full."""
        path = path.absolute()
        with _creating(path):
            str(path).encode()  # run.toml could not name it otherwise
            if path.exists() or path.is_symlink():
                raise UserError(f"{path} exists: choose another directory, or `marlsmith resume {path}`")
            _require_space(next(parent for parent in path.parents if parent.exists()))

    @classmethod
    def open(cls, path: Path, fingerprint: str | None = None) -> RunDirectory:
        """A run that exists. With a fingerprint, only one that this version's graph can continue."""
        path = path.absolute()
        file = path / "run.toml"
        with explained(path):
            if not file.is_file():
                raise UserError(f"{path} is not a run: it has no run.toml")
        try:
            with explained(path):
                manifest = tomllib.loads(file.read_text(encoding="utf-8"))
            settings = RunSettings.model_validate(manifest["settings"])
            written_by = manifest["fingerprint"], manifest["versions"]["marlsmith"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{file} is damaged ({reason}): restore it, or start a new run") from error
        if fingerprint is not None and written_by[0] != fingerprint:
            raise UserError(
                f"{path} was written by another state machine (marlsmith {written_by[1]}):"
                " resume it with that version, or start a new run"
            )
        return cls(path, settings)

    def stamp(self, jail: Mapping[str, Any]) -> None:
        """Writes down what a later process found of the jail, where that is less than run.toml says. Under the lock."""
        file = self.path / "run.toml"
        with explained(self.path):
            manifest = tomllib.loads(file.read_text(encoding="utf-8"))
            insisted = jail["unsafe"] and not self.settings.unsafe_jail
            if not insisted and (jail["sound"] or not manifest.get("jail", {}).get("sound", True)):
                return
            self.settings = self.settings.model_copy(
                update={"unsafe_jail": jail["unsafe"] or self.settings.unsafe_jail}
            )
            manifest |= {"settings": self.settings.model_dump(mode="json"), "jail": dict(jail)}
            _write(file, toml.dumps(manifest))

    def limit(self, budget: Budget) -> None:
        """What the roles may spend from now on. Under the lock."""
        roles = self.settings.roles.model_copy(update={"budget": budget})
        self.settings = self.settings.model_copy(update={"roles": roles})
        file = self.path / "run.toml"
        with explained(self.path):
            manifest = tomllib.loads(file.read_text(encoding="utf-8"))
            _write(file, toml.dumps(manifest | {"settings": self.settings.model_dump(mode="json")}))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """LangGraph has no lock per thread id: two processes would both run this run to its end."""
        with explained(self.path):
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise UserError(f"{self.path} is in use by process {holder}: wait for it, or end it") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            _locks.add(descriptor)
            try:
                yield
            finally:
                _locks.discard(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    # ------------------------------------------------------------ candidates

    def write_batch(self, name: str, candidates: list[Candidate], codes: list[str], note: str | None) -> None:
        """The pass's candidates, then its manifest: a pass without a manifest never happened."""
        with explained(self.path):
            for candidate, code in zip(candidates, codes, strict=True):
                _write(self._candidate(candidate.id).with_suffix(".py"), code)
                _write(self._candidate(candidate.id), _json(candidate))
            batch = Batch(candidates=tuple(candidate.id for candidate in candidates), note=note)
            _write(self._candidate(name), _json(batch))

    def batch(self, name: str) -> Batch | None:
        return self._read(self._candidate(name), Batch)

    def candidate(self, id: str) -> Candidate:
        found = self._read(self._candidate(id), Candidate)
        if found is None:
            raise UserError(f"{self._candidate(id)} is missing: restore it, or start a new run")
        return found

    def _candidate(self, id: str) -> Path:
        return self.path / "candidates" / f"{id}.json"

    def once(self, name: str, record: type[R], make: Callable[[], R]) -> R:
        """What a role answered: asked once, and read back when its node runs again after a kill."""
        found = self.kept(name, record)
        if found is None:
            found = make()
            with explained(self.path):
                _write(self._candidate(name), _json(found))
        return found

    def kept(self, name: str, record: type[R]) -> R | None:
        return self._read(self._candidate(name), record)

    # ------------------------------------------------------------ branches and the main run

    def branch(self, branch: str) -> Path:
        """Where a branch is trained; made if need be."""
        directory = self.path / "branches" / branch
        with explained(self.path):
            directory.mkdir(parents=True, exist_ok=True)
        return directory

    def required_evaluation(self, branch: str) -> Evaluation:
        """Of a branch that the run's state says was trained: without it the run cannot go on as it was."""
        found = self.evaluation(branch)
        if found is None:
            raise UserError(f"{self._evaluation(branch)} is missing: restore it, or start a new run")
        return found

    def _evaluation(self, branch: str) -> Path:
        return self.path / "branches" / branch / "evaluation.json"

    def write_evaluation(self, branch: str, evaluation: Evaluation) -> Evaluation:
        """Last of all that a branch writes: from here on it is never trained again."""
        directory = self.branch(branch)
        if (directory / CHECKPOINT).is_file():
            relative = (directory / CHECKPOINT).relative_to(self.path)
            evaluation = evaluation.model_copy(update={"checkpoint": relative.as_posix()})
        with explained(self.path):
            _write(directory / "evaluation.json", _json(evaluation))
        return evaluation

    def once_evaluated(self, branch: str, make: Callable[[], Evaluation]) -> Evaluation:
        """Made once, and read back after a kill."""
        return self.evaluation(branch) or self.write_evaluation(branch, make())

    def evaluation(self, branch: str) -> Evaluation | None:
        return self._read(self._evaluation(branch), Evaluation)

    def promote(self, candidate: Candidate, code: str, evaluation: Evaluation) -> None:
        """Copies the confirmed policy and its signal into main/; done twice, it is the same."""
        source = self.path / (evaluation.checkpoint or f"branches/{evaluation.branch}/{CHECKPOINT}")
        if not source.is_file():
            raise UserError(f"{source} is missing, so {candidate.id} cannot be promoted: restore it and resume")
        main = self.path / "main"
        with explained(self.path):
            main.mkdir(exist_ok=True)
            with replacing(main / CHECKPOINT) as temporary:
                shutil.copyfile(source, temporary)
            _write(main / "signal.py", code)
            _write(main / "evaluation.json", _json(evaluation))
            _write(main / "candidate.json", _json(candidate))

    def main_file(self, name: str) -> Path:
        return self.path / "main" / f"{name}.json"

    def lap(self, name: str, record: type[R]) -> R | None:
        return self._read(self.main_file(name), record)

    def write_lap(self, name: str, lap: R) -> R:
        """Last of all that belongs to it: with this file the main run has moved on."""
        with explained(self.path):
            _write(self.main_file(name), _json(lap))
        return lap

    def keep_checkpoint(self, branch: str, name: str) -> str:
        """Copies a branch's checkpoint into main/ under a name of the main run's; its path relative to the run."""
        source, target = self.branch(branch) / CHECKPOINT, self.path / "main" / f"{name}.safetensors"
        if not source.is_file():
            raise UserError(f"{source} is missing, so the main run cannot go on: restore it, or start a new run")
        with explained(self.path), replacing(target) as temporary:
            shutil.copyfile(source, temporary)
        return target.relative_to(self.path).as_posix()

    def forget_checkpoints(self, branches: Iterable[str]) -> None:
        """Of branches that the main run did not become, or has become a copy of."""
        for branch in branches:
            with explained(self.path):
                (self.path / "branches" / branch / CHECKPOINT).unlink(missing_ok=True)

    # ------------------------------------------------------------ events

    def append_event(self, event: Mapping[str, Any]) -> None:
        """One write per line: a kill can cut the last line and no other."""
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        with explained(self.path), open(self.path / "events.jsonl", "ab", buffering=0) as file:
            file.write(line.encode())

    def events(self) -> Iterator[dict[str, Any]]:
        file = self.path / "events.jsonl"
        try:
            with explained(self.path):
                if not stat.S_ISREG(file.stat().st_mode):
                    raise UserError(f"{file} is damaged: it is no file")
                text = file.read_bytes()
        except FileNotFoundError:
            return
        lines = text.split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline was cut by a kill
            yield self.event(line, number)

    def event(self, line: bytes, number: int) -> dict[str, Any]:
        """That stands in a line of events.jsonl. Raises UserError where the line is damaged."""
        try:
            event = json.loads(line, parse_constant=_refused)
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                raise ValueError("no event")
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.path / 'events.jsonl'} is damaged in line {number}: delete that line") from error
        # A run may have been moved since: it is where it is now.
        return {**event, "run": str(self.path)} if "run" in event else event

    def mend_events(self) -> None:
        """Cuts a half-written last line, before more is appended. Only under the lock."""
        with explained(self.path), open(self.path / "events.jsonl", "ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)

    def _read(self, file: Path, record: type[R]) -> R | None:
        try:
            with explained(self.path):
                return record.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise UserError(f"{file} is damaged: restore it, or start a new run") from error


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A fault of the disk during a run is the user's to mend, and the run can be continued afterwards."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"no space left for {path}: free some and `marlsmith resume {path}`") from error
        if error.errno in _FORBIDDEN:
            reason = os.strerror(error.errno or 0).lower()
            raise UserError(f"cannot write to {path} ({reason}): allow it and `marlsmith resume {path}`") from error
        raise UserError(
            f"cannot use {path} ({(error.strerror or 'fault').lower()}): mend it, or start a new run"
        ) from error


# A forked child would keep the parent's lock alive after a kill -9 of the parent.
_locks: set[int] = set()


def _drop_locks() -> None:
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_drop_locks)


@contextmanager
def _creating(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise UserError(f"cannot create {path} ({reason}): choose another directory") from error
    except UnicodeEncodeError as error:
        raise UserError(f"cannot create {str(path)!a} (its name is not UTF-8): choose another directory") from error


@contextmanager
def _parents_of(path: Path) -> Iterator[None]:
    """Makes the missing ancestors of `path`, and takes them away again where the body fails."""
    made: list[Path] = []
    try:
        for parent in reversed([parent for parent in path.parents if not parent.exists()]):
            parent.mkdir()
            made.append(parent)
        yield
    except BaseException:
        for parent in reversed(made):
            with suppress(OSError):  # not empty: somebody else uses it by now
                parent.rmdir()
        raise


def _require_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_NEEDED:
        raise UserError(
            f"{directory} has {free / 1e6:.0f} MB free and a run needs {FREE_BYTES_NEEDED / 1e6:.0f} MB:"
            " free some, or choose another directory"
        )


def _manifest(settings: RunSettings, fingerprint: str, jail: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": fingerprint,
        "settings": settings.model_dump(mode="json"),
        "seeds": _seeds(settings),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _VERSIONS_OF}},
        "jail": dict(jail or {}),
    }


def _seeds(settings: RunSettings) -> dict[str, Any]:
    """By stage of a search from scratch; a main run has the same members in all its stages."""
    method = settings.method
    found: dict[str, Any] = {"main": list(search_seeds(settings.seed, 1, method.search_seeds))} if method.adapts else {}
    stages = [(stage, each) for stage in range(1, method.all_stages + 1) if not (each := method.at(stage)).adapts]
    if stages:
        found["search"] = [list(search_seeds(settings.seed, stage, each.search_seeds)) for stage, each in stages]
        found["confirm"] = [list(confirm_seeds(settings.seed, stage, each.confirm_seeds)) for stage, each in stages]
    return found


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _refused(constant: str) -> float:
    """NaN and the infinities are no JSON, and no score."""
    raise ValueError(f"{constant} is no number")


def _json(record: Record) -> str:
    return record.model_dump_json(indent=1) + "\n"


def _write(file: Path, text: str) -> None:
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yields a temporary file in the same directory; what stands in it replaces `file` all at once."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
