"""The wire to a person, or to any program in one's place: the question is a file, and so is the answer.

docs/manual.md tells the protocol, which programs of others rely on.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.question import Question, Reply
from marlsmith.agents.settings import MANUAL
from marlsmith.prompts import Prompts
from marlsmith.schemas import AnswerError, Interrupted, PausingError, UserError, printable

PROTOCOL = 1
DIRECTORY, OPEN = "manual", "OPEN"
REPLIES = ("reply.md", "reply.json")
FAILED = "failed.md"
POLL, SETTLED = 0.1, 0.5
"""Seconds between two looks, and for which a reply must not have changed: whoever writes it may be at it still."""
GRACE = 60.0
"""Seconds that a reply which is being written has more than the others."""
MOST_BYTES = 1_000_000
FAULT_LENGTH = 200
LONGEST_FORM = 4000
"""Characters of a JSON schema that tells a reader something; the prompts tell all forms in words."""


class Person:
    """Safe to share between threads: several requests may be open at once.

    `interrupted` ends all waits; `tell` is given a sentence for whoever is to answer.
    """

    name = asked = MANUAL

    def __init__(
        self,
        run: Path,
        accounts: Accounts,
        prompts: Prompts,
        *,
        seconds: float,
        interrupted: threading.Event,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._run, self._directory = run, run / DIRECTORY
        self._accounts, self._prompts = accounts, prompts
        self._seconds, self._interrupted = seconds, interrupted
        self._tell = tell
        self._lock = threading.Lock()
        self._open: set[str] = set()
        if (self._directory / OPEN).exists():  # by a process that ended: what is still wanted is asked again
            with _explained(self._directory):
                self._publish()

    def send(self, question: Question) -> Reply:
        """Waits for the answer. Raises PausingError where none came in time, Interrupted where the run is to stop,
        AnswerError where it is too long to be one.
        """
        name = self._name(question)
        request = self._directory / name
        with _explained(self._directory):
            self._tell_failed(question, name)
            with self._accounts.attempt(question, self.asked, None, "text") as attempt:
                self._write(request, question)
                with self._listed(name):
                    if _look(request) is None:
                        self._tell(
                            f"the {question.role} is asked by hand{_again(question)}: "
                            f"`marlsmith answer {self._run} {name} --editor`, or write {request / REPLIES[0]}"
                        )
                    file, text = self._awaited(request)
                attempt.reply = Reply(text)
            # Only now that the answer is on record: a process killed before finds it where it was written.
            with suppress(FileNotFoundError):
                file.replace(request / f"answered{file.suffix}")
        if len(text) > MOST_BYTES:
            raise AnswerError(
                f"{self.name} as {question.role}: {request.name} was answered by over {MOST_BYTES:,} bytes"
            )
        return attempt.reply

    def _name(self, question: Question) -> str:
        """The same after a resume, so that an answer written in the meantime is found."""
        place = re.sub(r"[^A-Za-z0-9.]+", "-", question.place)
        return f"{place}-{question.hash(self.asked)[:8]}"

    def _tell_failed(self, question: Question, name: str) -> None:
        """A repair turn follows an unusable reply: its author finds the reason beside it."""
        *before, said, fault = question.messages
        if said["role"] != "assistant":
            return
        earlier = self._directory / self._name(replace(question, messages=tuple(before)))
        if earlier.is_dir():
            _replace(earlier / FAILED, f"{fault['content']}\n\nAsked again as {name}.\n")

    def _write(self, request: Path, question: Question) -> None:
        now = datetime.now(UTC)
        schema = question.schema.model_json_schema()
        told = {
            "protocol": PROTOCOL,
            "request": request.name,
            "role": question.role,
            "place": question.place,
            "messages": question.messages,
            "schema": schema,
            "hint": question.hint,
            "fault": _fault(question),
            "hash": question.hash(self.asked),
            "created": now.isoformat(timespec="seconds"),
            "deadline": (now + timedelta(seconds=self._seconds)).isoformat(timespec="seconds"),
            "reply": REPLIES[0],
        }
        request.mkdir(parents=True, exist_ok=True)
        for file in (*request.glob("answered.*"), request / FAILED):  # of an answer that the run no longer wants
            file.unlink(missing_ok=True)
        form = json.dumps(schema, ensure_ascii=False)
        prompt = self._prompts.render(
            "manual/request",
            messages=question.messages,
            schema=form if len(form) <= LONGEST_FORM else None,
            hint=question.hint,
        )
        _replace(request / "request.md", prompt + "\n")
        _replace(request / "request.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n")

    def _awaited(self, request: Path) -> tuple[Path, str]:
        """The reply's file and what it says; polled, for a file may come over a network or from another machine."""
        end = time.monotonic() + self._seconds
        seen, since = _look(request), time.monotonic()
        while True:
            now = time.monotonic()
            if seen is not None and now - since >= SETTLED and (text := _read(seen[0])).strip():
                return seen[0], text
            if now >= end + (GRACE if seen else 0.0):
                raise PausingError(
                    f"nobody has answered {request / 'request.md'} within {self._seconds:g} s: write "
                    f"{REPLIES[0]} beside it, or `marlsmith answer {self._run} {request.name}`"
                )
            if self._interrupted.wait(POLL):
                raise Interrupted(f"{request / 'request.md'} is still to be answered")
            if (looked := _look(request)) != seen:
                seen, since = looked, time.monotonic()

    @contextmanager
    def _listed(self, name: str) -> Iterator[None]:
        """Among the open requests until it is answered, also while the run is paused."""
        with self._lock:
            self._open.add(name)
            self._publish()
        yield
        with self._lock:
            self._open.discard(name)
            self._publish()

    def _publish(self) -> None:
        _replace(self._directory / OPEN, "".join(f"{name}\n" for name in sorted(self._open)))


def _fault(question: Question) -> str | None:
    return printable(question.fault, FAULT_LENGTH) if question.fault else None


def _again(question: Question) -> str:
    fault = _fault(question)
    return f" once more, for its answer was of no use ({fault})" if fault else ""


def open_requests(run: Path) -> list[Path]:
    """The directories of the requests that wait for an answer, whether or not their run is at work."""
    try:
        names = (run / DIRECTORY / OPEN).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []
    requests = [run / DIRECTORY / Path(name).name for name in names]
    return [request for request in requests if (request / "request.json").is_file() and _look(request) is None]


def answer(request: Path, text: str) -> None:
    """Puts a reply in its place, all at once."""
    with _explained(request):
        _replace(request / REPLIES[0], text)


def _look(request: Path) -> tuple[Path, int, int, int] | None:
    """A reply and what would change if somebody wrote to it; None where there is none, or an empty one."""
    for name in REPLIES:
        with suppress(FileNotFoundError):
            found = (request / name).stat()
            if stat.S_ISREG(found.st_mode) and found.st_size:
                return request / name, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _read(file: Path) -> str:
    with suppress(FileNotFoundError), file.open("rb") as opened:
        return opened.read(MOST_BYTES + 1).decode("utf-8-sig", "replace")
    return ""


def _replace(file: Path, text: str) -> None:
    """All at once: another program may be looking."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_bytes(text.encode("utf-8", "replace"))
    temporary.replace(file)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "fault").lower()
        raise UserError(f"cannot use {path} ({reason}): mend it, and `marlsmith resume` the run") from error
