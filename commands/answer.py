"""`marlsmith answer`: what a run asks of a person, and the answer to it; from any terminal, whether or not it waits."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from marlsmith.agents.asking import manual
from marlsmith.commands.files import MOST_BYTES, read_bytes
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import UserError, printable

LINE = "<!-- Your answer goes above this line. Below it stands the question, which is not sent. -->"


def list_requests(run: Path, name: str | None, *, as_json: bool) -> None:
    """All that are open; or one, as it is to be read."""
    if name is not None:
        request = _request(run, name)
        print(_text(request / ("request.json" if as_json else "request.md")), end="")
        return
    requests = manual.open_requests(RunDirectory.open(run).path)
    if not requests and not as_json:
        print("nothing is asked of a person")
    told = {request: json.loads(_text(request / "request.json")) for request in requests}
    if as_json:
        for request, said in told.items():
            print(json.dumps({**said, "directory": str(request)}, ensure_ascii=False))
    elif told:
        _table(run, told)


def _table(run: Path, told: Mapping[Path, Mapping[str, object]]) -> None:
    rows = [["REQUEST", "ROLE", "PLACE", "ANSWER BY"]]
    for request, said in told.items():
        names = (printable(str(word), 80) for word in (request.name, said.get("role"), said.get("place")))
        rows.append([*names, _until(str(said.get("deadline")))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, fault in zip(rows, [None, *(said.get("fault") for said in told.values())], strict=True):
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
        if fault:
            print(f"    asked once more, for the answer was of no use: {printable(str(fault), 200)}")
    print(f"`marlsmith answer {run} REQUEST` prints a question, `marlsmith answer {run} REQUEST --editor` answers it")


def _until(deadline: str) -> str:
    """In the reader's own time."""
    try:
        end, now = datetime.fromisoformat(deadline).astimezone(), datetime.now().astimezone()
    except (ValueError, OverflowError):
        return printable(deadline, 40)
    clock = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"
    minutes = (end - now).total_seconds() / 60
    if minutes < 0:
        return f"{clock} is past: resume the run once it is answered"
    if minutes < 1:
        return f"{clock} (less than a minute left)"
    return f"{clock} ({minutes:.0f} min left)" if minutes < 120 else f"{clock} ({minutes / 60:.0f} h left)"


def answer_request(run: Path, name: str | None, file: Path | None) -> None:
    """From a file, or standard input, or an editor; without a name, the only one that is open."""
    request = _request(run, name)
    text = _edited(request) if file is None else _given(file)
    if not text.strip():
        raise UserError(f"the answer to {request.name} is empty, so nothing was written: try again")
    manual.answer(request, text)
    print(f"{request.name} is answered; a run that was paused goes on with `marlsmith resume {run}`")


def _request(run: Path, name: str | None) -> Path:
    requests = manual.open_requests(RunDirectory.open(run).path)
    names = ", ".join(request.name for request in requests)
    if not requests:
        raise UserError(f"{run} asks nothing of a person now: `marlsmith resume {run}` where it is paused")
    chosen = [request for request in requests if name in (None, request.name)]
    if len(chosen) != 1:
        which = f"there is no open request {printable(name, 80)}" if name else f"{len(requests)} requests are open"
        raise UserError(f"{which}: name one of {printable(names, 400)}")
    return chosen[0]


def _given(file: Path) -> str:
    data = sys.stdin.buffer.read(MOST_BYTES + 1) if str(file) == "-" else read_bytes(file)
    if len(data) > MOST_BYTES:
        raise UserError(f"{file} has more than {MOST_BYTES:,} bytes, which no answer needs: is it the right file?")
    return data.decode("utf-8-sig", "replace")


def _edited(request: Path) -> str:
    """What was written above the line, in an editor that ends when its file is closed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "answer.md"
        page.write_text(f"\n\n{LINE}\n\n{_text(request / 'request.md')}", encoding="utf-8")
        try:
            failed = subprocess.run([*shlex.split(editor), str(page)], check=False).returncode
        except (OSError, ValueError):
            failed = 127
        if failed:
            raise UserError(f"the editor {printable(editor, 80)} failed: set EDITOR, or use --file")
        return _text(page).partition(LINE)[0]


def _text(file: Path) -> str:
    return read_bytes(file).decode("utf-8", "replace")
