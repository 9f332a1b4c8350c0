"""Trackers: what they are told of a run, that they keep it once, and that they never harm it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import (
    Advanced,
    CandidateStanding,
    Compared,
    Event,
    Finished,
    Gain,
    Judged,
    LapStanding,
    MainRunStory,
    Promoted,
    RunStarted,
    Standing,
    ToolResult,
)
from marlsmith.results.past import PastRun
from marlsmith.results.tracking.rows import Numbers, Row, Rows, Settings, Text, hyperparameters, line_of
from marlsmith.results.tracking.telling import Listener, retell
from marlsmith.results.tracking.tracker import require_trackers
from marlsmith.schemas import CurvePoint, Evaluation, Record, TermStatistics, UserError, Verdict, plain

SETTINGS = RunSettings(task="mpe/simple_spread")
SIGNAL = "# <script>alert(1)</script>\n```\nALPHA = 0.5\n"


def trained(branch: str, candidate: str, score: float, terms: dict[str, float] | None = None) -> ToolResult:
    curve = tuple(
        CurvePoint(steps=steps, score=score * steps / 800, native_return=-score, shaped_return=2 * score)
        for steps in (400, 800)
    )
    named = {name: TermStatistics(mean=0, spread=1, share=share) for name, share in (terms or {}).items()}
    found = Evaluation(
        candidate=candidate, branch=branch, seeds=(0, 1), steps=800, score=score, scores=(score, score),
        interval=(score - 0.1, score + 0.1), curve=curve, terms=named,
    )  # fmt: skip
    return ToolResult(tool="train_branch", branch=branch, candidate=candidate, evaluation=found)


def judged(phase: str, round: int = 1, compared: tuple[Compared, ...] = ()) -> Judged:
    verdict = Verdict(decision="refine", candidate=None, reason="rounds are left")
    return Judged(stage=1, round=round, phase=phase, verdict=verdict, population=(), compared=compared)


def standing(score: float) -> dict[str, Any]:
    return {"score": score, "scores": (score,), "interval": (score - 0.1, score + 0.1), "metrics": {}}


FINISHED = Finished(
    run="somewhere", native=Standing(**standing(0.2)), best=CandidateStanding(candidate="s1r1c1", **standing(0.9)),
    gain=Gain(mean=0.7, interval=(0.6, 0.8)), phase="confirm", promoted=True, reason="it is better",
    environment_steps=8000,
)  # fmt: skip
SEARCH: list[Record] = [
    RunStarted(run="somewhere", resumed=False, settings=SETTINGS),
    trained("control-s1", "native", 0.2),
    trained("s1r1c1", "s1r1c1", 0.8, {"near": 0.7, "../../etc": 0.3}),
    trained("s1r1c2", "s1r1c2", 0.5),
    judged("search"),
    RunStarted(run="somewhere", resumed=True, settings=SETTINGS),
    trained("control-s1-confirm", "native", 0.25),
    trained("s1r1c1-confirm", "s1r1c1", 0.9),
    judged("confirm"),
    Promoted(stage=1, candidate="s1r1c1", gain=0.7),
    FINISHED,
]


def told(records: list[Record]) -> list[Event]:
    """As the driver writes them, two seconds apart."""
    return [{**plain(one), "seconds": 2.0 * i, "tokens": 10 * i, "money": None} for i, one in enumerate(records)]


def a_run(path: Path, records: list[Record]) -> PastRun:
    directory = RunDirectory.create(path, SETTINGS, "")
    (path / "candidates").mkdir(exist_ok=True)
    (path / "candidates" / "s1r1c1.py").write_text(SIGNAL)
    for event in told(records):
        directory.append_event(event)
    return PastRun.open(path)


def rows_of(records: list[Record]) -> list[Row]:
    rows = Rows(lambda id: f"code of {id}")
    return [row for event in told(records) for row in rows.of(event)]


def series(rows: list[Row]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """By line and name: where, and what."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        if isinstance(row, Numbers):
            for name, value in row.values.items():
                found.setdefault((row.line, name), []).append((row.at, pytest.approx(value, abs=1e-6)))
    return found


# ---------------------------------------------------------------- what they are told


def test_curves_lie_on_lines_that_can_be_compared() -> None:
    found = series(rows_of(SEARCH))
    assert found["search/control-s1", "curve/score"] == [(400, 0.1), (800, 0.2)]
    assert found["search/s1r1c1", "curve/shaped_return"] == [(400, 1.6), (800, 1.6)]
    assert found["result/native", "curve/score"] == found["confirm/control-s1", "curve/score"]
    assert found["result/best", "curve/score"] == found["confirm/s1r1c1", "curve/score"] == [(400, 0.45), (800, 0.9)]


def test_scores_stand_by_round_with_their_intervals() -> None:
    records = [*SEARCH[:5], trained("s1r2c1", "s1r2c1", 0.6), judged("search", 2)]
    found = series(rows_of(records))
    assert found["search/s1r1c2", "round/score"] == [(1, 0.5)]
    assert found["search/s1r1c2", "round/score_low"] == [(1, 0.4)]
    assert found["search/best-of-round", "round/score"] == [(1, 0.8), (2, 0.6)]


def test_the_end_says_what_came_of_it_and_what_it_cost() -> None:
    rows = rows_of(SEARCH)
    found = series(rows)
    (steps, gain) = found["", "result/gain"][0]
    assert (steps, gain) == (8000, 0.7)
    assert found["", "result/gain_low"] == [(8000, 0.6)]
    assert ("", "result/money") not in found  # nobody knows it
    assert found["", "cost/environment_steps"][0] == (2, 1600)
    assert found["", "cost/tokens"][-1] == (20, 100)
    assert [(row.name, row.text) for row in rows if isinstance(row, Text)] == [
        ("promoted_signal/stage_1", "code of s1r1c1"),
        ("verdict", "it is better"),
    ]


def test_the_main_run_is_one_line_through_its_laps() -> None:
    lap = {"branch": "main-s1", "candidate": "s1r1c1", "scores": (), "alarm": None, "rolled_back_to": None}
    laps = [LapStanding(stage=s, steps=400 * s, candidate="native", score=0.3 * s, interval=None, rolled_back_to=None)
            for s in (1, 2)]  # fmt: skip
    story = MainRunStory(
        laps=tuple(laps), peak=0.6, final=0.6, area=0.4, competence=None, pairs=0, dropped=0, audited=0, missed=0,
        steps_saved=0, main_steps=1, search_steps=1,
    )  # fmt: skip
    one = Compared(
        candidate="s1r1c1", seeds=2, score=0.5, gain=0.3, interval=(0.1, 0.5), lower_bound=0.2, came="racing"
    )
    records: list[Record] = [
        trained("s1r1c1-h1", "s1r1c1", 0.5),
        judged("search", compared=(one,)),
        Advanced(stage=1, steps=400, score=0.3, interval=(0.2, 0.4), metrics={"native_return": -7.0}, **lap),
        Advanced(stage=2, steps=800, score=0.6, interval=None, metrics={}, **lap),
        trained("plain-h1", "native", 0.1),
        trained("plain-h2", "native", 0.3),
        FINISHED.model_copy(update={"main": story}),
    ]
    found = series(rows_of(records))
    assert found["main", "curve/score"] == found["result/best", "curve/score"] == [(400, 0.3), (800, 0.6)]
    assert found["main", "curve/native_return"] == [(400, -7.0)]
    assert found["main", "curve/score_high"] == [(400, 0.4)]
    assert found["search/s1r1c1-h1", "round/gain"] == [(1, 0.3)]
    assert found["result/native", "curve/score"] == [(400, 0.1), (800, 0.2)]  # over the heats
    assert found["", "result/area"][0][1] == 0.4


def test_names_of_candidate_code_stay_names() -> None:
    found = series(rows_of(SEARCH))
    shares = {name for line, name in found if line == "search/s1r1c1" and name.startswith("term_share/")}
    assert shares == {"term_share/near", "term_share/_.._etc"}
    assert line_of("../../../home") == "search/_.._.._home"
    hostile = plain(Promoted(stage=1, candidate="../../secret", gain=None)) | {"seconds": 0.0}
    with pytest.raises(ValueError, match="no candidate"):
        Rows(lambda id: "").of(hostile)


def test_hyperparameters_name_no_address_and_no_episodes() -> None:
    settings = plain(SETTINGS)
    model = {"model": "gpt-5-mini", "base_url": "https://user:password@internal/v1"}
    settings["roles"] |= {"models": {"mine": model}, "generators": ["mine", "offline"]}
    values = hyperparameters(settings)
    assert values["role.generator"] == "gpt-5-mini, offline"
    assert (values["task"], values["method"], values["train.algorithm"]) == ("mpe/simple_spread", "lero", "mappo")
    assert "password" not in json.dumps(values)
    assert not [name for name in values if "evaluation" in name]


def test_settings_are_told_once_though_a_run_is_resumed() -> None:
    assert sum(isinstance(row, Settings) for row in rows_of(SEARCH)) == 1


# ---------------------------------------------------------------- TensorBoard


def kept_by_tensorboard(run: Path) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    """By line and tag, read back by its own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root = run / "tensorboard"
    found: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for directory in sorted({file.parent for file in root.rglob("events.*")}):
        line = directory.relative_to(root).as_posix().removeprefix(".")
        data = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        for tag in data.Tags()["scalars"]:
            found[line, tag] = [(event.step, event.value) for event in data.Scalars(tag)]
        for tag in data.Tags()["tensors"]:
            found[line, tag] = [(event.step, event.tensor_proto) for event in data.Tensors(tag)]
    return found


@pytest.fixture
def tensorboard() -> None:
    pytest.importorskip("tensorboard")


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_keeps_every_number_where_its_reader_finds_it(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", SEARCH)
    assert retell(run, "tensorboard") == f"tensorboard --logdir {tmp_path}/run/tensorboard"
    kept = kept_by_tensorboard(run.path)
    expected = series(rows_of(SEARCH))
    assert {key: kept[key] for key in expected} == expected
    ((_, code),) = kept["", "promoted_signal/stage_1"]
    text = code.string_val[0].decode()
    assert text == "    # <script>alert(1)</script>\n    ```\n    ALPHA = 0.5"  # code to Markdown, line by line
    assert ("", "_hparams_/session_start_info") in kept


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_is_told_nothing_twice(tmp_path: Path) -> None:
    """By a run that was killed and goes on, and by a second `track`; it gets what it would get at once."""
    run = a_run(tmp_path / "run", SEARCH[:5])
    listener = Listener(run.path, ["tensorboard"])
    listener.hear(run.events[-1])  # and then the process is killed
    for event in told(SEARCH)[5:]:
        run.directory.append_event(event)
    resumed = Listener(run.path, ["tensorboard"])
    resumed.hear(run.events[-1])
    resumed.close()
    listener.close()
    retell(PastRun.open(run.path), "tensorboard")
    at_once = a_run(tmp_path / "other", SEARCH)
    retell(at_once, "tensorboard")
    told_twice, told_once = kept_by_tensorboard(run.path), kept_by_tensorboard(at_once.path)
    hparams = ("", "_hparams_/session_start_info")
    assert len(told_twice.pop(hparams)) == len(told_once.pop(hparams)) == 1  # it names the run
    # Two files of one second are not always read in their order.
    by_step = {key: sorted(points, key=lambda point: point[0]) for key, points in told_twice.items()}
    assert by_step == told_once


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_goes_on_behind_a_record_that_was_cut(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", SEARCH)
    retell(run, "tensorboard")
    whole = kept_by_tensorboard(run.path)
    (file,) = (run.path / "tensorboard/search/s1r1c1").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    retell(run, "tensorboard")
    assert kept_by_tensorboard(run.path) == whole


# ---------------------------------------------------------------- what goes wrong


class Broken:
    where = "nowhere"

    def __init__(self) -> None:
        self.asked = 0

    def keep(self, row: Row) -> None:
        self.asked += 1
        raise ConnectionError("the network\x1b[31m is gone")

    def flush(self) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def test_a_tracker_that_fails_warns_once_and_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Broken()
    monkeypatch.setattr("marlsmith.results.tracking.telling.open_tracker", lambda name, run: broken)
    run = a_run(tmp_path / "run", SEARCH)
    listener = Listener(run.path, ["wandb"])
    for event in run.events:
        listener.hear(event)
    listener.close()
    said = capsys.readouterr().err
    assert broken.asked == 1
    assert said.count("failed") == 1
    assert "the run goes on" in said
    assert f"`marlsmith track {run.path} --with wandb`" in said
    assert "\x1b" not in said


def test_trackers_that_fail_as_they_close_harm_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of them takes nothing from the others."""

    class Unclosable(Broken):
        def keep(self, row: Row) -> None: ...

        def flush(self) -> None: ...

        def close(self) -> None:
            raise TimeoutError("it does not answer")

    monkeypatch.setattr("marlsmith.results.tracking.telling.open_tracker", lambda name, run: Unclosable())
    run = a_run(tmp_path / "run", SEARCH)
    listener = Listener(run.path, ["tensorboard", "wandb"])
    listener.hear(run.events[-1])
    listener.close()
    said = capsys.readouterr().err
    assert said.count("failed (TimeoutError: it does not answer)") == 2
    assert all(f"{name} failed" in said for name in ("tensorboard", "wandb"))


@pytest.mark.usefixtures("tensorboard")
def test_a_full_disk_harms_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run", SEARCH)
    (run.path / "tensorboard").write_text("a file where its directory should be")
    listener = Listener(run.path, ["tensorboard"])
    for event in run.events:
        listener.hear(event)
    listener.close()
    assert capsys.readouterr().err.count("tensorboard failed") == 1
    with pytest.raises(UserError, match="tensorboard does not keep"):
        retell(run, "tensorboard")


def test_a_tracker_that_is_not_there_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marlsmith.results.tracking.tracker.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'marlsmith\[tensorboard\]'"):
        require_trackers(["tensorboard"])
    with pytest.raises(UserError, match="no tracker 'mlflow': use tensorboard or wandb"):
        require_trackers(["mlflow"])


# ---------------------------------------------------------------- Weights & Biases


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    wandb.teardown()  # it remembers the mode for as long as the process lives


def records_of(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format behind seven bytes that say what it is."""
    from wandb.proto.wandb_internal_pb2 import Record as WandbRecord

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # the end of a block holds no head
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield WandbRecord.FromString(whole)
            whole = b""


def kept_by_wandb(run: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any], set[str]]:
    """The history by key, the summary, and the ids of all its offline directories."""
    history: dict[str, list[dict[str, Any]]] = {}
    summary: dict[str, Any] = {}
    ids = set()
    for file in sorted(run.glob("wandb/offline-run-*/run-*.wandb")):
        for record in records_of(file):
            match record.WhichOneof("record_type"):
                case "run":
                    ids.add(record.run.run_id)
                case "summary":
                    update = record.summary.update
                    summary |= {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in update}
                case "history":
                    row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
                    row["_step"] = record.history.step.num
                    for key in row:
                        history.setdefault(key, []).append(row)
    return history, summary, ids


@pytest.mark.usefixtures("offline")
def test_wandb_keeps_a_run_on_disk_without_an_account(tmp_path: Path) -> None:
    require_trackers(["wandb"])
    run = a_run(tmp_path / "run", SEARCH)
    where = retell(run, "wandb")
    assert where.startswith(f"wandb sync {run.path}/wandb/offline-run-")
    history, summary, ids = kept_by_wandb(run.path)
    for (line, name), points in series(rows_of(SEARCH)).items():
        key = f"{name}/{line}" if line else name
        axis = {"round": "round", "cost": "seconds"}.get(name.partition("/")[0], "environment_steps")
        assert [(row[axis], row[key]) for row in history[key]] == points
    assert summary["promoted_signal/stage_1"] == SIGNAL
    assert len(ids) == 1


@pytest.mark.usefixtures("offline")
def test_wandb_knows_a_run_again(tmp_path: Path) -> None:
    """The same id after a move and a resume, and each row has the number that it had before: none counts twice."""
    run = a_run(tmp_path / "run", SEARCH[:5])
    listener = Listener(run.path, ["wandb"])
    listener.hear(run.events[-1])
    listener.close()
    moved = RunDirectory.open(Path(shutil.move(run.path, tmp_path / "moved")))
    for event in told(SEARCH)[5:]:
        moved.append_event(event)
    resumed = Listener(moved.path, ["wandb"])
    resumed.hear(event)
    resumed.close()
    history, _, ids = kept_by_wandb(moved.path)
    assert len(ids) == 1
    first, second, third, fourth = history["curve/score/search/s1r1c1"]
    assert [row["_step"] for row in (first, second)] == [row["_step"] for row in (third, fourth)]
    assert len({row["_step"] for row in history["curve/score/result/best"]}) == 2


def test_wandb_leaves_out_what_the_service_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub of its client: what comes online from a service cannot be had in a test."""
    wandb = pytest.importorskip("wandb")

    class Online:
        step, url, offline, dir = 3, "https://wandb.ai/x", False, ""

        def __init__(self) -> None:
            self.logged: list[int] = []
            self.summary: dict[str, str] = {}
            self.config: dict[str, Any] = {}

        def log(self, values: dict[str, float], step: int) -> None:
            self.logged.append(step)

        def define_metric(self, name: str, **_: Any) -> None: ...

        def finish(self) -> None: ...

    class Config(dict[str, Any]):
        def update(self, values: dict[str, Any], allow_val_change: bool) -> None:  # type: ignore[override]
            super().update(values)

    client = Online()
    client.config = Config()
    asked: dict[str, Any] = {}
    monkeypatch.setattr(wandb, "init", lambda **given: asked.update(given) or client)
    assert retell(a_run(tmp_path / "run", SEARCH), "wandb") == "https://wandb.ai/x"
    numbers = sum(isinstance(row, Numbers) for row in rows_of(SEARCH))
    assert client.logged == list(range(3, numbers))
    assert asked["resume"] == "allow"
    assert client.config["task"] == "mpe/simple_spread"


def test_wandb_without_an_account_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("wandb.login", lambda **_: False)
    with pytest.raises(UserError, match="`wandb login`, or keep it on disk with WANDB_MODE=offline"):
        require_trackers(["wandb"])
