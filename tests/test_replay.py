"""A whole run on real training, and the same run again from its record: nobody is asked, everything is equal."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.agents.settings import ModelSettings, RoleSettings
from marlsmith.cli import app
from marlsmith.commands.local import Local
from marlsmith.graph.approving.approval import Answer
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run import WaitingForApproval, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import BranchRequest, TrainConfig
from marlsmith.marl.executor import Executor
from marlsmith.schemas import Evaluation, Failure, PausingError, Signal, canonical

SECRET = "sk-very-secret-0123456789abcdef"
SMALL = [
    "--steps", "2800", "--episodes", "5", "--seeds", "2", "--confirm-seeds", "2", "--workers", "2",
    "--rounds", "2", "--candidates", "1", "--population", "1",
]  # fmt: skip
TIMES_AND_PLACES = ("seconds", "steps_per_second", "run")
SIGNAL = """
def agent_reward(state):
    return {"still": -WEIGHT * state.agent_vel.norm(dim=-1)}
"""
BROKEN = "def agent_reward(state):\n    return state.reward[:, :2]\n"


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(result: Result) -> list[dict[str, Any]]:
    """The events, without what differs between any two runs: time, and place on the disk."""
    events = [json.loads(line) for line in result.stdout.splitlines()]
    kept = [event for event in events if event["event"] not in ("run_started", "progress")]
    return sorted((_lasting(event) for event in kept), key=lambda event: json.dumps(event, sort_keys=True))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if name not in TIMES_AND_PLACES}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


class Script:
    """The roles' words: a first answer of no use, a candidate to be repaired, and a diagnosis."""

    def __init__(self) -> None:
        self.proposals = 0

    def __call__(self, request: dict[str, Any]) -> str:
        if "You design learning signals" not in request["messages"][0]["content"]:
            finding = {"failure": "none", "evidence": [], "advice": "go on"}
            return json.dumps({"summary": "nothing is wrong", "findings": [finding]})
        self.proposals += 1
        if self.proposals == 1:
            return "Let me think about that."
        code = BROKEN if self.proposals == 2 else SIGNAL.replace("WEIGHT", f"0.{self.proposals}")
        draft = {"kind": "new", "parents": [], "rationale": "calm down", "code": code}
        return json.dumps({"proposals": [draft]})


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture
def original(
    scratch: Path, chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[dict[str, Any]]]:
    """A run with models and what it told, made once; its endpoint is gone, and the key with it."""
    run, events = scratch / "original", scratch / "events.json"
    if not run.exists():
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        endpoint = chat_endpoint(Script(), key=SECRET)
        result = marlsmith(
            "run", *SMALL, "--generator", endpoint.spec(), "--critic", endpoint.spec(), "--out", run, "--json"
        )
        assert result.exit_code == 0, result.output
        events.write_text(json.dumps(told(result)))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return run, json.loads(events.read_text())


def refuse(*arguments: object, **options: object) -> None:
    raise AssertionError("a request went out")


@pytest.fixture
def nobody(original: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the original is there, whoever asks an endpoint in spite of the record fails the test."""
    monkeypatch.setattr("marlsmith.agents.asking.wire.endpoint.Endpoint.send", refuse)
    monkeypatch.setattr("marlsmith.agents.asking.wire.endpoint.Endpoint.preflight", refuse)


def records(run: Path, room: str) -> dict[str, Any]:
    found = {path.relative_to(run).as_posix(): path.read_text() for path in sorted((run / room).rglob("*.json"))}
    return {name: _lasting(json.loads(text)) for name, text in found.items()}


@pytest.mark.usefixtures("nobody")
def test_a_replay_has_the_same_candidates_scores_and_decisions(
    original: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, events = original
    first = marlsmith("run", "--replay", run, "--out", tmp_path / "again", "--json")
    assert first.exit_code == 0, first.output
    assert told(first) == events
    finished = next(event for event in events if event["event"] == "finished")
    assert finished["tokens"] >= 5 * 15
    for room in ("candidates", "branches"):
        assert records(tmp_path / "again", room) == records(run, room) != {}


@pytest.mark.slow
@pytest.mark.usefixtures("nobody")
def test_a_replay_can_be_replayed_with_other_workers(
    original: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, events = original
    marlsmith("run", "--replay", run, "--out", tmp_path / "again")
    third = marlsmith("run", "--replay", tmp_path / "again", "--out", tmp_path / "third", "--json", "--workers", 1)
    assert third.exit_code == 0, third.output
    assert told(third) == events


@pytest.mark.usefixtures("nobody")
def test_a_miss_names_the_role_and_shows_the_difference(
    original: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    other = _changed(original[0], tmp_path / "other", "generator")
    result = marlsmith("run", "--replay", other, "--out", tmp_path / "again", "--json")
    assert result.exit_code == 2, result.output
    sentence, *difference = result.stderr.splitlines()
    assert sentence.startswith(f"marlsmith: the generator's question at s1r1a0/1 is not in the record of {other} (")
    assert f"marlsmith resume {tmp_path / 'again'}" in sentence
    assert difference[:2] == ["--- recorded", "+++ asked"]
    assert any(line.startswith("-You never design") for line in difference)
    assert any(line.startswith("+You design") for line in difference)
    assert "Traceback" not in result.output


@pytest.mark.slow
@pytest.mark.usefixtures("nobody")
def test_a_replay_goes_on_once_what_had_changed_is_undone(
    original: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, events = original
    other, again = _changed(run, tmp_path / "other", "critic"), tmp_path / "again"
    result = marlsmith("run", "--replay", other, "--out", again, "--json")
    assert result.exit_code == 2, result.output
    assert "the critic's question at s1r2 is not in the record" in result.stderr
    shutil.copy(run / "llm.jsonl", other)
    resumed = marlsmith("resume", again, "--json")
    assert resumed.exit_code == 0, resumed.output
    whole = [json.loads(line) for line in (again / "events.jsonl").read_text().splitlines()]
    finished = next(event for event in events if event["event"] == "finished")
    assert _lasting(whole[-1]) == finished


def _changed(run: Path, other: Path, role: str) -> Path:
    """A copy of the run, in which a role had been told something else."""
    shutil.copytree(run, other)
    lines = [json.loads(line) for line in (run / "llm.jsonl").read_text().splitlines()]
    for line in lines:
        if line.get("role") != role:
            continue
        line["hash"] = "0" * 24  # also of what says that it begins, or it would seem never to have ended
        if "messages" in line:
            line["messages"][0]["content"] = line["messages"][0]["content"].replace("You ", "You never ", 1)
    (other / "llm.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return other


@pytest.mark.slow
def test_an_offline_run_replays_without_a_record(tmp_path: Path) -> None:
    result = marlsmith("run", *SMALL, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    again = marlsmith("run", "--replay", tmp_path / "run", "--out", tmp_path / "again", "--json")
    assert again.exit_code == 0, again.output
    assert told(again) == told(result)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["--seed", "3"], "leave out --seed"),
        (["--generator", "offline", "--steps", "30000"], "leave out --generator, --steps"),
        (["--approve"], "leave out --approve"),
    ],
)
def test_what_the_run_has_settled_cannot_be_said_again(tmp_path: Path, said: list[str], words: str) -> None:
    result = marlsmith("run", "--replay", tmp_path, "--workers", 1, *said)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_key_stands_nowhere_in_the_run(original: tuple[Path, list[dict[str, Any]]]) -> None:
    run, _ = original
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())


@pytest.mark.parametrize("answered", [True, False])
def test_a_promotion_is_approved_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool) -> None:
    """The driver's part is played by a script: whether a small training ends in a question, nobody can say."""
    source = RunDirectory.create(tmp_path / "run", RunSettings(task="mpe/simple_spread"), "")
    if answered:
        source.once("s1r1c1-answer1", Answer, lambda: Answer(decision="no", reason="too greedy"))

    def start(settings: RunSettings, *arguments: object, **options: object) -> Iterator[dict[str, Any]]:
        assert settings.roles.replay == str(source.path)
        yield {"event": "warning", "stage": 1, "round": 1, "message": "begun"}
        raise WaitingForApproval("it waits", "s1r1c1-answer1")

    def resume(*arguments: object, answer: Answer, **options: object) -> Iterator[dict[str, Any]]:
        yield {"event": "warning", "stage": 1, "round": 1, "message": f"{answer.decision}: {answer.reason}"}

    monkeypatch.setattr("marlsmith.commands.replay.start", start)
    monkeypatch.setattr("marlsmith.commands.replay.resume", resume)
    result = marlsmith("run", "--replay", source.path, "--out", tmp_path / "again", "--json")
    messages = [json.loads(line)["message"] for line in result.stdout.splitlines()]
    assert (result.exit_code, messages) == ((0, ["begun", "no: too greedy"]) if answered else (10, ["begun"]))


# ---------------------------------------------------------------- whatever the machine's load: trainings are made up


def _fakes() -> Any:
    spec = importlib.util.spec_from_file_location("replay_fakes", Path(__file__).parent / "graph" / "graph_fakes.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKES = _fakes()
STEADY, FRAIL = "tries", "tries|tries"
DECISIONS = ("allotted", "proposal", "check", "repair", "judged", "promotion", "promoted", "diagnosis")
LATE = ("s1r1c3", "s1r1c3-fix1")
HOPELESS = -2.0
"""The weight of a candidate that the checks refuse."""


class Pretence(FAKES.FakeExecutor):
    """No training takes place; of the `late` ones it is said that they took too long."""

    late: tuple[str, ...] = ()

    def train(self, request: BranchRequest, *rest: Any) -> Evaluation:
        if request.candidate not in self.late:
            return super().train(request, *rest)
        asked = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds}
        error = Failure(stage="timeout", message="took too long", line=7)
        return Evaluation(**asked, steps=request.steps, error=error)


class MadeUp(Local):
    """Real roles over an executor that only pretends."""

    def __init__(self, unsound: Callable[[Signal], bool], late: tuple[str, ...] = ()) -> None:
        super().__init__(unsafe_jail=False)
        self.unsound, self.late = unsound, late

    def engage(self, settings: RunSettings) -> Executor:
        executor: Executor = Pretence(effect=0.1, unsound=self.unsound)
        executor.late = self.late
        return executor


class Two:
    """The words of two generators that try what they propose; after so many requests one of them, or both, die.

    What the frail one proposes first is refused, so that in any case it is asked for a repair.
    """

    def __init__(self, mortal: tuple[str, ...], requests: int) -> None:
        self.mortal, self.left = mortal, requests
        self.first: str | None = None
        self.died: set[str] = set()
        self.lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> str:
        if "You design learning signals" not in request["messages"][0]["content"]:
            return json.dumps({"summary": "fine", "findings": [{"failure": "none", "advice": "go on"}]})
        model, asked = request["model"], str(request["messages"][1]["content"])
        with self.lock:
            if model in self.mortal:
                self.left -= 1
                if self.left < 0:
                    self.died.add(model)
                    raise ConnectionResetError
            if model == FRAIL:
                self.first = self.first or asked
        weight = HOPELESS if asked == self.first else 1 + zlib.crc32(asked.encode()) % 1000 / 500
        config = {"reward": {"terms": [{"kind": "approach", "weight": weight}]}}
        return json.dumps({"proposals": [{"kind": "new", "rationale": "go there", "config": config}]})


def two_generators(url: str) -> RunSettings:
    models = {name: ModelSettings(model=name, base_url=url, timeout=5.0) for name in (STEADY, FRAIL)}
    roles = RoleSettings(generators=(STEADY, FRAIL), critic=STEADY, models=models)
    method = method_from("lero", {"rounds": 2, "candidates": 3, "search_seeds": 3, "confirm_seeds": 4})
    return RunSettings(task="mpe/simple_spread", method=method, train=TrainConfig(steps=100), roles=roles, workers=2)


def decided(run: Path) -> list[dict[str, Any]]:
    events = [event for event in RunDirectory.open(run).events() if event["event"] in DECISIONS]
    return sorted((_lasting(event) for event in events), key=lambda event: json.dumps(event, sort_keys=True))


def hopeless(signal: Signal) -> bool:
    return bool(FAKES.weight_of(signal) == HOPELESS)


class Moody:
    """The checks of a busy machine: what was refused is sound now, and all else is refused three times before."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()

    def __call__(self, signal: Signal) -> bool:
        self.times[canonical(signal)] += 1
        return not hopeless(signal) and self.times[canonical(signal)] <= 3


def begin(run: Path, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a pause where everybody is dead, after which all are well."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr("marlsmith.agents.asking.wire.patience.LONGEST_WAIT", 0.0)
    busy = MadeUp(hopeless, LATE)
    try:
        list(start(two_generators(endpoint.url), busy, run))
    except PausingError:
        endpoint.content.mortal = ()
        list(resume(run, busy))
    monkeypatch.delenv("OPENAI_API_KEY")
    for name in ("send", "preflight"):
        monkeypatch.setattr(f"marlsmith.agents.asking.wire.endpoint.Endpoint.{name}", refuse)


@pytest.mark.parametrize(
    ("mortal", "requests"),
    [
        pytest.param((FRAIL,), 1, id="taken over", marks=pytest.mark.slow),
        pytest.param((FRAIL,), 3, id="taken over later", marks=pytest.mark.slow),
        pytest.param((STEADY, FRAIL), 3, id="resumed"),
        pytest.param((STEADY, FRAIL), 5, id="resumed later", marks=pytest.mark.slow),
    ],
)
def test_a_replay_is_the_same_though_every_check_ends_otherwise(
    tmp_path: Path,
    chat_endpoint: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    mortal: tuple[str, ...],
    requests: int,
) -> None:
    """Two generators with tools, one of which dies midway: its slots are taken over, or the run pauses and goes on."""
    run, again = tmp_path / "run", tmp_path / "again"
    endpoint = chat_endpoint(Two(mortal, requests), key=SECRET)
    begin(run, endpoint, monkeypatch)
    source = RunDirectory.open(run)
    assert endpoint.content.died, "nobody died"
    refused = {event["candidate"] for event in source.events() if event["event"] == "check" and not event["accepted"]}
    assert refused

    roles = source.settings.roles.model_copy(update={"replay": str(run)})
    moods = Moody()
    list(start(source.settings.model_copy(update={"roles": roles}), MadeUp(moods), again))
    assert max(moods.times.values()) == 4, "a tool and three tries of the check"
    results = [
        [e["result"] for e in RunDirectory.open(at).events() if e["event"] == "role_tool"] for at in (run, again)
    ]
    assert "Accepted" in "".join(results[0])
    assert sum("not a number" in result for result in results[1]) > sum("not a number" in r for r in results[0])
    assert decided(again) == decided(run)
    for room in ("candidates", "branches"):
        assert records(again, room) == records(run, room) != {}
    assert [name for name in LATE if (run / "branches" / name).exists()], "none took too long"


def test_what_the_repeated_run_let_pass_is_checked_all_the_same(tmp_path: Path) -> None:
    """Its directory may come from anybody: here it says that everything was accepted."""
    source = tmp_path / "source"
    list(start(FAKES.make_settings(rounds=1), FAKES.Equipment(), source))
    for file in (source / "candidates").glob("*-checks.json"):
        checks = json.loads(file.read_text())["checks"]
        file.write_text(json.dumps({"checks": [check | {"accepted": True, "by": "executor"} for check in checks]}))
    executor = FAKES.FakeExecutor(unsound=lambda signal: True)
    settings = FAKES.make_settings(rounds=1, roles=RoleSettings(replay=str(source)))
    events = list(start(settings, FAKES.Equipment(executor), tmp_path / "again"))
    refusals = [event for event in events if event["event"] == "check"]
    assert {(event["accepted"], event["by"]) for event in refusals} == {(False, "executor")}
    assert {request.candidate for request in executor.trained} == {"native"}
