"""Budgets hold, also when many calls are under way; and a price is known, or it is not."""

from __future__ import annotations

import builtins
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from marlsmith.agents.asking.accounting.ledger import Cost, Ledger, Spent
from marlsmith.agents.asking.accounting.prices import known_price, require_prices
from marlsmith.agents.asking.question import Usage
from marlsmith.agents.settings import Budget, Limits, ModelSettings, Price, RoleSettings
from marlsmith.schemas import BudgetError, EndpointError, Interrupted, UserError


def tokens(count: int) -> Spent:
    return Spent(calls=1, usage=Usage(completion_tokens=count))


def limited(role: str = "run", **limits: Any) -> Ledger:
    return Ledger(Budget(**{role: Limits(**limits)}))


def call(ledger: Ledger, spent: Spent, likely: int = 10, most: int = 100, role: Any = "critic") -> None:
    with ledger.admitted(role, "here", "m", Cost(likely, likely / 100), Cost(most, most / 100), 5) as bill:
        bill.spent = spent


@pytest.mark.parametrize(
    ("limits", "option"), [({"calls": 2}, "calls"), ({"tokens": 55}, "tokens"), ({"money": 0.55}, "money")]
)
def test_the_call_that_would_exceed_a_limit_is_refused_with_the_way_on(limits: dict[str, Any], option: str) -> None:
    ledger = limited(**limits)
    paid = Spent(1, 0, Usage(completion_tokens=25), 0.25)
    call(ledger, paid)
    call(ledger, paid)
    with pytest.raises(BudgetError, match=rf"the budget of the run.*`--budget {option}=N`") as caught:
        call(ledger, paid)
    assert "\n" not in str(caught.value)
    assert ledger.spent() == paid + paid


def test_a_role_has_limits_of_its_own() -> None:
    ledger = limited("critic", calls=1)
    call(ledger, tokens(5))
    with pytest.raises(BudgetError, match=r"the budget of the critic, calls=1,.*critic\.calls=N"):
        call(ledger, tokens(5))
    call(ledger, tokens(5), role="generator")
    assert (ledger.spent().calls, ledger.spent("critic").calls, ledger.spent("generator", "there").calls) == (2, 1, 0)


def test_a_call_whose_worst_does_not_fit_beside_others_waits_until_it_is_alone() -> None:
    ledger = limited(tokens=150)
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with ledger.admitted("critic", "a", "m", Cost(10, 0), Cost(100, 0), 5) as bill:
            inside.set()
            leave.wait(5)
            order.append("first is back")
            bill.spent = tokens(120)

    def second() -> None:
        with ledger.admitted("critic", "b", "m", Cost(10, 0), Cost(100, 0), 5) as bill:
            order.append("second goes")
            bill.spent = tokens(20)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    time.sleep(0.05)
    assert order == []
    leave.set()
    for thread in threads:
        thread.join(5)
    assert order == ["first is back", "second goes"]
    assert ledger.spent().usage.tokens == 140


def test_waiting_for_a_call_that_never_comes_back_has_an_end() -> None:
    ledger = limited(tokens=150)
    with (
        ledger.admitted("critic", "a", "m", Cost(10, 0), Cost(100, 0), 5),
        pytest.raises(EndpointError, match="have not come back"),
        ledger.admitted("critic", "b", "m", Cost(10, 0), Cost(100, 0), 0.02),
    ):
        raise AssertionError("it was let out")


def test_a_short_call_has_patience_for_a_long_one_before_it() -> None:
    """One that may take long is under way, another one waits for it: neither is dead."""
    ledger = limited(tokens=150)

    def take(seconds: float, timeout: float) -> None:
        with ledger.admitted("critic", "a", "m", Cost(10, 0), Cost(100, 0), timeout) as bill:
            time.sleep(seconds)
            bill.spent = tokens(1)

    with ThreadPoolExecutor(3) as pool:
        ends = [pool.submit(take, *long) for long in ((0.6, 5), (0.3, 5))]
        time.sleep(0.1)
        ends.append(pool.submit(take, 0, 0.02))
        for end in ends:
            end.result(5)
    assert ledger.spent().calls == 3


def test_who_came_first_goes_first() -> None:
    """Also where a later one would fit beside the call under way: else a large call might wait for ever."""
    ledger = limited(tokens=150)
    order: list[str] = []
    leave = threading.Event()

    def take(name: str, most: int) -> None:
        with ledger.admitted("critic", name, "m", Cost(10, 0), Cost(most, 0), 5):
            order.append(name)
            leave.wait(5)

    with ThreadPoolExecutor(3) as pool:
        for name, most in (("under way", 100), ("large", 140), ("small", 10)):
            pool.submit(take, name, most)
            time.sleep(0.1)
        assert order == ["under way"]
        leave.set()
    assert order == ["under way", "large", "small"]


def test_the_calls_under_way_of_one_role_are_none_of_another() -> None:
    ledger = limited("critic", calls=1, tokens=150)
    with (
        ledger.admitted("generator", "a", "m", Cost(10, 0), Cost(100, 0), 5),
        ledger.admitted("generator", "b", "m", Cost(10, 0), Cost(100, 0), 5),
        ledger.admitted("critic", "c", "m", Cost(10, 0), Cost(100, 0), 0.02),
        pytest.raises(BudgetError, match="calls=1"),
        ledger.admitted("critic", "d", "m", Cost(10, 0), Cost(10, 0), 0.02),
    ):
        raise AssertionError("it was let out")


def test_a_stop_ends_the_waiting() -> None:
    stop = threading.Event()
    ledger = Ledger(Budget(run=Limits(tokens=150)), stop)
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with (
        ledger.admitted("critic", "a", "m", Cost(10, 0), Cost(100, 0), 60),
        pytest.raises(Interrupted),
        ledger.admitted("critic", "b", "m", Cost(10, 0), Cost(100, 0), 60),
    ):
        raise AssertionError("it was let out")
    assert time.monotonic() - started < 2


def test_two_at_one_place_have_accounts_of_their_own() -> None:
    ledger = Ledger()
    for asked, count in (("first", 3), ("second", 5), ("second", 7)):
        ledger.charge("generator", "here", asked, tokens(count))
    ledger.charge("generator", "there", "second", tokens(100))
    assert ledger.spent(place="here").usage.tokens == 15
    assert ledger.spent(place="here", asked="second").usage.tokens == 12
    assert ledger.spent("generator", "here", "first") == tokens(3)


def test_calls_go_side_by_side_where_no_limit_speaks_against_it() -> None:
    ledger = limited(calls=8)
    meeting = threading.Barrier(8, timeout=5)

    def meet(number: int) -> None:
        with ledger.admitted("generator", str(number), "m", Cost(1, 0), Cost(10**9, 0), 5) as bill:
            meeting.wait()
            bill.spent = tokens(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(meet, range(8)))
    assert ledger.spent().calls == 8


@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_calls_exceed_no_budget_by_more_than_one_of_them(seed: int) -> None:
    """Their true cost is only known afterwards, and up to the bound that was given for it."""
    limit, largest = 3000, 100
    ledger, dice = limited(tokens=limit, money=1.0), random.Random(seed)
    costs = [dice.randint(0, largest) for _ in range(100)]
    charged: list[int] = []
    under_way = [0]
    most_at_once = 0
    lock = threading.Lock()

    def one(cost: int) -> bool:
        nonlocal most_at_once
        try:
            with ledger.admitted("generator", str(cost), "m", Cost(50, 0.005), Cost(largest, 0.01), 5) as bill:
                with lock:
                    under_way[0] += 1
                    most_at_once = max(most_at_once, under_way[0])
                time.sleep(cost / 50_000)
                with lock:
                    under_way[0] -= 1
                    charged.append(cost)
                bill.spent = Spent(1, 0, Usage(prompt_tokens=cost), cost / 10_000)
                if cost % 7 == 0:
                    raise ConnectionResetError
        except BudgetError:
            return False
        except ConnectionResetError:
            pass
        return True

    with ThreadPoolExecutor(100) as pool:
        made = sum(pool.map(one, costs))
    spent = ledger.spent()
    assert (spent.calls, spent.usage.tokens) == (made, sum(charged))
    assert spent.money == pytest.approx(sum(charged) / 10_000)
    assert limit - 150 < spent.usage.tokens <= limit + largest
    assert made < 100
    assert most_at_once > 4


def test_sums_do_not_depend_on_the_order() -> None:
    amounts = [Spent(1, 0, Usage(1), money) for money in (0.1, 0.2, 0.3, 1e-9, 0.7)]
    forwards, backwards = Spent(), Spent()
    for amount in amounts:
        forwards += amount
    for amount in reversed(amounts):
        backwards += amount
    assert forwards == backwards
    assert forwards.money == 1.300000001


# ---------------------------------------------------------------- prices

MODEL = ModelSettings(model="local", base_url="http://127.0.0.1:1/v1")
PRICED = MODEL.model_copy(update={"price": Price(input=2, output=10, cached=0.5)})
USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, cached_tokens=400_000)


def money(settings: ModelSettings) -> float:
    tariff = known_price(settings)
    assert tariff is not None
    return tariff.money(USAGE)


def test_cached_tokens_have_a_price_of_their_own() -> None:
    assert money(PRICED) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    uncached = MODEL.model_copy(update={"price": Price(input=2, output=10)})
    assert money(uncached) == pytest.approx(1.0 * 2 + 0.1 * 10)


def test_the_table_knows_hosted_models_and_no_local_one() -> None:
    pytest.importorskip("genai_prices")
    hosted = ModelSettings(model="gpt-4o-mini")
    assert money(hosted) == pytest.approx(0.6 * 0.15 + 0.4 * 0.075 + 0.1 * 0.6)
    assert known_price(hosted.model_copy(update={"model": "no-such-model"})) is None
    assert known_price(MODEL) is None


def test_without_the_extra_tokens_alone_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "genai_prices":
            raise ImportError(name)
        return plain_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert known_price(ModelSettings(model="gpt-4o-mini")) is None
    assert known_price(PRICED) is not None


@pytest.mark.parametrize("budget", [Budget(run=Limits(money=1)), Budget(critic=Limits(money=1))])
def test_a_budget_of_money_needs_prices_before_the_run_starts(budget: Budget) -> None:
    roles = RoleSettings(critic="mine", models={"mine": MODEL}, budget=budget)
    with pytest.raises(UserError, match=r"price of local at http://127.*none is known: write price = \{ input"):
        require_prices(roles)
    require_prices(roles.model_copy(update={"models": {"mine": PRICED}}))
    require_prices(roles.model_copy(update={"budget": Budget(run=Limits(tokens=5))}))
    require_prices(roles.model_copy(update={"budget": Budget(generator=Limits(money=5))}))
