"""What was paid for is counted, kept and used: through faults, parallel calls, kills, resumes and replays."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.accounting.replaying import ReplayMiss
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import Question, Reply, Role, Usage
from marlsmith.agents.settings import Budget, Limits, ModelSettings, Price
from marlsmith.schemas import AnswerError, BudgetError, EndpointError, Review, UserError

SETTINGS = ModelSettings(model="m", base_url="http://127.0.0.1:1/v1", timeout=10, price=Price(input=1, output=1))
ASKED = '{"model": "m", "temperature": 1}'
GOOD = Reply('{"approve": true}', usage=Usage(30, 12))


def question(place: str = "s1r1", text: str = "Why?", role: Role = "critic") -> Question:
    return Question(role, place, ({"role": "user", "content": text},), Review)


def say(
    accounts: Accounts,
    asked: Question,
    reply: Reply | None = GOOD,
    settings: ModelSettings | None = SETTINGS,
    reached: bool = False,
) -> None:
    """One request and what came of it; without a reply, it failed."""
    with accounts.attempt(asked, ASKED, settings, "text") as attempt:
        attempt.reply, attempt.reached = reply, reached
        attempt.error = None if reply else "HTTP 503"


def lines(directory: Path) -> list[dict[str, Any]]:
    """But for those that say that a request goes out."""
    read = [json.loads(line) for line in (directory / "llm.jsonl").read_text().splitlines()]
    return [line for line in read if "begun" not in line]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


# ---------------------------------------------------------------- what counts


def test_what_failed_counts_as_a_call_and_costs_what_the_endpoint_has_had(log: Path) -> None:
    accounts = Accounts(log)
    text = "word " * 400
    say(accounts, question())
    say(accounts, question("refused", text), None)
    assert (accounts.spent().calls, accounts.spent().failed, accounts.spent().usage.tokens) == (2, 1, 42)
    say(accounts, question("timed out", text), None, reached=True)
    guess = accounts.spent(place="timed out").usage
    assert guess.estimated
    assert guess.completion_tokens == 0
    assert 450 < guess.prompt_tokens < 550

    def cut() -> None:
        with accounts.attempt(question("cut"), ASKED, SETTINGS, "text") as attempt:
            attempt.usage = Usage(7, 3)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011, it is the caller's and passes through
        cut()
    assert accounts.spent(place="cut").usage.tokens == 10
    assert lines(log.parent)[-1]["error"] == "ValueError"
    assert accounts.spent().money == pytest.approx(accounts.spent().usage.tokens / 1e6)


def test_spent_tells_roles_and_places_apart(log: Path) -> None:
    accounts = Accounts(log)
    for role, place in (("generator", "s1r1a0/1"), ("generator", "s1r1a0/10"), ("critic", "s1r1a0/1")):
        say(accounts, question(place, role=role))  # type: ignore[arg-type]
    assert accounts.spent("generator").calls == 2
    assert accounts.spent("generator", "s1r1a0/1").usage.tokens == 42
    assert accounts.spent("validator") == Accounts().spent()


def test_a_person_is_not_paid_but_written_down(log: Path) -> None:
    accounts = Accounts(log, Budget(run=Limits(calls=0)))
    say(accounts, question(), settings=None)
    assert accounts.spent().calls == 0
    assert lines(log.parent)[0]["text"] == GOOD.text
    again = Accounts(log)
    assert again.spent().calls == 0
    assert again.recall(question(), ASKED) is not None


def test_a_later_process_starts_from_what_the_record_says(log: Path) -> None:
    accounts = Accounts(log)
    say(accounts, question())
    say(accounts, question("b"), None, reached=True)
    again = Accounts(log, Budget(critic=Limits(calls=2)))
    assert again.spent() == accounts.spent()
    assert again.spent(place="b") == accounts.spent(place="b")
    with pytest.raises(BudgetError, match="calls=2"):
        say(again, question("c"))


def test_a_call_that_is_under_way_at_a_kill_is_paid_for(log: Path) -> None:
    text = "word " * 400
    with Accounts(log).attempt(question("b", text), ASKED, SETTINGS, "text") as attempt:
        assert len(log.read_text()) < 500
        later = Accounts(log, Budget(run=Limits(calls=1)))
        attempt.reply = GOOD
    spent = later.spent()
    assert (spent.calls, spent.failed, spent.usage.estimated) == (1, 1, True)
    assert later.spent("critic", "b", ASKED) == spent
    assert 450 < spent.usage.prompt_tokens < 550
    assert spent.money == pytest.approx(spent.usage.prompt_tokens / 1e6)
    assert later.recall(question("b", text), ASKED) is None
    with pytest.raises(BudgetError, match="calls=1"):
        say(later, question("b", text))
    assert Accounts(log).spent().failed == 0  # it has ended after all


def test_a_call_that_was_killed_costs_the_same_in_a_replay(recorded: Path, tmp_path: Path) -> None:
    with Accounts(recorded / "llm.jsonl").attempt(question("a"), ASKED, SETTINGS, "text") as attempt:
        cut = (recorded / "llm.jsonl").read_text()
        attempt.reply = GOOD
    (recorded / "llm.jsonl").write_text(cut)
    say(Accounts(recorded / "llm.jsonl"), question("a"), Reply("at last"))
    original = Accounts(recorded / "llm.jsonl").spent()
    assert original.failed == 3
    for _ in range(2):  # also as a replay of its own goes on
        again = Accounts(tmp_path / "again" / "llm.jsonl", replay=recorded)
        assert replayed(again)[0] == "at last"
        assert again.spent() == original
    assert Accounts(tmp_path / "again" / "llm.jsonl").spent() == original


def test_a_first_call_that_cannot_fit_is_not_made(log: Path) -> None:
    accounts = Accounts(log, Budget(run=Limits(tokens=500)))
    with pytest.raises(BudgetError, match=r"tokens=500,.*0 spent.*about 1,0"):
        say(accounts, question())
    assert not log.exists()


def test_money_is_not_spent_on_a_model_without_a_price(log: Path) -> None:
    accounts = Accounts(log, Budget(run=Limits(money=1)))
    with pytest.raises(UserError, match="none is known"):
        say(accounts, question(), settings=SETTINGS.model_copy(update={"price": None}))


@pytest.mark.parametrize(("max_tokens", "seed"), [(400, 0), (400, 1), (None, 2), (None, 3)])
def test_a_hundred_parallel_calls_with_faults_lose_no_count_and_keep_the_budget(
    log: Path, max_tokens: int | None, seed: int
) -> None:
    limit, dice, lock = 12_000, random.Random(seed), threading.Lock()
    settings = SETTINGS.model_copy(update={"max_tokens": max_tokens})
    accounts = Accounts(log, Budget(run=Limits(tokens=limit)))
    plans = [(dice.random(), dice.randint(1, 400), dice.random() / 100) for _ in range(100)]
    billed: list[int] = []

    def call(number: int) -> str:
        fault, completion, seconds = plans[number]
        try:
            with accounts.attempt(question(f"p{number}"), ASKED, settings, "text") as attempt:
                time.sleep(seconds)
                if fault < 0.15:
                    raise ConnectionResetError
                with lock:
                    billed.append(20 + completion)
                if fault < 0.3:
                    attempt.usage = Usage(20, completion)
                    raise ValueError("malformed")
                attempt.reply = Reply("{}", usage=Usage(20, completion))
        except BudgetError:
            return "refused"
        except (ConnectionResetError, ValueError):
            return "failed"
        return "answered"

    with ThreadPoolExecutor(100) as pool:
        ends = Counter(pool.map(call, range(100)))
    spent = accounts.spent()
    assert spent.calls == 100 - ends["refused"] == len(lines(log.parent))
    assert spent.failed == ends["failed"] > 0
    assert spent.usage.tokens == sum(billed) == sum(sum(_tokens(line)) for line in lines(log.parent))
    assert limit - 800 < spent.usage.tokens <= limit + 420
    assert ends["refused"] > 10
    assert Accounts(log).spent() == spent


def _spend(accounts: Accounts, settings: ModelSettings, completions: list[int], limited: bool = True) -> int:
    """Calls at once, each with so long an answer; the most that were under way together."""
    lock, under_way, most = threading.Lock(), 0, 0

    def call(number: int, completion: int) -> None:
        nonlocal under_way, most
        with (
            suppress(BudgetError),
            accounts.attempt(question(f"p{number}"), ASKED, settings, "text", limited=limited) as attempt,
        ):
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.05)
            with lock:
                under_way -= 1
            attempt.reply = Reply("{}", usage=Usage(20, completion))

    with ThreadPoolExecutor(max(1, len(completions))) as pool:
        list(pool.map(call, range(len(completions)), completions))
    return most


BOUNDED = SETTINGS.model_copy(update={"max_tokens": 60_000})


@pytest.mark.parametrize("limit", [{"tokens": 200_000}, {"money": 0.2}])
@pytest.mark.parametrize(
    ("settings", "limited"),
    [(SETTINGS, True), (BOUNDED, True), (BOUNDED, False)],
    ids=["nothing bounds the answers", "the first is too long for its bound", "the bound is not sent"],
)
@pytest.mark.parametrize("longer", [0, 10_000])
def test_whatever_was_seen_before_long_answers_exceed_no_budget_by_more_than_one(
    settings: ModelSettings, limited: bool, limit: dict[str, Any], longer: int
) -> None:
    first = (60_001 if settings == BOUNDED and limited else 1000) + longer
    accounts = Accounts(None, Budget(run=Limits(**limit)))
    _spend(accounts, settings, [first])
    assert _spend(accounts, settings, [100_000] * 5, limited) == 1
    assert 100_000 < accounts.spent().usage.tokens <= 200_000 + 100_020


def test_answers_that_keep_to_their_bound_come_side_by_side_until_the_budget_is_near() -> None:
    accounts = Accounts(None, Budget(run=Limits(tokens=400_000)))
    assert _spend(accounts, BOUNDED, [50_000] * 1) == 1
    assert _spend(accounts, BOUNDED, [50_000] * 4) == 4
    assert _spend(accounts, BOUNDED, [50_000] * 9) in (1, 2)
    assert 350_000 < accounts.spent().usage.tokens <= 450_020


def test_the_first_answer_is_waited_for_before_a_bound_is_believed() -> None:
    accounts = Accounts(None, Budget(run=Limits(tokens=1_000_000)))
    assert _spend(accounts, BOUNDED, [70_000] * 5) == 1


def test_without_a_limit_on_tokens_or_money_nobody_waits() -> None:
    accounts = Accounts(None, Budget(run=Limits(calls=50)))
    all_there = threading.Barrier(5)

    def call(number: int) -> None:
        with accounts.attempt(question(f"p{number}"), ASKED, SETTINGS, "text") as attempt:
            all_there.wait(20)  # raises where one of them is kept out
            attempt.reply = Reply("{}", usage=Usage(20, 100_000))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(call, range(5)))
    assert accounts.spent().usage.completion_tokens == 500_000


def test_a_later_process_knows_who_keeps_to_no_bound(log: Path) -> None:
    _spend(Accounts(log), BOUNDED, [70_000])
    accounts = Accounts(log, Budget(run=Limits(tokens=1_000_000)))
    assert _spend(accounts, BOUNDED, [10, 10, 10]) == 1


def test_room_that_was_exceeded_is_known_as_well(log: Path) -> None:
    for accounts in (Accounts(log), Accounts(log)):
        roomy = replace(question("a"), room=8192)
        say(accounts, roomy, Reply("{}", usage=Usage(20, 9000)), BOUNDED)
    accounts = Accounts(log, Budget(run=Limits(tokens=1_000_000)))
    assert _spend(accounts, BOUNDED, [10, 10, 10]) == 1


def _tokens(line: dict[str, Any]) -> tuple[int, int]:
    return line["usage"]["prompt_tokens"], line["usage"]["completion_tokens"]


# ---------------------------------------------------------------- what is known already


def test_an_answer_is_used_again_by_a_later_process_only(log: Path) -> None:
    accounts = Accounts(log)
    say(accounts, question())
    say(accounts, question("b"), None)
    assert accounts.recall(question(), ASKED) is None
    again = Accounts(log)
    recalled = again.recall(question(), ASKED)
    assert recalled == GOOD
    assert again.recall(question("s1r2"), ASKED) is None
    assert again.recall(question(text="Why not?"), ASKED) is None
    assert again.recall(question(), ASKED.replace("1", "2")) is None
    assert again.recall(question("b"), ASKED) is None
    assert again.spent().calls == 2
    assert len(lines(log.parent)) == 2


def test_what_was_discarded_is_asked_anew(log: Path) -> None:
    accounts = Accounts(log)
    say(accounts, question())
    accounts.discard("s1r1", ASKED)
    again = Accounts(log)
    assert again.recall(question(), ASKED) is None
    say(again, question(), Reply("better"))
    third = Accounts(log)
    recalled = third.recall(question(), ASKED)
    assert recalled is not None
    assert recalled.text == "better"
    third.discard("s1r1", ASKED)
    assert third.recall(question(), ASKED) is None


def test_a_client_counts_and_discards_what_it_has_asked_itself(log: Path) -> None:
    class Wire:
        def __init__(self, asked: str, text: str) -> None:
            self.name, self.asked, self.text = asked, asked, text

        def send(self, question: Question) -> Reply:
            with accounts.attempt(question, self.asked, SETTINGS, "text") as attempt:
                attempt.reply = Reply(self.text, usage=Usage(1, 1))
            return attempt.reply

    accounts = Accounts(log)
    first, second = Client(Wire("first", '{"approve": true}'), accounts), Client(Wire("second", "prose"), accounts)
    first.ask("generator", "s1r1a0/2", "system", "user", Review)
    with pytest.raises(AnswerError):
        second.ask("generator", "s1r1a0/2", "system", "user", Review)
    assert (first.spent("s1r1a0/2").calls, second.spent("s1r1a0/2").calls) == (1, 2)
    asked = next(line for line in lines(log.parent) if line["asked"] == "first")
    assert book.Index(book.read(log)).usable("s1r1a0/2", asked["hash"]) is not None


def test_one_who_takes_over_a_place_throws_away_only_what_he_said_there(log: Path) -> None:
    accounts = Accounts(log)
    for asked in ("first", "second"):
        with accounts.attempt(question(), asked, SETTINGS, "text") as attempt:
            attempt.reply = GOOD
    accounts.discard("s1r1", "second")
    for process in (accounts, Accounts(log)):
        assert process.spent(place="s1r1").calls == 2
        assert process.spent(place="s1r1", asked="second").calls == 1
    assert Accounts(log).recall(question(), "first") == GOOD
    assert Accounts(log).recall(question(), "second") is None


def test_a_kill_in_the_middle_of_parallel_calls_pays_nothing_twice(
    tmp_path: Path, chat_endpoint: Callable[..., Any]
) -> None:
    log = tmp_path / "llm.jsonl"
    dice = random.Random(0)

    def content(request: dict[str, Any]) -> str:
        time.sleep(dice.uniform(0.02, 0.06))
        return '{"approve": true}'

    endpoint = chat_endpoint(content)
    command = [sys.executable, str(Path(__file__).parent / "killed_asker.py"), endpoint.url, str(log)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while len(endpoint.requests) < 18:
        assert time.monotonic() < deadline, "nothing was asked"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {line["place"] for line in lines(tmp_path)}
    before = len(endpoint.requests)
    assert 0 < len(kept) < 40

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    asked_again = [request["messages"][-1]["content"] for request in endpoint.requests[before:]]
    assert sorted(asked_again) == sorted(f"Review number {n}." for n in range(40) if f"c{n}/check" not in kept)
    reviews, calls, failed = map(int, done.stdout.split()[:3])
    assert (reviews, calls) == (40, 40 + failed)
    assert 0 < failed <= 8  # were under way at the kill
    assert 0 <= calls - len(endpoint.requests) <= failed  # or about to go out
    assert Counter(line["place"] for line in lines(tmp_path)) == {f"c{n}/check": 1 for n in range(40)}


# ---------------------------------------------------------------- replay


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run with a fault, an answer of no use and its better one, a dead endpoint and a person."""
    directory = tmp_path / "recorded"
    accounts = Accounts(directory / "llm.jsonl")
    say(accounts, question("a"), None, reached=True)
    say(accounts, question("a"), Reply("useless", usage=Usage(5, 5)))
    accounts.discard("a", ASKED)
    accounts = Accounts(directory / "llm.jsonl")
    say(accounts, question("a"), Reply("better", usage=Usage(6, 6)))
    say(accounts, question("b"), Reply("useless too"))
    accounts.discard("b", ASKED)
    say(accounts, question("c"), None)
    accounts.unanswered(question("c"), ASKED, EndpointError("nobody is there"))
    accounts.unanswered(question("d"), ASKED, AnswerError("it declines"))
    say(accounts, question("e"), Reply("by hand"), settings=None)
    return directory


def replayed(accounts: Accounts) -> list[str]:
    """What each place says, as the run met it in the end."""
    said = []
    for place in "abcde":
        try:
            reply = accounts.recall(question(place), ASKED)
            said.append(reply.text if reply else "nothing")
        except (EndpointError, AnswerError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return said


def test_a_replay_meets_everything_as_the_run_did_and_costs_the_same(recorded: Path, tmp_path: Path) -> None:
    expected = ["better", "useless too", "EndpointError: nobody is there", "AnswerError: it declines", "by hand"]
    accounts = Accounts(tmp_path / "again" / "llm.jsonl", Budget(run=Limits(calls=0)), replay=recorded)
    assert accounts.spent().calls == 0
    assert replayed(accounts) == expected
    original = Accounts(recorded / "llm.jsonl")
    assert accounts.spent() == original.spent()
    assert accounts.spent(place="a") == original.spent(place="a")
    assert accounts.spent(place="a").calls == 3

    copies = lines(tmp_path / "again")
    assert all(line.pop("replayed") for line in copies)
    assert copies == lines(recorded)
    assert replayed(Accounts(tmp_path / "third" / "llm.jsonl", replay=tmp_path / "again")) == expected


def test_a_replay_that_was_killed_goes_on_without_counting_twice(recorded: Path, tmp_path: Path) -> None:
    log = tmp_path / "again" / "llm.jsonl"
    first = Accounts(log, replay=recorded)
    first.recall(question("a"), ASKED)
    log.write_bytes(b"\n".join(log.read_bytes().split(b"\n")[:2]) + b'\n{"half')
    again = Accounts(log, replay=recorded)
    replayed(again)
    assert again.spent() == Accounts(recorded / "llm.jsonl").spent()
    assert len(lines(log.parent)) == len(lines(recorded))


def test_a_miss_names_role_and_place_and_shows_the_difference(recorded: Path, tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "again" / "llm.jsonl", replay=recorded)
    with pytest.raises(
        ReplayMiss, match=r"the critic's question at a is not in the record of .*differs as shown"
    ) as miss:
        accounts.recall(question("a", "Why\x1b not?"), ASKED.replace("1", "2"))
    details = miss.value.details
    assert details[:2] == ("--- recorded", "+++ asked")
    for line in ("-Why?", "+Why  not?", "-temperature: 1", "+temperature: 2"):
        assert line in details
    with pytest.raises(ReplayMiss, match="elsewhere differs") as elsewhere:
        accounts.recall(question("s9r9"), ASKED)
    assert "+place: s9r9" in elsewhere.value.details
    with pytest.raises(ReplayMiss, match="was asked nothing there") as unlike:
        accounts.recall(question("z", role="generator"), ASKED)
    assert unlike.value.details == ()


def test_in_a_replay_no_request_goes_out(recorded: Path) -> None:
    accounts = Accounts(replay=recorded)
    with pytest.raises(ReplayMiss, match="not in the record"):
        say(accounts, question("new"))
