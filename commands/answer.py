"""`marlsmith answer`: what a run asks of a person, and the answer to it; from any terminal, whether or not it waits."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from marlsmith.agents.asking import manual
from marlsmith.commands.files import MOST_BYTES, read_bytes
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import UserError, printable

LINE = "<!-- Your answer goes above this line. Below it stands the question, which is not sent. -->"


def list_requests(run: Path, name: str | None, *, as_json: bool) -> None:
    """All that are open, in a line each; or one, as it is to be read."""
    if name is not None:
        request = _request(run, name)
        print(_text(request / ("request.json" if as_json else "request.md")), end="")
        return
    requests = manual.open_requests(RunDirectory.open(run).path)
    if not requests and not as_json:
        print("nothing is asked of a person")
    for request in requests:
        told = json.loads(_text(request / "request.json"))
        if as_json:
            print(json.dumps({**told, "directory": str(request)}, ensure_ascii=False))
        else:
            said = (told.get(key) for key in ("role", "place", "deadline"))
            print(printable("  ".join([request.name, *map(str, said)]), 200))


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
