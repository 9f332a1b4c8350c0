"""Whole runs whose roles are people, or programs in their place: driven by nothing but files."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from graph_fakes import CARD, FakeExecutor, make_settings

from marlsmith.agents.asking import manual
from marlsmith.agents.asking.manual import answer, open_requests
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import RoleSettings
from marlsmith.graph.context import Parts
from marlsmith.graph.run import Paused, Stop, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import Event
from marlsmith.marl.executor import Executor
from marlsmith.prompts import Prompts
from marlsmith.schemas import PausingError, UserError, canonical


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual, "SETTLED", 0.05)
    monkeypatch.setattr(manual, "POLL", 0.02)


class ByHand:
    """An outfitter whose roles are as the settings say, but for how long they wait."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def engage(self, settings: object) -> FakeExecutor:
        return FakeExecutor()

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        roles = directory.settings.roles.model_copy(update={"manual_seconds": self.seconds})
        cast = make_roles(roles, directory.path / "llm.jsonl")
        return Parts(
            CARD,
            cast.roles,
            executor,
            lambda signal, card: f"# {canonical(signal)}\n",
            cast.accounts.spent,
            interrupt=cast.interrupt,
        )


def settings(*, critic: str = "offline", prompts: Path | None = None):
    roles = RoleSettings(
        generators=("manual",),
        critic=critic,
        validator="manual",
        prompts=str(prompts) if prompts else None,
    )
    return make_settings(roles=roles, rounds=2, candidates=2, repairs=0)


def told(request: Path) -> dict:
    return json.loads((request / "request.json").read_text())


def sensible(request: dict) -> str:
    """What a program answers that knows no more than the request."""
    match request["role"]:
        case "generator":
            weight = 1.0 + int(request["place"].rsplit("/", 1)[1]) + len(request["place"]) / 10
            weight += int(request["place"][3]) / 100  # another one in each round
            config = {"reward": {"terms": [{"kind": "approach", "weight": weight}]}}
            return json.dumps({"proposals": [{"kind": "new", "rationale": "nearer", "config": config}]})
        case "critic":
            return json.dumps({"summary": "nothing stands out", "findings": []})
    return json.dumps({"approve": True})


@contextmanager
def driver(run: Path, reply: Callable[[dict], str] = sensible) -> Iterator[dict[str, int]]:
    """Answers whatever is open; yields how many were answered by role, `most` open at once among them."""
    seen: dict[str, int] = {"most": 0}
    done = threading.Event()

    def drive() -> None:
        while not done.wait(0.02):
            requests = open_requests(run)
            seen["most"] = max(seen["most"], len(requests))
            for request in requests:
                question = told(request)
                seen[question["role"]] = seen.get(question["role"], 0) + 1
                answer(request, reply(question))

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def all_of(events: Iterator[Event], name: str) -> list[Event]:
    return [event for event in events if event["event"] == name]


def test_a_run_is_driven_from_outside_by_its_files_alone(tmp_path):
    run = tmp_path / "run"
    with driver(run) as seen:
        events = list(start(settings(critic="manual"), ByHand(), run))
    assert events[-1]["event"] == "finished"
    authors = {event["author"] for event in all_of(events, "proposal")}
    assert authors == {"manual"}
    assert seen["generator"] == 4
    assert seen["critic"] >= 1
    assert seen["validator"] >= 4
    assert seen["most"] >= 2  # the slots of a round are asked for at once
    assert open_requests(run) == []
    assert events[-1]["tokens"] == 0


def test_nobody_answers_and_the_run_pauses_and_goes_on_with_what_was_answered_meanwhile(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(PausingError, match="nobody has answered"):
        list(start(settings(), ByHand(0.3), run))
    waiting = open_requests(run)
    assert len(waiting) == 2
    for request in waiting:
        answer(request, sensible(told(request)))
    with driver(run) as seen:
        last = list(resume(run, ByHand()))[-1]
    assert last["event"] == "finished"
    assert seen["generator"] == 2  # those of the second round


def test_a_stop_does_not_wait_for_a_person(tmp_path):
    run, stop = tmp_path / "run", Stop()

    def interrupt() -> None:
        while len(open_requests(run)) < 2:
            time.sleep(0.02)
        stopped.append(time.monotonic())
        stop.request()

    stopped: list[float] = []
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Paused, match="continue it with"):
        list(start(settings(), ByHand(600), run, stop=stop))
    thread.join()
    assert time.monotonic() - stopped[0] < 3
    with driver(run):
        assert list(resume(run, ByHand()))[-1]["event"] == "finished"


def test_a_reader_who_leaves_ends_the_wait(tmp_path):
    """As where the output is a pipe that is closed."""
    run = tmp_path / "run"
    events = start(settings(), ByHand(600), run)
    for event in events:
        if event["event"] == "stage_started":
            break
    began = time.monotonic()
    events.close()
    assert time.monotonic() - began < 5


# ---------------------------------------------------------------- prompts


@pytest.fixture
def own(tmp_path: Path) -> Path:
    directory = tmp_path / "own"
    (directory / "validator").mkdir(parents=True)
    (directory / "validator" / "system.md").write_text("Say yes. Answer with one JSON object.")
    return directory


def test_a_run_keeps_the_templates_that_it_began_with(tmp_path, own):
    run = tmp_path / "run"
    asked: list[str] = []

    def reply(request: dict) -> str:
        if request["place"].endswith("/check"):
            asked.append(request["messages"][0]["content"])
        return sensible(request)

    with pytest.raises(PausingError):
        list(start(settings(prompts=own), ByHand(0.3), run))
    kept = RunDirectory.open(run).settings.roles
    assert kept.prompts == "prompts"
    assert kept.prompts_version
    kept_files = {file.relative_to(run / "prompts").as_posix() for file in (run / "prompts").rglob("*.md")}
    assert kept_files == {f"{name}.md" for name in Prompts().names}
    (own / "validator" / "system.md").write_text("Say no.")  # of no consequence any more
    run.rename(tmp_path / "moved")
    with driver(tmp_path / "moved", reply):
        events = list(resume(tmp_path / "moved", ByHand()))
    assert events[0]["settings"]["roles"]["prompts_version"] == kept.prompts_version
    assert set(asked) == {"Say yes. Answer with one JSON object."}


def test_a_resume_with_other_templates_is_refused(tmp_path, own):
    run = tmp_path / "run"
    with pytest.raises(PausingError):
        list(start(settings(prompts=own), ByHand(0.3), run))
    file = run / "prompts" / "validator" / "system.md"
    before = file.read_text()
    file.write_text(before + "!")
    with pytest.raises(UserError, match=r"the prompts are not those that .*/run began with .*: put those in"):
        list(resume(run, ByHand()))
    file.write_text(before)
    with driver(run):
        assert list(resume(run, ByHand()))[-1]["event"] == "finished"


def test_offline_roles_read_no_templates(tmp_path, own):
    made = RunDirectory.create(tmp_path / "run", make_settings(roles=RoleSettings(prompts=str(own))), "f")
    assert made.settings.roles.prompts_version is None
    assert not (made.path / "prompts").exists()


def test_a_run_by_hand_is_replayed_without_anybody(tmp_path, own):
    run = tmp_path / "run"
    with driver(run):
        first = list(start(settings(critic="manual", prompts=own), ByHand(), run))
    recorded = RunDirectory.open(run).settings
    roles = recorded.roles.model_copy(update={"replay": str(run)})
    again = list(start(recorded.model_copy(update={"roles": roles}), ByHand(), tmp_path / "again"))
    for name in ("proposal", "diagnosis", "check", "judged"):
        decided = [[{**event, "seconds": 0} for event in all_of(events, name)] for events in (first, again)]
        assert decided[0] == decided[1], name
    assert not (tmp_path / "again" / "manual").exists()
    assert (tmp_path / "again" / "prompts" / "validator" / "system.md").exists()


def test_a_look_at_the_endpoints_touches_no_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "OPEN").write_text("s1r1a0-1-12345678\n")
    make_roles(RoleSettings(generators=("manual",)))
    assert (tmp_path / "manual" / "OPEN").read_text() == "s1r1a0-1-12345678\n"
