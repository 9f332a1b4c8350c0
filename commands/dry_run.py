"""`marlsmith run --dry-run`: what a run would take, before it takes it. Nobody is asked and nothing is written."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from marlsmith.agents.asking.accounting.prices import known_price, require_prices
from marlsmith.agents.asking.question import Usage
from marlsmith.agents.settings import Limits, RoleSettings
from marlsmith.commands.forecast import FINALISTS, RACED_ON, Asked, Range, confirmations, forecast, rounds_of, total
from marlsmith.commands.machine import cores
from marlsmith.commands.references import verify_external
from marlsmith.commands.run import RunOptions, require_means, run_settings
from marlsmith.commands.terminal import require_jail
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.graph.telling.workload import Workload
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import NATIVE, UserError

TRIAL_ROLLOUTS = 8
"""Of the trial training from which the minutes are reckoned."""
START_SECONDS = 6.0
"""Until the first training: worker server, jail, samples."""
CHECK_SECONDS = 1.5
"""Of a candidate, before it is trained."""
TOKENS_PER_SECOND = 50.0
"""Of a model that answers; a call begins to answer after a second."""
SURENESS = (0.6, 2.0)
"""The minutes may be so many times what is reckoned: candidates differ from the native task in speed."""


@dataclass(frozen=True)
class Trial:
    """A short training of the native task, in a worker as a branch would have it."""

    steps_per_second: float
    """Environment steps of all seeds of one branch."""
    rest: float
    """Seconds of a branch beside its steps: beginning, scoring."""


@dataclass(frozen=True)
class Estimate:
    asked: tuple[Asked, ...]
    calls: Range
    tokens: Range
    money: Range | None
    """None where a price is not known."""
    unpriced: tuple[str, ...]
    environment_steps: int
    """At most."""
    main_steps: int
    """Of them, those of an adapted main run; 0 where all is trained from scratch."""
    search_steps: Range
    """Beside the main run."""
    minutes: Range
    over: tuple[str, ...]
    """In which ways it goes over the budget."""


def estimate_run(options: RunOptions, *, as_json: bool) -> None:
    # Which episodes decide is no matter here, and the machine's own seed would be written down.
    branch = replace(options.branch, evaluation_seed=options.branch.evaluation_seed or 0)
    settings = run_settings(replace(options, branch=branch))
    require_means(settings)
    verify_external(settings.task)
    require_prices(settings.roles)
    made = estimate(settings, _trial(settings))
    if as_json:
        print(json.dumps(_plain(made)))
    else:
        _print(made, settings)


def estimate(settings: RunSettings, trial: Trial) -> Estimate:
    asked = forecast(settings, make_task(settings.task).card)
    models = settings.roles.models
    unpriced = tuple(dict.fromkeys(one.who for one in asked if one.who in models and not known_price(models[one.who])))
    money = None if unpriced else total(asked, lambda one: _money(one, settings.roles))
    calls, tokens = total(asked, _calls), total(asked, _tokens)
    return Estimate(
        asked=asked,
        calls=calls,
        tokens=tokens,
        money=money,
        unpriced=unpriced,
        environment_steps=Workload(settings).whole,
        main_steps=Workload(settings).main,
        search_steps=search_steps(settings),
        minutes=_minutes(settings, asked, trial),
        over=tuple(_over(settings.roles, asked)),
    )


def search_steps(settings: RunSettings) -> Range:
    """Environment steps of all seeds, without those of the main run. From scratch they are what is trained at most."""
    work, method = Workload(settings), settings.method
    most = work.whole - work.main
    if not method.adapts or not method.gate:
        return Range(most, most, most)
    last, rounds, tried = method.all_stages, rounds_of(method), confirmations(method)
    first, whole = work.first_heat(last) * method.candidates, work.round(last)
    each = Range(first, first + RACED_ON * (whole - first), whole)
    before = sum(work.stage(stage) for stage in range(1, method.opening + 1))
    low, likely = (
        before + of_rounds * of_each + of_tried * work.confirmation(method.opening + 1, FINALISTS)
        for of_rounds, of_each, of_tried in (
            (rounds.low, each.low, tried.low),
            (rounds.likely, each.likely, tried.likely),
        )
    )
    return Range(low, likely + work.plain, most)


def _calls(asked: Asked) -> Range:
    return asked.calls


def _tokens(asked: Asked) -> Range:
    return asked.tokens


# ---------------------------------------------------------------- money


def _money(asked: Asked, roles: RoleSettings) -> Range:
    model = roles.models.get(asked.who)
    tariff = known_price(model) if model else None
    if tariff is None:
        return Range()
    prompts, answers = _three(asked.prompt), _three(asked.completion)
    return Range(*(tariff.money(Usage(round(p), round(c))) for p, c in zip(prompts, answers, strict=True)))


def _over(roles: RoleSettings, asked: tuple[Asked, ...]) -> Iterator[str]:
    """Where the likely need, or the highest, is above a limit."""
    budgets = [("the run", roles.budget.run, asked)]
    for role in ("generator", "critic", "validator"):
        budgets.append((f"the {role}", getattr(roles.budget, role), tuple(one for one in asked if one.role == role)))
    for whose, limits, part in budgets:
        needs = {
            "calls": total(part, _calls),
            "tokens": total(part, _tokens),
            "money": total(part, lambda one: _money(one, roles)),
        }
        for name in Limits.model_fields:
            limit, need = getattr(limits, name), needs[name]
            if limit is not None and need.high > limit:
                word = "is likely to" if need.likely > limit else "could"
                number = _rough if name == "money" else _whole
                yield (
                    f"{whose} {word} go over its budget of {number(limit)} {name} "
                    f"(likely {number(need.likely)}, at most {number(need.high)}), and would pause there"
                )


# ---------------------------------------------------------------- time


def _trial(settings: RunSettings) -> Trial:
    method = settings.method
    rollout = settings.train.rollout * settings.train.environments
    steps = min(settings.train.steps, TRIAL_ROLLOUTS * rollout)
    executor = LocalExecutor(1, branch_seconds=settings.branch_seconds, unsafe_jail=settings.unsafe_jail)
    try:
        require_jail(executor, settings.train.device)
        request = BranchRequest(
            branch="trial",
            candidate="native",
            task=settings.task,
            seeds=method.groups(range(method.search_seeds))[0],
            train=settings.train.model_copy(update={"steps": steps}),
            evaluation=settings.evaluation,
        )
        with tempfile.TemporaryDirectory() as scratch:
            outcome = executor.train(request, NATIVE, Path(scratch))
    finally:
        executor.close()
    if outcome.error is not None:
        raise UserError(f"the trial training failed ({outcome.error.stage}): {outcome.error.told}")
    trained = outcome.steps * len(outcome.seeds) / outcome.steps_per_second
    return Trial(outcome.steps_per_second, max(0.0, outcome.seconds - trained))


def _minutes(settings: RunSettings, asked: tuple[Asked, ...], trial: Trial) -> Range:
    seconds = _adapting_seconds(settings, trial) if settings.method.adapts else _scratch_seconds(settings, trial)
    machine = Range(SURENESS[0] * seconds.low, seconds.likely, SURENESS[1] * seconds.high)
    return (machine + total(asked, lambda one: _answering(one, settings))) * (1 / 60)


def _scratch_seconds(settings: RunSettings, trial: Trial) -> Range:
    method, at_once = settings.method, _at_once(settings)

    def training(branches: int, seeds: int) -> float:
        """Of so many branches beside one another."""
        one = settings.train.whole_steps * seeds / trial.steps_per_second + trial.rest
        return math.ceil(branches / at_once) * one

    search = sum(training(method.candidates + (round == 0), method.search_seeds) for round in range(method.rounds))
    checks = method.rounds * math.ceil(method.candidates / at_once) * CHECK_SECONDS
    seconds = START_SECONDS + method.stages * (search + checks + training(2, method.confirm_seeds))
    return Range(seconds, seconds, seconds)


def _adapting_seconds(settings: RunSettings, trial: Trial) -> Range:
    """Heats fill the workers but for the odd one."""
    work, at_once = Workload(settings), _at_once(settings)
    heat = work.first_heat(settings.method.all_stages)
    one = heat / trial.steps_per_second + trial.rest
    checks = rounds_of(settings.method) * (math.ceil(settings.method.candidates / at_once) * CHECK_SECONDS)
    heats = (search_steps(settings) + Range(work.main, work.main, work.main)) * (1 / heat)
    start = Range(START_SECONDS, START_SECONDS, START_SECONDS)
    return start + heats * (one / at_once) + checks


def _at_once(settings: RunSettings) -> int:
    return max(1, min(settings.workers, cores()))


def _answering(asked: Asked, settings: RunSettings) -> Range:
    """A person's time is not reckoned. Generator and validator are asked for the candidates of a round at once."""
    model = settings.roles.models.get(asked.who)
    if model is None:
        return Range()
    at_once = 1 if asked.role == "critic" else min(model.parallel, settings.method.candidates)
    seconds = asked.calls + asked.completion * (1 / TOKENS_PER_SECOND)
    seconds = seconds * (1 / at_once)
    if model.requests_per_minute:
        waiting = asked.calls * (60 / model.requests_per_minute)
        seconds = Range(*(max(pair) for pair in zip(_three(seconds), _three(waiting), strict=True)))
    return seconds


# ---------------------------------------------------------------- telling


def _three(range: Range) -> tuple[float, float, float]:
    return range.low, range.likely, range.high


def _whole(value: float) -> str:
    return f"{round(value):,}"


def _rough(value: float) -> str:
    """Two digits: nobody knows more."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _plain(made: Estimate) -> dict[str, object]:
    def whole(range: Range) -> dict[str, int]:
        return {name: round(value) for name, value in asdict(range).items()}

    return {
        "calls": whole(made.calls),
        "tokens": whole(made.tokens),
        "money": asdict(made.money) if made.money else None,
        "unpriced": list(made.unpriced),
        "environment_steps": made.environment_steps,
        "main_steps": made.main_steps,
        "search_steps": whole(made.search_steps),
        "minutes": {name: round(value, 2) for name, value in asdict(made.minutes).items()},
        "over_budget": list(made.over),
        "roles": [
            {"role": one.role, "who": one.who, "calls": round(one.calls.likely), "tokens": round(one.tokens.likely)}
            for one in made.asked
        ],
    }


def _beside(settings: RunSettings) -> str:
    """What is trained beside the main run."""
    method, parts = settings.method, []
    if method.prelude is not None:
        parts.append("the search from scratch")
    if method.gate and method.proposing_stages:
        parts.append("branches, confirmations")
    if Workload(settings).plain:
        parts.append("the same training without a signal")
    return ", ".join(parts) or "nothing beside the main run"


def _print(made: Estimate, settings: RunSettings) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("", "likely", "from", "to", ""):
        table.add_column(Text(title, "dim"), justify="right" if title else "left")

    def row(name: str, range: Range, number: Callable[[float], str], note: str = "") -> None:
        table.add_row(Text(name), *(Text(number(v)) for v in (range.likely, range.low, range.high)), Text(note, "dim"))

    if made.asked:
        who = "; ".join(f"{one.role} {one.who}: {_whole(one.calls.likely)}" for one in made.asked)
        row("calls", made.calls, _whole, who)
        row("tokens", made.tokens, _whole, "prompts as they would be sent, four bytes a token; answers are assumed")
        if made.money is None:
            unknown = Text(f"no price known for {', '.join(made.unpriced)}")
            table.add_row(Text("money"), Text("?"), Text("?"), Text("?"), unknown)
        else:
            row("money", made.money, _rough)
    else:
        table.add_row(Text("calls"), Text("0"), Text(), Text(), Text("all roles are played offline", "dim"))
    if made.main_steps:
        members = f"{settings.method.search_seeds} members"
        table.add_row(Text("main run, steps"), Text(_whole(made.main_steps)), Text(), Text(), Text(members, "dim"))
        row("search, steps", made.search_steps, _whole, _beside(settings))
    else:
        most = Text("at most: a double, or what is refused to the end, is not trained", "dim")
        table.add_row(Text("environment steps"), Text(_whole(made.environment_steps)), Text(), Text(), most)
    note = f"from a short training on this machine; {settings.workers} branches at once"
    row("minutes", made.minutes, _rough, note)
    console = OutputConsole(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for sentence in made.over:
        console.print(Text(sentence, "bold yellow"))
