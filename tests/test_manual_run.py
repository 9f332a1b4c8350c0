"""A run by hand as it is met from a shell: `marlsmith answer`, and the script of docs/manual.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.manual import Person, open_requests
from marlsmith.cli import app
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.prompts import Prompts
from marlsmith.schemas import Interrupted, Review

DOCS = Path(__file__).parent.parent / "docs"
GOOD = '{"approve": true, "reasons": ["fits"]}'


def marlsmith(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)


def ask(run: Path, place: str, interrupted: threading.Event) -> Review:
    accounts = Accounts(run / "llm.jsonl")
    person = Person(run, accounts, Prompts(), seconds=5, interrupted=interrupted)
    return Client(person, accounts).ask("validator", place, "Answer in JSON.", f"Review {place}.", Review)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was paused with two open requests."""
    path = tmp_path / "run"
    RunDirectory.create(path, RunSettings(task="mpe/simple_spread"), "fingerprint")
    names = []
    for place in ("c1/check", "c2/check"):
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(Interrupted):
            ask(path, place, stopped)
        names += (path / "manual" / "OPEN").read_text().split()
    (path / "manual" / "OPEN").write_text("".join(f"{name}\n" for name in names))
    return path


def test_what_is_open_is_listed_and_can_be_read(run: Path) -> None:
    first, second = open_requests(run)
    header, *listed, hint = marlsmith("answer", run).stdout.splitlines()
    assert header.split() == ["REQUEST", "ROLE", "PLACE", "ANSWER", "BY"]
    assert [line.split()[:3] for line in listed] == [
        [first.name, "validator", "c1/check"],
        [second.name, "validator", "c2/check"],
    ]
    assert {line.index("validator") for line in listed} == {header.index("ROLE")}
    assert f"`marlsmith answer {run} REQUEST --editor`" in hint
    told = [json.loads(line) for line in marlsmith("answer", run, "--json").stdout.splitlines()]
    assert [each["directory"] for each in told] == [str(first), str(second)]
    assert "Review c2/check." in marlsmith("answer", run, second.name).stdout
    assert json.loads(marlsmith("answer", run, second.name, "--json").stdout)["place"] == "c2/check"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (52 * 60 + 30, r"(\d{4}-\d\d-\d\d )?\d\d:\d\d \(52 min left\)"),
        (5 * 3600 + 60, r"(\d{4}-\d\d-\d\d )?\d\d:\d\d \(5 h left\)"),
        (30, r"(\d{4}-\d\d-\d\d )?\d\d:\d\d \(less than a minute left\)"),
        (-60, r"(\d{4}-\d\d-\d\d )?\d\d:\d\d is past: resume the run once it is answered"),
    ],
)
def test_the_list_says_until_when_in_the_readers_own_time_and_what_was_wrong(
    run: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, said: str
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    first, _ = open_requests(run)
    told = json.loads((first / "request.json").read_text())
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    told |= {"deadline": deadline.isoformat(timespec="seconds"), "fault": "it holds no\x1b JSON"}
    (first / "request.json").write_text(json.dumps(told))
    _, line, fault, *_ = marlsmith("answer", run).stdout.splitlines()
    monkeypatch.undo()
    time.tzset()
    assert re.search(rf"c1/check +{said}$", line), line
    assert f"{(deadline + timedelta(hours=9)):%H:%M}" in line
    assert fault.strip() == "asked once more, for the answer was of no use: it holds no JSON"


def test_an_answer_comes_from_a_file_or_standard_input_and_the_run_takes_it(run: Path, tmp_path: Path) -> None:
    first, second = open_requests(run)
    (tmp_path / "answer.txt").write_text(GOOD)
    assert marlsmith("answer", run, first.name, "--file", tmp_path / "answer.txt").exit_code == 0
    assert open_requests(run) == [second]
    result = marlsmith("answer", run, "--file", "-", input=GOOD)  # the only one that is left
    assert result.exit_code == 0, result.output
    assert second.name in result.stdout
    assert marlsmith("answer", run).stdout == "nothing is asked of a person\n"
    for place in ("c1/check", "c2/check"):
        assert ask(run, place, threading.Event()) == Review(approve=True, reasons=("fits",))


def test_an_answer_is_written_in_an_editor_above_the_question(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = open_requests(run)
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import sys, pathlib\npage = pathlib.Path(sys.argv[1])\nquestion = page.read_text()\n"
        f"assert 'Review c1/check.' in question\npage.write_text({GOOD!r} + question)\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    result = marlsmith("answer", run, first.name, "--editor")
    assert result.exit_code == 0, result.output
    assert (first / "reply.md").read_text().strip() == GOOD
    monkeypatch.setenv("VISUAL", "true")  # closed without a word
    empty = marlsmith("answer", run, "--editor")
    assert empty.exit_code == 2
    assert "is empty" in empty.stderr


def test_what_cannot_be_answered_is_said_in_a_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = open_requests(run)
    monkeypatch.setenv("VISUAL", "no-such-editor")
    for arguments, said in (
        ([run, "--file", "-"], "2 requests are open"),
        ([run, "../../etc", "--file", "-"], "there is no open request ../../etc"),
        ([run, first.name, "--file", tmp_path / "absent"], "cannot read"),
        ([run, first.name, "--editor"], "the editor no-such-editor failed"),
        ([tmp_path, "--file", "-"], "is not a run"),
    ):
        result = marlsmith("answer", *arguments, input=GOOD)
        assert result.exit_code == 2, arguments
        assert said in result.stderr
    assert open_requests(run) == [first, second]


ANSWERER = """
import sys
prompt = sys.stdin.read()
if "You design learning signals" in prompt:
    number = "2" if "number 2" in prompt else "1"
    print("Nearer is better.\\n```python\\nimport torch\\n\\ndef agent_reward(state):")
    print(f"    return -{number} * torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)\\n```")
elif "You diagnose" in prompt:
    print('{"summary": "nothing stands out", "findings": []}')
else:
    print('<think>Hm.</think> {"approve": true}')
"""


@pytest.mark.slow
def test_the_script_of_the_manual_drives_a_whole_run(tmp_path: Path) -> None:
    (script,) = re.findall(r"```sh\n(run=.*?)```", (DOCS / "manual.md").read_text(), re.DOTALL)
    (tmp_path / "drive.sh").write_text(script)
    (tmp_path / "answer.py").write_text(ANSWERER)
    out = tmp_path / "run"
    command = ["sh", str(tmp_path / "drive.sh"), str(out), sys.executable, str(tmp_path / "answer.py")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        try:
            result = marlsmith(
                "run", "--generator", "manual", "--critic", "manual", "--validator", "manual", "--steps", 2800,
                "--episodes", 5, "--seeds", 2, "--confirm-seeds", 2, "--rounds", 2, "--candidates", 2,
                "--workers", 2, "--out", out, "--json",
            )  # fmt: skip
            assert result.exit_code == 0, result.output
            assert driver.wait(10) == 0  # it has seen the end
        finally:
            driver.kill()
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[-1]["event"] == "finished"
    assert {event["author"] for event in events if event["event"] in ("proposal", "diagnosis")} == {"manual"}
    assert "is asked by hand" in result.stderr


def test_the_pages_of_the_manual_name_commands_that_exist() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for page in ("manual.md", "prompts.md"):
        named = set(re.findall(r"marlsmith (\w+) ", (DOCS / page).read_text()))
        assert named
        assert named <= known
