"""Every wait has an end: slow, endless and silent endpoints, long queues, and proxies on the way."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from marlsmith.agents.asking.question import Question
from marlsmith.agents.asking.wire import endpoint as endpoint_module
from marlsmith.agents.asking.wire import transport as transport_module
from marlsmith.agents.asking.wire.pacing import Pacing
from marlsmith.agents.asking.wire.patience import LONGEST_WAIT, Passing, Patience, retry_after
from marlsmith.agents.asking.wire.transport import Transport
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import RoleSettings
from marlsmith.schemas import AnswerError, EndpointError, Interrupted, Review

REVIEW = Review(approve=True, reasons=("fits",))


def timed(action: Callable[[], Any]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def together(count: int, action: Callable[[int], Any]) -> float:
    threads = [threading.Thread(target=action, args=(n,)) for n in range(count)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


# ---------------------------------------------------------------- one call


@pytest.mark.parametrize("model", ["drips", "drips-headers", "hangs"])
def test_the_timeout_is_that_of_the_whole_call(client: Any, model: str) -> None:
    chat, endpoint = client(model, timeout=0.3)
    chat.endpoint.preflight()  # or the imports would count
    started = time.monotonic()
    with pytest.raises(EndpointError, match=r"2 tries \(no reply within 0\.3 s\)"):
        chat.review()
    assert len(endpoint.requests) == 2  # a slow endpoint is asked once less
    assert 0.6 <= time.monotonic() - started < 3


def test_a_call_that_ran_out_of_time_leaves_none_behind_it(client: Any) -> None:
    chat, _ = client("drips|good", timeout=1.5)
    assert chat.review() == REVIEW


def test_an_endpoint_that_does_not_accept_is_given_up(chat: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = chat(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout=0.2)
        with pytest.raises(EndpointError, match=r"no reply within 0\.2 s"):
            made.review()


def test_a_resolver_that_hangs_is_given_up(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(transport_module.socket, "getaddrinfo", lambda *args, **kwargs: over.wait(20) and [])
    made = chat("http://nowhere.invalid/v1", timeout=0.2)
    with pytest.raises(EndpointError, match=r"no reply within 0\.2 s"):
        made.review()
    over.set()


@pytest.mark.parametrize("model", ["endless", "huge"])
def test_a_reply_without_end_is_an_answer_of_no_use(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    started = time.monotonic()
    with pytest.raises(AnswerError, match=r"larger than 10 MB|a whole answer takes a small part"):
        chat.review()
    assert time.monotonic() - started < 15
    assert chat.accounts.spent().usage.tokens > 0
    assert len(endpoint.requests) == (1 if model == "endless" else 2)


def test_a_reply_of_many_parts_is_read_in_little_time(client: Any) -> None:
    """The HTTP client would make an object of each: 25 seconds of computing for so small a reply."""
    chat, endpoint = client("many-choices")
    chat.endpoint.preflight()  # or the imports would count
    started = time.process_time()
    with pytest.raises(EndpointError, match="holds no message"):
        chat.review()
    assert time.process_time() - started < 4
    assert len(endpoint.requests) == 3


def test_a_request_outside_of_a_call_is_refused() -> None:
    """Guards what is reached for behind the HTTP library's public names."""
    with pytest.raises(RuntimeError, match="no bounds"):
        Transport().client.get("http://127.0.0.1:1/")


def test_a_proxy_of_the_environment_is_used(client: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, endpoint = client("good")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, endpoint.url.removesuffix("/v1"))
    assert chat("http://nowhere.invalid/v1", "good").review() == REVIEW
    assert endpoint.headers[0]["host"] == "nowhere.invalid"
    with pytest.raises(EndpointError, match=r"no reply within 0\.4 s"):
        chat("http://nowhere.invalid/v1", "drips", timeout=0.4).review("c2/check")


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("all_proxy", "gopher://me:hunter2@proxy:1")
    with pytest.raises(EndpointError, match="the proxy that the environment names cannot be used") as caught:
        chat("http://nowhere.invalid/v1").review()
    assert "hunter2" not in str(caught.value)


# ---------------------------------------------------------------- all tries of a question


def test_a_question_has_a_time_for_all_its_tries() -> None:
    patience = Patience("m at h", timeout=10, backoff=0)
    assert patience.seconds() == 10
    patience.used(10 * 3 + 2 * LONGEST_WAIT - 4)
    assert patience.seconds() == pytest.approx(4)
    with pytest.raises(EndpointError, match=r"1 try \(down\)"):
        patience.endure(Passing("down", wait=5))


def test_waits_grow_and_are_spread() -> None:
    waits: list[float] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    for _ in range(20):
        patience = Patience("m", timeout=10, backoff=4, interrupted=Clock())
        patience.endure(Passing("down"))
        patience.endure(Passing("down"))
    first, second = waits[::2], waits[1::2]
    assert all(2 <= wait <= 4 for wait in first)
    assert all(4 <= wait <= 8 for wait in second)
    assert len(set(first)) > 1


def test_retry_after_in_every_form() -> None:
    def date(seconds: float) -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    assert retry_after("7") == 7
    assert retry_after("0.5") == 0.5
    assert retry_after("-3") == 0
    assert 28 < (retry_after(date(30)) or 0) <= 30
    assert retry_after(date(-30)) == 0
    assert [retry_after(said) for said in (None, "", "soon", "nan", "inf")] == [None] * 5
    assert retry_after(f"Fri, 31 Dec 2026 23:59:59 +{'9' * 18}") is None


# ---------------------------------------------------------------- turns


def test_calls_at_the_same_time_are_bounded(client: Any) -> None:
    chat, endpoint = client("slow", parallel=2)
    together(6, lambda n: chat.review(f"c{n}/check"))
    assert len(endpoint.requests) == 6
    assert endpoint.most_at_once == 2


def test_calls_are_spread_over_the_minute_and_the_first_goes_at_once(client: Any) -> None:
    chat, endpoint = client("good", requests_per_minute=300.0)
    first = timed(chat.review)
    assert first + together(4, lambda n: chat.review(f"c{n}/again")) >= 4 * 0.2
    assert len(endpoint.requests) == 5


def test_waiting_for_a_turn_is_none_of_the_call(client: Any) -> None:
    chat, endpoint = client("good", requests_per_minute=40.0, timeout=1.4)
    started = time.monotonic()
    assert [chat.review(), chat.review("c2/check")] == [REVIEW, REVIEW]
    assert time.monotonic() - started >= 1.5
    assert len(endpoint.requests) == 2


def test_a_turn_that_is_too_far_away_is_not_waited_for() -> None:
    pacing = Pacing(parallel=1, per_minute=0.5, longest=0.1)
    with pacing.turn(), pytest.raises(EndpointError, match="raise `parallel`"), pacing.turn():
        pass
    with pytest.raises(EndpointError, match="would wait 120 s for its turn"), pacing.turn():
        pass
    with pytest.raises(EndpointError, match="would wait 120 s"), pacing.turn():  # the refused one took no place
        pass


# ---------------------------------------------------------------- when the run is to stop


@pytest.mark.parametrize(
    ("model", "settings", "requests"),
    [
        ("hangs", {}, 1),
        ("drips", {}, 1),
        ("slow", {"requests_per_minute": 2.0}, 1),
        ("hangs", {"parallel": 1}, 1),
        ("limited-once", {}, 1),
    ],
    ids=["a reply", "the end of a reply", "a place in the minute", "a turn", "another try"],
)
def test_whatever_is_waited_for_a_stop_ends_it_and_nothing_more_is_asked(
    client: Any, monkeypatch: pytest.MonkeyPatch, model: str, settings: dict[str, Any], requests: int
) -> None:
    monkeypatch.setattr(endpoint_module, "retry_after", lambda header: 30.0)
    chat, endpoint = client(model, timeout=60.0, **settings)
    chat.endpoint.preflight()  # or the imports would count
    ended: list[str] = []

    def call(number: int) -> None:
        try:
            chat.review(f"c{number}/check")
            ended.append("answered")
        except Interrupted:
            ended.append("interrupted")

    threads = [threading.Thread(target=call, args=(n,)) for n in range(2 if settings else 1)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    stopped = time.monotonic()
    chat.accounts.interrupted.set()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - stopped < 1
    assert ended[-1] == "interrupted"
    assert len(endpoint.requests) == requests
    with pytest.raises(Interrupted):
        chat.review("c9/check")
    assert len(endpoint.requests) == requests
    assert chat.accounts.spent().calls == requests
    assert "unanswered" not in chat.log.read_text(), "a stop is no fact about who was asked"


def test_after_a_stop_nobody_is_asked_anything_new(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = chat("http://127.0.0.1:9/v1")
    asked: list[Question] = []
    monkeypatch.setattr(made.endpoint, "send", asked.append)
    made.accounts.interrupted.set()
    with pytest.raises(Interrupted):
        made.review()
    assert asked == []


def test_a_stop_of_the_roles_reaches_their_endpoints(client: Any) -> None:
    chat, endpoint = client("hangs", timeout=60.0)
    cast = make_roles(RoleSettings(critic="m", models={"m": chat.endpoint.settings}))
    threading.Timer(0.5, cast.interrupt).start()
    with pytest.raises(Interrupted):
        cast.endpoints[0].send(Question("critic", "s1r1", ({"role": "user", "content": "Why?"},), Review))
    assert len(endpoint.requests) <= 1


def test_a_stop_ends_the_waiting_for_a_turn_that_never_comes() -> None:
    stop = threading.Event()
    pacing = Pacing(parallel=1, per_minute=None, longest=10, interrupted=stop)
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pacing.turn(), pytest.raises(Interrupted), pacing.turn():
        pass
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("where", ["getaddrinfo", "create_connection"])
def test_a_stop_ends_what_cannot_look_for_it(chat: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The resolver, and a host that drops whatever it is sent."""
    over = threading.Event()
    made = chat("http://127.0.0.1:9/v1", timeout=60.0)
    monkeypatch.setattr(socket, where, lambda *args, **kwargs: over.wait(20) and [])
    threading.Timer(0.3, made.accounts.interrupted.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        made.review()
    assert time.monotonic() - started < 5
    over.set()


# ---------------------------------------------------------------- many at once


def test_a_hundred_calls_at_once_with_every_fault_are_all_answered_for(client: Any) -> None:
    faults = "html%50|dead|error|breaks-off|slow|no-finish|caches|fails-once|packed%30|babble%40|no-usage|wrong-type"
    chat, endpoint = client(faults, parallel=32, timeout=20.0)
    ended: list[str] = []

    def call(number: int) -> None:
        try:
            ended.append(str(chat.review(f"c{number}/check").approve))
        except (AnswerError, EndpointError) as error:
            ended.append(type(error).__name__)

    together(100, call)
    assert len(ended) == 100
    assert ended.count("True") > 60
    recorded, spent = chat.lines(), chat.accounts.spent()
    assert spent.calls == len(endpoint.requests) == len(recorded)
    assert spent.failed == sum(line["error"] is not None for line in recorded)
    assert spent.usage.tokens == sum(
        line["usage"]["prompt_tokens"] + line["usage"]["completion_tokens"] for line in recorded
    )
    assert endpoint.most_at_once <= 32
