"""Random and mutated input at every door: it is refused by the exception of that door, or accepted, and no more.

A few seconds of it run always. The long form is `MARLSMITH_FUZZ_SECONDS=1200 pytest -m slow tests/marl/test_fuzz.py`;
a failure prints the seed and the smallest example.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_modules
import pytest
import torch
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import ValidationError

from marlsmith.marl.checkpoint import unpack
from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.external import wire
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.policy_link import PolicyFault, RemotePolicy, Shapes
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.join import join
from marlsmith.marl.signals.source import parse
from marlsmith.marl.signals.static import check_source, checked_tree, state_fields
from marlsmith.marl.tasks import make_task
from marlsmith.marl.workers import frames
from marlsmith.marl.workers.contract import JobFailure, JobResult, Limits
from marlsmith.marl.workers.frames import FrameError, FrameReader
from marlsmith.marl.workers.jobs import JOBS
from marlsmith.schemas import Code, Evaluation, Failure, Signal, SignalError, UserError

HANDLERS = Path(__file__).with_name("jail_jobs.py")
TASK = "mpe/simple_spread"
CARD = make_task(TASK).card
FIELDS = state_fields(CARD)
MOST_SECONDS = 1.0
"""Of processor time, for one look at one input."""
LIMITS = Limits(wall_seconds=10, stall_seconds=10, memory_bytes=512 << 20, cpu_seconds=10)
FUZZED: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")  # of code that is compiled, and refused
FUZZ_SECONDS = float(os.environ.get("MARLSMITH_FUZZ_SECONDS", "1200"))


@dataclass(frozen=True)
class Workers:
    executor: LocalExecutor
    forging: LocalExecutor  # whose trainings answer what the test says


def executor_with(job: str) -> LocalExecutor:
    """One whose workers run something else in place of a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(JOBS, "train", f"{HANDLERS}:{job}")
        patch.setitem(JOBS, "stream", f"{HANDLERS}:stream")
        return LocalExecutor(1)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(LocalExecutor(1), executor_with("forged"))
    yield made
    made.executor.close()
    made.forging.close()


def quick(examples: int) -> settings:
    """The same examples each time."""
    return settings(max_examples=examples, derandomize=True, **FUZZED)


def only(expected: type[Exception] | tuple[type[Exception], ...], door: Callable[[], Any]) -> Any:
    """What the door gives, or None where it refuses in its own way; quickly in both cases."""
    began = time.process_time()
    result = None
    with suppress(expected):
        result = door()
    assert time.process_time() - began < MOST_SECONDS
    return result


# ---------------------------------------------------------------- signals


def doors_of_code(source: str) -> Signal | None:
    """The signal where every door lets it in."""
    only(SignalError, lambda: parse(source))
    only(SignalError, lambda: check_source(source, FIELDS))
    for one, other in ((source, fuzz_modules.REAL[0]), (fuzz_modules.REAL[0], source)):
        joined = only(SignalError, lambda one=one, other=other: join(one, other))
        if joined is not None:
            only(SignalError, lambda joined=joined: check_source(joined, FIELDS))
    signal = only(SignalError, lambda: read_signal("signal.py", source))
    if signal is None:
        with suppress(ValidationError):  # too long, or no text
            code = Code(source=source)
            only(SignalError, lambda: checked_tree(Signal(reward=code, observation=code), CARD))
        return None
    return signal if only(SignalError, lambda: checked_tree(signal, CARD)) is not None else None


def code(workers: Workers, source: str) -> None:
    signal = doors_of_code(source)
    if signal is not None:
        tried(workers, signal)


def tried(workers: Workers, signal: Signal) -> None:
    failures = workers.executor.check(signal, TASK, "own")
    assert isinstance(failures, list)
    assert all(isinstance(failure, Failure) and failure.message.isprintable() for failure in failures)
    assert "malformed" not in str(failures)  # the worker said it by its own means
    assert not any(failure.stage in {"crash", "jail"} for failure in failures), failures


def config(workers: Workers, text: str) -> None:
    signal = only(SignalError, lambda: read_signal("signal.json", text))
    if signal is not None and only(SignalError, lambda: checked_tree(signal, CARD)) is not None:
        tried(workers, signal)


@quick(150)
@given(fuzz_modules.SOURCES)
def test_code_is_refused_by_a_signal_error_alone(source: str) -> None:
    doors_of_code(source)


@quick(12)
@given(source=fuzz_modules.likely())
def test_code_that_is_let_in_fails_as_a_value(workers: Workers, source: str) -> None:
    code(workers, source)


@quick(100)
@given(text=fuzz_modules.CONFIG_TEXTS)
def test_configs_are_refused_by_a_signal_error_alone(workers: Workers, text: str) -> None:
    config(workers, text)


def test_the_strategies_reach_both_sides() -> None:
    """Were all modules refused, or all accepted, the tests above would show nothing."""
    found: list[bool] = []

    @quick(60)
    @given(st.one_of(fuzz_modules.likely(), fuzz_modules.modules(), fuzz_modules.mutated()))
    def look(source: str) -> None:
        found.append(doors_of_code(source) is not None)

    look()
    assert 0.1 < sum(found) / len(found) < 0.9


# ---------------------------------------------------------------- a worker's replies


def reader(data: bytes, cuts: list[int]) -> None:
    """In pieces as from a socket; what the reader lets through is parsed as the pool does it."""
    heard = FrameReader()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})

    def listen() -> None:
        for begin, end in itertools.pairwise(places):
            for frame in heard.feed(data[begin:end]):
                only(FrameError, frame.json)
                only(FrameError, lambda frame=frame: frames.check_tensors(frame.payload))

    only(FrameError, listen)


def reply(workers: Workers, data: bytes, end: str) -> None:
    began = time.monotonic()
    try:
        result = workers.forging.pool.run("stream", {"data": data.hex(), "end": end}, LIMITS)
        assert isinstance(result, JobResult)
        frames.pack(result.value)  # plain and finite, whatever it is
        if result.tensors is not None:
            frames.check_tensors(result.tensors)
    except JobFailure as failure:
        said = str(failure)
    else:
        said = ""
    assert said.isprintable()
    assert time.monotonic() - began < LIMITS.wall_seconds


def branch(candidate: str) -> BranchRequest:
    return BranchRequest(
        branch="b", candidate=candidate, task=TASK, seeds=(0, 1),
        train=TrainConfig(steps=400), evaluation=EvaluationConfig(episodes=2),
    )  # fmt: skip


def forged_training(workers: Workers, data: bytes, directory: Path) -> None:
    """It has no networks of a policy, so whatever it says is no score."""
    evaluation = workers.forging.train(branch(json.dumps({"data": data.hex()})), Signal(), directory)
    assert isinstance(evaluation, Evaluation)
    assert evaluation.error is not None
    assert evaluation.error.message.isprintable()
    assert list(directory.iterdir()) == []


TRAINED: dict[str, Any] = {"terms": {}, "curve": [], "steps": 400}


@st.composite
def trained(draw: st.DrawFn) -> bytes:
    """A training's reply with one or two things in it changed, and tensors before it."""
    value: dict[str, Any] = dict(TRAINED)
    for _ in range(draw(st.integers(0, 2))):
        value[draw(st.one_of(st.sampled_from(sorted(TRAINED)), st.text(max_size=5)))] = draw(fuzz_modules.PLAIN)
    text = json.dumps(value).encode()
    tensors = draw(fuzz_modules.safetensors())
    return struct.pack("!BI", 4, len(tensors)) + tensors + struct.pack("!BI", 5, len(text)) + text


ENDS = st.sampled_from(["return", "exit", "code", "raise"])
CUTS = st.lists(st.integers(0, 400), max_size=4)


@quick(200)
@given(fuzz_modules.streams(), CUTS)
def test_frames_are_refused_by_a_frame_error_alone(data: bytes, cuts: list[int]) -> None:
    reader(data, cuts)


@quick(150)
@given(st.one_of(fuzz_modules.PAYLOADS, st.binary(max_size=200)))
def test_payloads_are_refused_by_a_frame_error_alone(payload: bytes) -> None:
    only(FrameError, lambda: frames.parse(payload))
    only(FrameError, lambda: frames.check_tensors(payload))


def checkpoint(data: bytes) -> None:
    """What we call sound tensors must not surprise those who read them."""
    passed: list[bool] = []
    only(FrameError, lambda: passed.append(frames.check_tensors(data) is None))
    if passed:
        only(UserError, lambda: unpack(data))


@quick(200)
@given(fuzz_modules.safetensors())
@example(fuzz_modules.DEEP_METADATA)
@example(fuzz_modules.ENDLESS_SHAPE)
def test_checkpoints_that_pass_are_read_or_refused_by_a_user_error(data: bytes) -> None:
    checkpoint(data)


def test_good_tensors_are_good() -> None:
    frames.check_tensors(fuzz_modules.GOOD_TENSORS)
    tensors, belongs = unpack(fuzz_modules.GOOD_TENSORS)
    assert tensors["w"].tolist() == [0.0, 0.0]
    assert belongs == {}


@quick(30)
@given(data=fuzz_modules.streams(), end=ENDS)
def test_a_workers_reply_is_a_result_or_a_job_failure(workers: Workers, data: bytes, end: str) -> None:
    reply(workers, data, end)


@quick(20)
@given(data=st.one_of(trained(), fuzz_modules.streams()))
def test_a_forged_training_is_an_evaluation(
    workers: Workers, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    forged_training(workers, data, tmp_path_factory.mktemp("forged"))


# ---------------------------------------------------------------- environments of others

MESSAGES = st.one_of(
    st.binary(min_size=wire.HEADER.size, max_size=wire.HEADER.size),
    st.tuples(st.sampled_from([wire.MAGIC, b"mse2"]), st.integers(0, 12), st.integers(0, 2**32 - 1)).map(
        lambda parts: wire.HEADER.pack(*parts)
    ),
)
NUMBER_LISTS = st.lists(st.one_of(st.integers(0, 8), st.integers(0, 2**32 - 1)), max_size=12).map(wire.numbers)
BODIES = st.one_of(st.binary(max_size=60), NUMBER_LISTS)


def message(header: bytes, payload: bytes, size: int) -> None:
    only(wire.WireError, lambda: wire.parse_header(header, 1000))
    for door in (wire.parse_numbers, wire.parse_group, lambda data: wire.parse_restart(data, size)):
        only(wire.WireError, lambda door=door: door(payload))


def received(data: bytes) -> None:
    """A whole stream through a socket, to its end."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.sendall(data)
        theirs.close()

        def listen() -> None:
            while True:
                kind, payload = wire.receive(mine)
                assert isinstance(kind, wire.Kind)
                assert isinstance(payload, bytes)

        only((wire.WireError, EOFError), listen)


@quick(200)
@given(MESSAGES, BODIES, st.integers(0, 6))
def test_environment_messages_are_refused_by_a_wire_error_alone(header: bytes, payload: bytes, size: int) -> None:
    message(header, payload, size)


@quick(100)
@given(st.lists(st.tuples(MESSAGES, BODIES).map(b"".join), max_size=3).map(b"".join))
def test_environment_streams_end_in_a_wire_error_or_their_end(data: bytes) -> None:
    received(data[: 1 << 16])


# ---------------------------------------------------------------- a policy's answers

SHAPES = st.builds(
    Shapes, members=st.just(1), environments=st.integers(1, 2), agents=st.integers(1, 2), observation=st.just(3),
    actions=st.integers(1, 3), continuous=st.booleans(),
)  # fmt: skip
ACTIONS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.integers(-1, 3), max_size=12).map(lambda values: struct.pack(f"<{len(values)}i", *values)),
    st.lists(st.floats(width=32), max_size=12).map(lambda values: struct.pack(f"<{len(values)}f", *values)),
)
ALLOWED = st.lists(st.booleans(), min_size=3, max_size=3)


def policy(shapes: Shapes, data: bytes, allowed: list[bool]) -> None:
    """Any bytes, then the end: an action that may be chosen, or a fault."""
    mine, theirs = socket.socketpair()
    may = (torch.arange(shapes.actions) < sum(allowed)).expand(*shapes.teams, -1)
    with mine, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        remote = RemotePolicy(mine, shapes)
        chosen = only(PolicyFault, lambda: remote.act_greedily(torch.zeros(*shapes.teams, 3), may, None))
    if chosen is not None:
        action, memory = chosen
        assert memory is None
        assert action.shape == shapes.action[0]
        if shapes.continuous:
            assert bool(action.isfinite().all())
        else:
            assert bool(may.gather(-1, action.unsqueeze(-1)).all())


@quick(150)
@given(SHAPES, ACTIONS, ALLOWED)
def test_a_policy_acts_within_its_rights_or_not_at_all(shapes: Shapes, data: bytes, allowed: list[bool]) -> None:
    policy(shapes, data, allowed)


def test_networks_that_were_tampered_with_never_raise(tmp_path: Path) -> None:
    """They are refused, or play as badly as they are: the score is the simulator's."""
    executor = executor_with("spoilt")
    try:
        errors = {}
        for how in ("nan", "inf", "huge", "doubles", "reshaped", "empty", "missing", "renamed", "more", "another's"):
            evaluation = executor.train(branch(how), Signal(), tmp_path)
            errors[how] = None if evaluation.error is None else evaluation.error.message
            assert (evaluation.score is None) == (evaluation.error is not None)
    finally:
        executor.close()
    played = {how for how, error in errors.items() if error is None}
    assert played <= {"huge", "more"}
    assert "more" in played
    assert "NaN" in str(errors["nan"])
    assert "another training" in str(errors["another's"])


# ---------------------------------------------------------------- the long form


def hammer(body: Callable[..., None], parts: dict[str, SearchStrategy[Any]], seconds: float) -> int:
    """Hypothesis again and again with fresh seeds until the time is over. How many examples it were."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number = random.SystemRandom().getrandbits(32)

        @seed(number)
        @settings(max_examples=100, **FUZZED)
        @given(**parts)
        def attack(**drawn: Any) -> None:
            nonlocal count
            count += 1
            body(**drawn)

        try:
            attack()
        except BaseException:
            print(f"{body}: seed {number}")
            raise
    return count


SHARES = {"code": 6, "likely code": 4, "config": 2, "reader": 2, "checkpoint": 2, "reply": 3, "forged": 2, "wire": 1,
          "wire stream": 1, "policy": 1}  # fmt: skip
"""Of the time."""


def attacks(workers: Workers, directory: Path) -> dict[str, tuple[Callable[..., None], dict[str, SearchStrategy[Any]]]]:
    """What is called, and with what."""
    return {
        "code": (lambda source: code(workers, source), {"source": fuzz_modules.SOURCES}),
        "likely code": (lambda source: code(workers, source), {"source": fuzz_modules.likely()}),
        "config": (lambda text: config(workers, text), {"text": fuzz_modules.CONFIG_TEXTS}),
        "reader": (reader, {"data": fuzz_modules.streams(), "cuts": CUTS}),
        "checkpoint": (checkpoint, {"data": fuzz_modules.safetensors()}),
        "reply": (lambda data, end: reply(workers, data, end), {"data": fuzz_modules.streams(), "end": ENDS}),
        "forged": (
            lambda data: forged_training(workers, data, directory),
            {"data": st.one_of(trained(), fuzz_modules.streams())},
        ),
        "wire": (message, {"header": MESSAGES, "payload": BODIES, "size": st.integers(0, 6)}),
        "wire stream": (received, {"data": st.lists(BODIES, max_size=4).map(b"".join)}),
        "policy": (policy, {"shapes": SHAPES, "data": ACTIONS, "allowed": ALLOWED}),
    }


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_SECONDS + 1200)
@pytest.mark.parametrize("name", SHARES)
def test_for_long(workers: Workers, tmp_path: Path, name: str) -> None:
    seconds = FUZZ_SECONDS * SHARES[name] / sum(SHARES.values())
    count = hammer(*attacks(workers, tmp_path)[name], seconds)
    print(f"{name}: {count} examples in {seconds:.0f} s")
    assert count >= 100
