"""A person as a role: requests and replies are files, no answer is lost, and every wait has an end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking import manual
from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.manual import MOST_BYTES, Person, answer, open_requests
from marlsmith.prompts import Prompts
from marlsmith.schemas import AnswerError, Interrupted, PausingError, Review, UserError

GOOD = '{"approve": true, "reasons": ["fits"]}'
REVIEW = Review(approve=True, reasons=("fits",))


class Desk:
    """A client whose questions go to a person, and what that person can see of them."""

    def __init__(self, run: Path, seconds: float = 30.0) -> None:
        self.run = run
        self.told: list[str] = []
        self.interrupted = threading.Event()
        self.accounts = Accounts(run / "llm.jsonl")
        person = Person(
            run, self.accounts, Prompts(), seconds=seconds, interrupted=self.interrupted, tell=self.told.append
        )
        self.client = Client(person, self.accounts)
        self._pool = ThreadPoolExecutor(8)

    def ask(self, place: str = "c1/check", **options: Any) -> Future[Review]:
        system, user = "You review. Answer in JSON.", f"Review {place}."
        return self._pool.submit(self.client.ask, "validator", place, system, user, Review, **options)

    def requests(self, count: int = 1, besides: set[Path] | None = None) -> list[Path]:
        """The open ones, when there are as many."""
        return until(lambda: [r for r in open_requests(self.run) if r not in (besides or set())], count)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / "llm.jsonl").read_text().splitlines()]

    def close(self) -> None:
        self.interrupted.set()
        self._pool.shutdown()


def until(look: Callable[[], list[Path]], count: int) -> list[Path]:
    deadline = time.monotonic() + 10
    while len(found := look()) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual, "SETTLED", 0.05)
    monkeypatch.setattr(manual, "POLL", 0.02)


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Each is another process's view of the same run."""
    made: list[Desk] = []

    def make(**options: Any) -> Desk:
        made.append(Desk(tmp_path / "run", **options))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


def test_the_request_holds_all_that_an_answer_needs(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = desk.ask()
    (request,) = desk.requests()
    assert request.parent == desk.run / "manual"
    prompt = (request / "request.md").read_text()
    for words in ("You review. Answer in JSON.", "Review c1/check.", '"approve"'):
        assert words in prompt
    told = json.loads((request / "request.json").read_text())
    assert told["protocol"] == 1
    assert (told["request"], told["role"], told["place"]) == (request.name, "validator", "c1/check")
    assert [message["role"] for message in told["messages"]] == ["system", "user"]
    assert told["schema"] == Review.model_json_schema()
    assert told["deadline"] > told["created"]

    (request / told["reply"]).write_text(f"I think so:\n```json\n{GOOD}\n```\n")
    assert asked.result(10) == REVIEW
    assert any(str(request / told["reply"]) in sentence for sentence in desk.told)
    assert (request / "answered.md").exists()
    assert not (request / "reply.md").exists()
    assert (desk.run / "manual" / "OPEN").read_text() == ""
    (line,) = [line for line in desk.lines() if line.get("text")]
    assert (line["role"], line["place"]) == ("validator", "c1/check")


@pytest.mark.parametrize("name", ["reply.md", "reply.json"])
def test_a_reply_is_taken_however_it_is_written(desks: Callable[..., Desk], name: str) -> None:
    """In pieces, with nothing in it at first, or renamed into place."""
    desk = desks()
    asked = desk.ask()
    (request,) = desk.requests()
    (request / name).touch()
    (request / "draft.txt").write_text("\ufeff" + GOOD)
    time.sleep(0.15)
    assert not asked.done()
    os.replace(request / "draft.txt", request / name)
    assert asked.result(10) == REVIEW
    assert (request / f"answered{Path(name).suffix}").exists()


def test_a_reply_that_is_still_being_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual, "SETTLED", 1.0)
    accounts, event = Accounts(None), threading.Event()
    person = Person(tmp_path, accounts, Prompts(), seconds=30, interrupted=event)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(Client(person, accounts).ask, "validator", "c1/check", "s", "u", Review)
        (request,) = until(lambda: open_requests(tmp_path), 1)
        for end in range(5, len(GOOD) + 5, 5):
            (request / "reply.md").write_text(GOOD[:end])
            time.sleep(0.1)
        assert asked.result(10) == REVIEW
    assert len(list((tmp_path / "manual").glob("*/request.md"))) == 1  # it never took a part for an answer


def test_an_unusable_reply_is_told_why_and_asked_again(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = desk.ask()
    (first,) = desk.requests()
    (first / "reply.md").write_text("I approve.")
    (second,) = desk.requests(besides={first})
    assert "it holds no JSON object" in (first / "failed.md").read_text()
    assert second.name in (first / "failed.md").read_text()
    prompt = (second / "request.md").read_text()
    for words in ("Review c1/check.", "I approve.", "it holds no JSON object"):
        assert words in prompt
    faults = [json.loads((request / "request.json").read_text())["fault"] for request in (first, second)]
    assert faults[0] is None
    assert faults[1].startswith("it holds no JSON object")
    until(lambda: [Path(second.name) for sentence in desk.told if second.name in sentence], 1)
    assert "no use" not in desk.told[0]
    assert f"validator is asked by hand once more, for its answer was of no use ({faults[1]}): " in desk.told[1]
    answer(second, GOOD)
    assert asked.result(10) == REVIEW
    assert not (second / "failed.md").exists()


def test_two_unusable_replies_are_an_answer_error_and_may_be_asked_anew(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = desk.ask()
    (first,) = desk.requests()
    answer(first, "no idea")
    (second,) = desk.requests(besides={first})
    answer(second, "still none")
    with pytest.raises(AnswerError, match="manual as validator"):
        asked.result(10)
    desk.accounts.discard("c1/check", "manual")
    again = desks()
    asked = again.ask()
    assert again.requests() == [first]
    assert not (first / "answered.md").exists()
    assert not (first / "failed.md").exists()
    answer(first, GOOD)
    assert asked.result(10) == REVIEW


def test_a_reply_of_any_size_ends_the_wait(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = desk.ask()
    (request,) = desk.requests()
    answer(request, "x" * (MOST_BYTES + 5))
    with pytest.raises(AnswerError, match="over 1,000,000 bytes"):
        asked.result(10)


def test_several_requests_are_open_at_once_and_answered_in_any_order(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = {place: desk.ask(place) for place in ("s1r1c1/check", "s1r1c2/check", "s1r1c3/check")}
    requests = desk.requests(3)
    assert (desk.run / "manual" / "OPEN").read_text().split() == [request.name for request in requests]
    for request in reversed(requests):
        place = json.loads((request / "request.json").read_text())["place"]
        answer(request, json.dumps({"approve": True, "reasons": [place]}))
    for place, future in asked.items():
        assert future.result(10).reasons == (place,)


def test_a_wait_ends_and_a_resume_finds_what_was_answered_meanwhile(desks: Callable[..., Desk]) -> None:
    desk = desks(seconds=0.3)
    started = time.monotonic()
    with pytest.raises(PausingError, match=r"nobody has answered .*request\.md within 0\.3 s") as raised:
        desk.ask().result(10)
    assert time.monotonic() - started < 3
    assert not isinstance(raised.value, Interrupted)
    (request,) = open_requests(desk.run)  # also while the run is paused
    answer(request, GOOD)
    assert open_requests(desk.run) == []
    assert desks().ask().result(10) == REVIEW


def test_a_reply_that_is_there_when_the_time_is_up_is_waited_for(
    desks: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one which is being written just then is not left behind."""
    with pytest.raises(PausingError):
        desks(seconds=0.01).ask().result(10)
    monkeypatch.setattr(manual, "SETTLED", 0.3)
    desk = desks(seconds=0.01)
    answer(*(desk.run / "manual").glob("c1-*"), GOOD)
    assert desk.ask().result(10) == REVIEW


def test_a_stop_ends_every_wait_at_once(desks: Callable[..., Desk]) -> None:
    desk = desks(seconds=600)
    asked = [desk.ask("c1/check"), desk.ask("c2/check")]
    desk.requests(2)
    started = time.monotonic()
    desk.interrupted.set()
    for future in asked:
        with pytest.raises(Interrupted, match="still to be answered"):
            future.result(10)
    assert time.monotonic() - started < 2
    assert len(open_requests(desk.run)) == 2


def test_what_is_on_record_is_not_asked_again(desks: Callable[..., Desk]) -> None:
    desk = desks()
    asked = desk.ask()
    answer(desk.requests()[0], GOOD)
    assert asked.result(10) == REVIEW
    again = desks(seconds=0.2)
    assert again.ask().result(10) == REVIEW
    assert again.told == []


def test_an_answer_that_was_not_put_on_record_is_not_lost(
    desks: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a kill between the two."""
    desk = desks()

    def refuse(*_: object) -> None:
        raise UserError("disk full")

    monkeypatch.setattr("marlsmith.agents.asking.accounting.book.Book.write", refuse)
    asked = desk.ask()
    (request,) = desk.requests()
    answer(request, GOOD)
    with pytest.raises(UserError, match="disk full"):
        asked.result(10)
    monkeypatch.undo()
    assert desks().ask().result(10) == REVIEW


def test_what_is_no_file_is_no_reply(desks: Callable[..., Desk]) -> None:
    desk = desks(seconds=0.5)
    asked = desk.ask()
    (request,) = desk.requests()
    os.mkfifo(request / "reply.md")
    (request / "reply.json").mkdir()
    with pytest.raises(PausingError, match="nobody has answered"):
        asked.result(10)


def test_a_directory_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "manual").write_text("in the way")
    accounts = Accounts(None)
    person = Person(tmp_path, accounts, Prompts(), seconds=1, interrupted=threading.Event())
    with pytest.raises(UserError, match=r"cannot use .*manual"):
        Client(person, accounts).ask("validator", "c1/check", "s", "u", Review)
