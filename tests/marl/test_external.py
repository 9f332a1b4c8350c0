"""Environments of others: one shape for all of them, their faults, and that nothing of them is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.external import source, wire
from marlsmith.marl.external.adapt import Unfit, _Actor, build
from marlsmith.marl.external.client import Channel
from marlsmith.marl.external.launch import EnvironmentServer, Report
from marlsmith.marl.external.read import absolute
from marlsmith.marl.external.source import RESERVED, Source
from marlsmith.marl.external.task import ExternalEnvironments, ExternalTask, reduced
from marlsmith.marl.external.wire import EnvironmentFault, Kind, Layout, WireError
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.view import COMMON_FIELDS
from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.verify import verify
from marlsmith.marl.workers.contract import JobFailure
from marlsmith.schemas import NATIVE, Code, Signal, UserError

HERE = Path(__file__).parent
UNEVEN = "pettingzoo:environments_for_tests:Uneven"
REACHER = "pettingzoo:environments_for_tests:Reacher"
ROUNDS = "pettingzoo:environments_for_tests:Rounds"
FAULTY = "pettingzoo:environments_for_tests:Faulty"

CARD = """
environment = "pettingzoo:environments_for_tests:Reacher"
description = "Two points go to two others."
target = "goal"
reach = 0.2
collide = 0.1
actions = ["along x", "along y"]

[score]
from = "environments_for_tests:closeness"
reduce = "last"
unit = "length"
meaning = "minus the mean distance after the last step"

[[fields]]
name = "point_pos"
columns = [0, 2]
kind = "position"
meaning = "where the points are"

[[fields]]
name = "goal_pos"
columns = [2, 6]
agent = 0
shape = [2, 2]

[[fields]]
name = "goals_seen"
columns = [2, 6]
kind = "position"
of = "goal"

[[entities]]
name = "agent"
count = 2
position = "point_pos"
radius = 0.05

[[entities]]
name = "goal"
count = 2
position = "goal_pos"
radius = 0.05
"""


@pytest.fixture(autouse=True)
def _beside_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules are found in the directory of the command."""
    monkeypatch.chdir(HERE)


@pytest.fixture
def opened() -> Iterator[Callable[..., ExternalEnvironments]]:
    """Opens environments of a task named by a reference, closed again at the end."""
    servers: list[EnvironmentServer] = []

    def start(reference: str, members: int = 1, environments: int = 2, hosts: int = 1) -> ExternalEnvironments:
        found = make_task(reference)
        assert isinstance(found, ExternalTask)
        server = EnvironmentServer(found.source, found.found, hosts)
        servers.append(server)
        task = ExternalTask(found.source, found.found, Channel(server.connection))
        running = task.open([generator(seed, "resets") for seed in range(members)], environments)
        running.server = server  # type: ignore[attr-defined]
        return running

    yield start
    for server in servers:
        server.stop()


def steps(running: ExternalEnvironments, value: float = 0, count: int = 1) -> list[tuple[torch.Tensor, ...]]:
    layout = running.task.layout
    shape = (*running.clock.shape, layout.agents, *([layout.actions] if layout.continuous else []))
    action = torch.full(shape, value) if layout.continuous else torch.full(shape, int(value))
    return [tuple(running.step(action)) for _ in range(count)]


# ---------------------------------------------------------------- one shape


def test_agents_that_differ_share_one_shape(opened: Callable[..., ExternalEnvironments]) -> None:
    running = opened(UNEVEN, 2, 3)
    assert running.observation.shape == (2, 3, 2, 5)  # one-hot of 3 and a column of 2, the largest
    assert running.observation[0, 0, 0, 2:].eq(0).all()
    assert running.observation[0, 0, 1, :3].tolist() == [1, 0, 0]
    assert running.available is not None
    assert running.available[0, 0].tolist() == [[True, False, True, False], [True] * 4]
    assert running.state["global_state"][0, 0].tolist() == [0, 2]


def test_an_agent_that_leaves_early_gives_nothing_more(opened: Callable[..., ExternalEnvironments]) -> None:
    running = opened(UNEVEN)
    results = steps(running, count=2)
    assert results[1][0][0, 0].tolist() == [1.0, 0.5]
    assert running.active is not None
    assert running.active[0, 0].tolist() == [False, True]
    assert running.observation[0, 0, 0, 1] == 2  # what it saw last
    (reward, terminated, truncated) = steps(running)[0]
    assert reward[0, 0].tolist() == [0.0, 0.5]
    assert running.observation[0, 0, 0].eq(0).all()
    assert running.available is not None
    assert running.available[0, 0, 0].all()
    assert not bool((terminated | truncated).any())
    (_, terminated, truncated) = steps(running, count=2)[-1]
    assert bool(terminated.all())
    assert not bool(truncated.any())
    assert running.state["global_state"][0, 0].tolist() == [4, 1]  # the last one that could be told
    (reward, terminated, _) = steps(running)[0]  # an episode that has ended stays as it is
    assert reward.eq(0).all()
    assert bool(terminated.all())


@pytest.mark.parametrize(
    ("reference", "end", "good"),
    [
        (f"{UNEVEN}?truncate=true", 5, False),
        (f"{UNEVEN}?length=8", 8, False),  # its own limit, reported as an end for good
        (f"{UNEVEN}?length=8&horizon=3", 3, False),
        (ROUNDS, 6, False),
        (f"{ROUNDS}?win_at=4", 4, True),
    ],
)
def test_a_time_limit_is_no_end_for_good(
    opened: Callable[..., ExternalEnvironments], reference: str, end: int, good: bool
) -> None:
    running = opened(reference)
    results = steps(running, count=end)
    assert not any(bool((terminated | truncated).any()) for _, terminated, truncated in results[:-1])
    _, terminated, truncated = results[-1]
    assert bool(terminated.all()) == good
    assert bool(truncated.all()) != good
    assert running.active is not None
    left = running.task.source.environment == UNEVEN and end > 2  # its first agent leaves after two steps
    assert running.active[0, 0].tolist() == [not good and not left, not good]  # who is cut short has a future


def test_lists_of_rewards_and_restarts_of_some(opened: Callable[..., ExternalEnvironments]) -> None:
    running = opened(ROUNDS, 1, 3)
    assert steps(running, 1)[0][0][0].tolist() == [[1.0, 1.0]] * 3
    before = running.observation
    running.restart(torch.tensor([[False, True, False]]))
    assert running.clock.tolist() == [[1, 0, 1]]
    assert running.observation[0, :, 0, 0].tolist() == [1, 0, 1]
    assert before[0, :, 0, 0].tolist() == [1, 1, 1]  # what was handed out does not change


def test_actions_fill_the_bounds(opened: Callable[..., ExternalEnvironments]) -> None:
    running = opened(REACHER)
    for value, moved in ((-1.0, [-0.1, -0.15]), (1.0, [0.1, 0.15]), (5.0, [0.1, 0.15])):
        before = running.observation[..., :2]
        steps(running, value)
        torch.testing.assert_close((running.observation[..., :2] - before)[0, 0, 0], torch.tensor(moved))


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.floats(width=32), st.sampled_from([np.float32, np.float64]))
def test_an_environment_only_gets_actions_of_its_space(low: float, width: float, value: float, kind: type) -> None:
    box = spaces.Box(low, low + width, (2,), kind)
    assert box.contains(_Actor("a", box).action(np.array([value, 1.0, 9.0], np.float32)))
    some = spaces.Discrete(3, start=2)
    assert some.contains(_Actor("a", some).action(np.array(int(np.clip(np.nan_to_num(value), -1e9, 1e9)), np.int32)))


def test_a_member_has_its_episodes_wherever_it_runs(opened: Callable[..., ExternalEnvironments]) -> None:
    wide, narrow = opened(REACHER, 2, 3, hosts=2), opened(REACHER, 1, 3, hosts=1)
    assert wide.observation[:1].equal(narrow.observation)
    assert not wide.observation[0].equal(wide.observation[1])
    for running in (wide, narrow):
        running.restart(torch.tensor([[True, False, True]]).expand(running.clock.shape))
    assert wide.observation[:1].equal(narrow.observation)
    narrow.load({"clock": narrow.clock})
    assert narrow.clock.eq(0).all()
    assert not wide.observation[:1].equal(narrow.observation)


@pytest.mark.parametrize("reference", [UNEVEN, REACHER, ROUNDS])
def test_the_task_keeps_its_card(reference: str) -> None:
    task = make_task(reference)
    verify(task)
    assert task.card.name == reference
    assert task.card.score == "return"


def test_evaluation_plays_the_same_episodes_again() -> None:
    pytest.importorskip("lbforaging")  # its reset(seed) depends on the episode before
    task = make_task("gymnasium:lbforaging:Foraging-8x8-2p-2f-coop-v3")
    assert rollout_random(task, 3, 6).reward.equal(rollout_random(task, 3, 6).reward)


# ---------------------------------------------------------------- cards


def test_a_card_gives_fields_a_score_and_entities(tmp_path: Path) -> None:
    file = tmp_path / "points.toml"
    file.write_text(CARD)
    task = make_task(str(file))
    verify(task)
    assert task.card.name == "points"
    assert {field.name: field.shape for field in task.card.fields} == {
        "score": "[B]", "point_pos": "[B, N, 2]", "goal_pos": "[B, 2, 2]", "goals_seen": "[B, N, 4]",
    }  # fmt: skip
    assert [part.name for part in task.card.observation] == ["point_pos", "goals_seen"]
    episodes = rollout_random(task, 0, 4)
    distance = (episodes.state["point_pos"][-1] - episodes.state["goal_pos"][-1]).norm(dim=-1).mean(-1)
    metrics = task.metrics(episodes)
    torch.testing.assert_close(metrics["closeness"], -distance)
    assert metrics["episode_length"].eq(10).all()


def test_infos_become_fields_and_scores(tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text(
        f'environment = "{UNEVEN}"\nscore = {{ from = "info:caught", reduce = "max" }}\n'
        'options = { length = 4 }\n[[fields]]\nname = "place"\ninfo = "place"\n'
        '[[fields]]\nname = "crowd"\nstate = [1, 2]\n'
    )
    task = make_task(f"{file}?length=3")
    verify(task)
    episodes = rollout_random(task, 0, 2)
    assert task.metrics(episodes)["caught"].tolist() == [[6.0, 6.0]]  # of the one agent that is left, at step 3
    assert episodes.state["place"].shape == (4, 1, 2, 2, 2)
    assert episodes.state["crowd"][:, 0, 0, 0].tolist() == [2, 2, 1, 1]


def test_a_cards_path_holds_from_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("cards/my.toml?n=2") == f"{tmp_path}/cards/my.toml?n=2"
    assert absolute(UNEVEN) == UNEVEN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("environment = 3", "environment: "),
        (
            'environment = "pettingzoo:a:b"\nhorzion = 3',
            "no key 'horzion'; known are environment, .*, horizon, .*reach",
        ),
        (
            'environment = "pettingzoo:a:b"\nscore = { form = "reward" }',
            "no key 'form' in score; known are from, reduce",
        ),
        (f'environment = "{UNEVEN}"\n[[fields]]\nname = "x"\ncols = [0, 1]', r"no key 'cols' in fields\.0; .* columns"),
        (f'environment = "{UNEVEN}"\n[[fields]]\ncolumns = [0, 1]', r"fields\.0\.name is missing"),
        (CARD.replace('kind = "position"', 'kind = "offset"', 1), "'point_pos' of kind offset as its position"),
        ('environment = "pettingzoo:a"', "names no factory"),
        ("environment", "is not TOML"),
        (f'environment = "{UNEVEN}"\nscore = {{ from = "info:cought" }}', "no info 'cought' came .* caught, place"),
        (f'environment = "{UNEVEN}"\n[[fields]]\nname = "x"\ncolumns = [3, 6]', "ends at column 6, .* has 5"),
        (f'environment = "{UNEVEN}"\n[[fields]]\nname = "obs"\ncolumns = [3, 5]', "choose another"),
        (f'environment = "{UNEVEN}"\n[[fields]]\nname = "x"', "exactly one of columns, state and info"),
        (f'environment = "{UNEVEN}"\n[score]\nfrom = "environments_for_tests:none"', "has no 'none'"),
        (f'environment = "{UNEVEN}"\ntarget = "goal"\nreach = 0.1', "no entity 'agent'"),
    ],
)
def test_a_faulty_card_is_explained(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "card.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        make_task(str(file))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("pettingzoo:no_such_package:make", "No module named 'no_such_package'; install the package, or run"),
        ("pettingzoo:environments_for_tests:none", "has no 'none'"),
        ("pettingzoo:environments_for_tests:Uneven?size=3", "unexpected keyword argument 'size'"),
        ("pettingzoo:environments_for_tests:Boundless", "without bounds"),
        ("pettingzoo:environments_for_tests:Mixed", "discrete actions and others continuous"),
        ("pettingzoo:environments_for_tests:Many", "only Discrete and Box"),
        ("pettingzoo:environments_for_tests:Endless", "horizon=STEPS"),
        ("pettingzoo:environments_for_tests:Crashing", "ends its process .exit code 9"),
        ("pettingzoo:environments_for_tests:Alone", "neither a PettingZoo environment nor"),
        ("gymnasium:CartPole-v1", "neither a PettingZoo environment nor"),
        ("gymnasium:Nowhere-v1", "name the package that registers it: gymnasium:PACKAGE:Nowhere-v1"),
        ("cards/none.toml", "Cannot read the task card"),
    ],
)
def test_what_cannot_be_a_task_is_explained(reference: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_task(reference)


@pytest.mark.parametrize("reference", ["pettingzoo:", "pettingzoo:a", "pettingzoo:a:", "gymnasium:", "gymnasium:a:"])
def test_half_a_name_is_no_environment(reference: str) -> None:
    with pytest.raises(UserError, match=r"is not sound: environment: .* names no \w+: write") as refused:
        make_task(reference)
    assert "pattern" not in str(refused.value)


def test_a_refusal_names_the_environment_once() -> None:
    for name in ("gymnasium:CartPole-v1", "pettingzoo:environments_for_tests:Endless", "pettingzoo:nowhere:make"):
        with pytest.raises(UserError, match="cannot be a task: it ") as refused:
            make_task(name)
        assert str(refused.value).count(name) == 1


@pytest.mark.parametrize(("module", "extra"), [("rware", "rware"), ("lbforaging", "lbf")])
def test_a_known_package_that_is_missing_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    source = Source(environment=f"gymnasium:{module}:Some-v1", name="some")
    with pytest.raises(Unfit) as refused:
        build(source)
    assert str(refused.value).endswith(f'; install it: pip install "marlsmith[{extra}]"')
    assert "registration" not in str(refused.value)


def test_a_look_at_an_environment_that_hangs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Source(environment=UNEVEN, name="x").probe_seconds == 30
    assert Source(environment=UNEVEN, name="x", step_seconds=90).probe_seconds == 90  # a step may take as long
    monkeypatch.setattr(source, "PROBE_SECONDS", 4.0)
    (tmp_path / "flag").write_text("hang")
    card = tmp_path / "card.toml"
    card.write_text(f'environment = "{FAULTY}"\nstep_seconds = 1\noptions = {{ flag = "{tmp_path}/flag" }}\n')
    with pytest.raises(UserError, match="does not stand and play within 4 s: mend what hangs"):
        make_task(str(card))


def test_a_person_at_a_terminal_hears_of_the_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_task(f"{UNEVEN}?length=2")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    make_task(f"{UNEVEN}?length=3")
    assert capsys.readouterr().err == f"looking at the environment {UNEVEN} ...\n"


def test_an_endless_environment_gets_its_horizon() -> None:
    assert make_task("pettingzoo:environments_for_tests:Endless?horizon=7").card.horizon == 7


# ---------------------------------------------------------------- faults


def faulty(tmp_path: Path, more: str = "", once: bool = False) -> tuple[str, Path]:
    """A task whose environments fail in step 3 while the file lies there; a look at it finds nothing wrong."""
    flag, card = tmp_path / "flag", tmp_path / "faulty.toml"
    card.write_text(f'environment = "{FAULTY}"\n{more}\n[options]\nflag = "{flag}"\nonce = {str(once).lower()}\n')
    make_task(str(card))
    return str(card), flag


def test_an_exception_ends_the_branch_with_its_reason(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path
) -> None:
    card, flag = faulty(tmp_path)
    running = opened(card, 1, 4)
    flag.write_text("raise")
    with pytest.raises(EnvironmentFault, match=r"^ValueError: the cable broke$"):
        steps(running, count=3)
    report = running.server.report()  # type: ignore[attr-defined]
    assert report.fault == "ValueError: the cable broke"


@pytest.mark.parametrize(("how", "reason"), [("exit", "exited with code 7"), ("segfault", "died by SIGSEGV")])
def test_a_crash_cuts_short_the_episodes_of_its_host_only(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path, how: str, reason: str
) -> None:
    card, flag = faulty(tmp_path, once=True)
    running = opened(card, 1, 4, hosts=2)
    flag.write_text(how)
    _, terminated, truncated = steps(running, count=3)[-1]
    assert sorted(truncated[0].tolist()) == [False, False, True, True]
    assert not bool(terminated.any())
    assert running.lost == 2
    seen = running.observation[0, :, 0, 0]
    assert seen[truncated[0]].tolist() == [2, 2]  # nobody knows what came of the step
    assert seen[~truncated[0]].tolist() == [3, 3]
    running.restart(truncated)
    assert running.clock[truncated].eq(0).all()
    steps(running, count=2)
    assert running.observation[0, :, 0, 0][truncated[0]].tolist() == [2, 2]
    running._channel.close()
    report = running.server.report()  # type: ignore[attr-defined]
    assert (report.restarts, report.fault) == (1, None)
    assert reason in report.reason


def test_a_hang_is_ended(opened: Callable[..., ExternalEnvironments], tmp_path: Path) -> None:
    card, flag = faulty(tmp_path, "step_seconds = 0.5", once=True)
    running = opened(card, 1, 2, hosts=1)
    flag.write_text("hang")
    started = time.monotonic()
    _, _, truncated = steps(running, count=3)[-1]
    assert bool(truncated.all())
    assert time.monotonic() - started < 15


def test_crash_after_crash_ends_the_branch(opened: Callable[..., ExternalEnvironments], tmp_path: Path) -> None:
    card, flag = faulty(tmp_path)
    running = opened(card, 1, 1, hosts=1)
    flag.write_text("exit")

    def play() -> None:
        for _ in range(20):
            running.restart(steps(running)[0][2])

    with pytest.raises(EnvironmentFault, match="exited with code 7, 4 times"):
        play()
    assert running.lost == 3


def test_a_process_that_does_not_start_again_ends_the_branch_with_its_reason(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path
) -> None:
    card, flag = faulty(tmp_path)
    running = opened(card)
    flag.write_text("exit")
    flag.with_suffix(".broken").touch()
    with pytest.raises(EnvironmentFault, match=r"^RuntimeError: out of cables$"):
        steps(running, count=3)
    report = running.server.report()  # type: ignore[attr-defined]
    assert report == Report("RuntimeError: out of cables", 1, "it exited with code 7")


def test_a_crash_while_episodes_begin_loses_none(opened: Callable[..., ExternalEnvironments], tmp_path: Path) -> None:
    card, flag = faulty(tmp_path, once=True)
    training = opened(card)
    flag.write_text("reset")
    evaluation = training.task.open([generator(9, "evaluation")], 2)
    assert not flag.exists()
    assert not bool(steps(evaluation)[0][2].any())
    assert bool(steps(training)[0][2].all())


def test_a_crash_meanwhile_is_told_to_the_group_that_lost_its_episodes(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path
) -> None:
    card, flag = faulty(tmp_path, once=True)
    training = opened(card, 1, 2, hosts=1)
    steps(training)
    evaluation = training.task.open([generator(9, "evaluation")], 2)
    flag.write_text("exit")
    steps(evaluation, count=3)
    evaluation.close()
    _, _, truncated = steps(training)[0]
    assert bool(truncated.all())
    assert training.lost == 2


def test_numbers_that_are_none_are_the_environments_fault(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path
) -> None:
    card, flag = faulty(tmp_path)
    running = opened(card)
    flag.write_text("nan")
    with pytest.raises(EnvironmentFault, match="the reward holds NaN or infinity"):
        steps(running, count=3)


# ---------------------------------------------------------------- hostile workers


@given(st.binary(max_size=64), st.integers(0, 5))
def test_payloads_are_whole_or_refused(data: bytes, size: int) -> None:
    for parse in (wire.parse_numbers, wire.parse_group, lambda d: wire.parse_restart(d, size)):
        with contextlib.suppress(WireError):
            parse(data)
    if len(data) >= wire.HEADER.size:
        with pytest.raises(WireError):
            wire.parse_header(data[: wire.HEADER.size], 1 << 20)


@given(st.lists(st.integers(0, 9), unique=True, min_size=1).map(sorted))
def test_restarts_name_environments_that_are_there(which: list[int]) -> None:
    payload = wire.numbers([len(which), *which, *which])
    assert wire.parse_restart(payload, 10) == (which, which)
    with pytest.raises(WireError):
        wire.parse_restart(payload, which[-1])


def test_the_record_is_as_long_as_it_says() -> None:
    for continuous in (False, True):
        layout = Layout(3, 7, 5, continuous, (("score", ()), ("global_state", (4,))))
        assert np.dtype(layout.record).itemsize == layout.record_bytes
        assert Layout.parse(layout.plain()) == layout


GROUP = wire.numbers([0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        random.Random(0).randbytes(5000),
        wire.HEADER.pack(wire.MAGIC, Kind.OPEN, (1 << 32) - 1),
        wire.HEADER.pack(wire.MAGIC, Kind.OPEN, 4) + GROUP,  # of no environments
        wire.HEADER.pack(wire.MAGIC, Kind.STEP, 4) + GROUP,  # of a group that is not there
        wire.HEADER.pack(wire.MAGIC, Kind.SETUP, 9) + bytes(9),  # a host's, not a server's
    ],
)
def test_garbage_ends_the_conversation_without_a_fault(data: bytes) -> None:
    task = make_task(UNEVEN)
    assert isinstance(task, ExternalTask)
    server = EnvironmentServer(task.source, task.found, 1)
    hosts = hosts_of(server.pid)
    server.connection.sendall(data)
    assert server.report() == Report()
    assert gone([server.pid, *hosts])


def test_a_worker_holds_no_more_environments_than_it_needs() -> None:
    task = make_task(UNEVEN)
    assert isinstance(task, ExternalTask)
    server = EnvironmentServer(task.source, task.found, 1, most=3)
    wire.send(server.connection, Kind.OPEN, wire.numbers([0, 1, 2, 3]))
    assert wire.receive(server.connection)[0] is Kind.RECORDS
    wire.send(server.connection, Kind.OPEN, wire.numbers([1, 1]))
    with pytest.raises(EOFError):
        wire.receive(server.connection)
    assert server.report() == Report()


# ---------------------------------------------------------------- nothing is left behind


def hosts_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    def running(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    end = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(running, pids))


def test_a_look_leaves_nothing_running_and_no_picture_as_state(tmp_path: Path) -> None:
    note = tmp_path / "note"
    card = make_task(f"pettingzoo:environments_for_tests:Pictured?note={note}").card
    assert card.fields == ()
    assert gone([int(note.read_text())])


def test_hosts_die_with_a_server_that_is_killed(opened: Callable[..., ExternalEnvironments]) -> None:
    running = opened(UNEVEN, hosts=2)
    server: EnvironmentServer = running.server  # type: ignore[attr-defined]
    hosts = hosts_of(server.pid)
    assert len(hosts) == 2
    os.kill(server.pid, signal.SIGKILL)
    assert gone(hosts)
    with pytest.raises(EnvironmentFault, match="its server has ended"):
        steps(running)
    with pytest.raises(EnvironmentFault, match="its server has ended"):
        server.report()


def test_all_die_with_an_orchestrator_that_is_killed() -> None:
    code = (
        "import time\nfrom marlsmith.marl.external.launch import EnvironmentServer\n"
        f"from marlsmith.marl.tasks import make_task\ntask = make_task({UNEVEN!r})\n"
        "server = EnvironmentServer(task.source, task.found, 2)\nprint(server.pid, flush=True)\ntime.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        pids = [server, *hosts_of(server)]
        assert len(pids) == 3
        process.kill()
    assert gone(pids)


def test_all_end_with_a_worker_that_is_killed_in_its_request(
    opened: Callable[..., ExternalEnvironments], tmp_path: Path
) -> None:
    card, flag = faulty(tmp_path)
    running = opened(card)
    server: EnvironmentServer = running.server  # type: ignore[attr-defined]
    steps(running, count=2)
    flag.write_text("hang")
    pids = [server.pid, *hosts_of(server.pid)]
    wire.send(server.connection, Kind.STEP, wire.numbers([0, 0, 0, 0, 0]))
    time.sleep(0.2)
    started = time.monotonic()
    assert server.report() == Report()  # at once: nobody waits for the host that hangs
    assert time.monotonic() - started < 5
    assert gone(pids)


# ---------------------------------------------------------------- through the executor

SHAPED = "def agent_reward(state):\n    return state.reward + state.obs.mean(-1)\n"
FEATURES = "def enhance_observation(obs):\n    return obs[..., :1] * 0.5\n"


def request(task: str, **changes: object) -> BranchRequest:
    train = TrainConfig(steps=200, environments=4)
    plain = {"branch": "b", "candidate": "c", "task": task, "seeds": (0, 1), "train": train}
    return BranchRequest.model_validate({**plain, "evaluation": EvaluationConfig(episodes=3), **changes})


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


@pytest.mark.parametrize("task", [UNEVEN, REACHER])
def test_a_signal_is_checked_and_trained(executor: LocalExecutor, tmp_path: Path, task: str) -> None:
    designed = Signal(reward=Code(source=SHAPED), observation=Code(source=FEATURES))
    assert executor.check(designed, task, "own") == []
    first = executor.train(request(task), designed, tmp_path)
    assert first.error is None
    assert first.steps == 200
    again = executor.train(request(task), designed, tmp_path)
    assert again.scores == first.scores


def test_the_environments_faults_are_not_the_candidates(executor: LocalExecutor, tmp_path: Path) -> None:
    task, flag = faulty(tmp_path)
    flag.write_text("raise")
    failed = executor.train(request(task), NATIVE, tmp_path)
    assert failed.error is not None
    assert failed.error.stage == "environment"
    assert failed.error.message == "ValueError: the cable broke"
    designed = Signal(reward=Code(source=SHAPED))
    with pytest.raises(UserError, match=r"The environment of .* failed: ValueError: the cable broke"):
        executor.check(designed, task, "own")
    flag.unlink()
    assert executor.train(request(task), NATIVE, tmp_path).error is None


def test_a_crash_is_a_warning(executor: LocalExecutor, tmp_path: Path) -> None:
    task, flag = faulty(tmp_path, once=True)
    flag.write_text("segfault")
    evaluation = executor.train(request(task), NATIVE, tmp_path)
    assert evaluation.error is None
    assert "started again once" in evaluation.warnings[0]
    assert "SIGSEGV" in evaluation.warnings[0]


def test_a_worker_cannot_blame_the_environment(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(*arguments: object, **more: object) -> None:
        raise JobFailure("environment", "it was not me")

    monkeypatch.setattr(executor.pool, "run", forged)
    failed = executor.train(request(UNEVEN), NATIVE, tmp_path)
    assert failed.error is not None
    assert failed.error.stage == "crash"


def test_no_field_hides_what_every_state_has() -> None:
    assert RESERVED.issuperset(COMMON_FIELDS)


def test_how_a_score_is_reduced() -> None:
    values = torch.tensor([[[-1.0]], [[-3.0]], [[5.0]]])
    alive = torch.tensor([[[True]], [[True]], [[False]]])
    found = {how: float(reduced(values, alive, how)) for how in ("sum", "mean", "last", "max")}
    assert found == {"sum": -4.0, "mean": -2.0, "last": -3.0, "max": -1.0}


# ---------------------------------------------------------------- real ones

PROOF = [
    ("rware", "gymnasium:rware:rware-tiny-2ag-v2", 500),
    ("lbforaging", "gymnasium:lbforaging:Foraging-8x8-2p-2f-coop-v3", 50),
    ("Box2D", "pettingzoo:pettingzoo.sisl.multiwalker_v9:parallel_env?n_walkers=2", 500),
]


@pytest.mark.parametrize(("package", "task", "horizon"), PROOF)
def test_well_known_environments_are_tasks(package: str, task: str, horizon: int) -> None:
    pytest.importorskip(package)
    made = make_task(task)
    assert made.card.horizon == horizon
    assert made.card.agents == 2
    verify(made)


@pytest.mark.slow
@pytest.mark.parametrize(("package", "task", "horizon"), PROOF)
def test_well_known_environments_train(
    executor: LocalExecutor, tmp_path: Path, package: str, task: str, horizon: int
) -> None:
    pytest.importorskip(package)
    designed = Signal(reward=Code(source=SHAPED), observation=Code(source=FEATURES))
    assert executor.check(designed, task, "own") == []
    for signal_ in (NATIVE, designed):
        evaluation = executor.train(request(task, train=TrainConfig(steps=800)), signal_, tmp_path)
        assert evaluation.error is None
        assert evaluation.warnings == ()
