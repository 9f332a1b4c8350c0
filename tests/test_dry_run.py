"""`run --dry-run`: what a run would take, with no call made and nothing written; and limits changed later."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from marlsmith.agents.settings import Budget, Limits, ModelSettings, Price, RoleSettings
from marlsmith.cli import app
from marlsmith.commands.dry_run import Trial, estimate
from marlsmith.commands.dry_run import _print as show_estimate
from marlsmith.commands.forecast import Range, questions
from marlsmith.graph.methods import PRESETS, Method, RunSettings, method_from
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.workload import Workload
from marlsmith.marl.config import TrainConfig

SMALL = ["--steps", "400", "--episodes", "4", "--seeds", "2", "--confirm-seeds", "2", "--rounds", "2"]
SMALL += ["--candidates", "1"]
TRIAL = Trial(steps_per_second=50_000, rest=1.0)
GOOD = "def agent_reward(state):\n    return -state.agent_pos.norm(dim=-1) * {}\n"


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def settings(budget: Budget | None = None, **model: Any) -> RunSettings:
    """Every role by one model, as in LERO: 4 rounds of 3 candidates."""
    models = {"m": ModelSettings(model="m", base_url="http://localhost:1/v1", **model)}
    roles = RoleSettings(generators=("m",), critic="m", validator="m", models=models, budget=budget or Budget())
    return RunSettings(task="mpe/simple_spread", roles=roles)


def test_nothing_is_written_and_nobody_is_asked(
    here: Path, chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = chat_endpoint("never")
    said = marlsmith("run", *SMALL, "--generator", endpoint.spec(), "--generator", "offline", "--dry-run", "--json")
    assert said.exit_code == 0, said.output
    made = json.loads(said.stdout)
    assert endpoint.requests == []
    assert list(here.iterdir()) == []
    assert made["environment_steps"] == (3 * 2 + 2 * 2) * 400  # what the last event of such a run says
    assert made["money"] is None
    assert made["unpriced"] == ["good"]
    for name in ("calls", "tokens", "minutes"):
        assert made[name]["low"] <= made[name]["likely"] <= made[name]["high"]
    assert made["minutes"]["likely"] > 0
    monkeypatch.setattr("marlsmith.commands.dry_run._trial", lambda settings: TRIAL)
    shown = marlsmith("run", *SMALL, "--generator", endpoint.spec(), "--dry-run")
    assert "no price known for good" in shown.stdout


def test_the_steps_of_every_stage_count() -> None:
    method = Method(stages=2, rounds=3, candidates=2, search_seeds=4, confirm_seeds=5)
    made = settings().model_copy(update={"method": method})
    assert Workload(made).whole == 2 * ((1 + 3 * 2) * 4 + 2 * 5) * 30_000


def test_questions_follow_the_method() -> None:
    method = Method()
    assert questions("generator", method).low == 12
    assert questions("critic", method).low == 3  # nothing can be cited before the first training
    assert questions("critic", Method(diagnose=False)) == Range()
    assert questions("validator", method).low == 12
    assert questions("validator", method).high == 2 * (12 * 2 + 1)


def main_run(name: str = "llm-also", **overrides: object) -> RunSettings:
    method = method_from(name, overrides)
    made = settings().model_copy(update={"method": method, "method_name": name})
    return made.model_copy(update={"train": TrainConfig(steps=method.stages * method.branch_steps)})


def test_of_an_adapted_run_main_and_search_steps_are_told_apart() -> None:
    made = estimate(main_run(), TRIAL)
    assert made.main_steps == 8 * 120_000
    round_of_three = 3 * 8 * 20_000
    longer, last, plain = 4 * 8 * 40_000, 4 * 8 * 20_000, 8 * 120_000
    assert made.search_steps.high == 6 * 2 * round_of_three + 5 * 2 * longer + 2 * last + plain
    assert made.search_steps.low == round_of_three / 2, "one heat of one round, after which nothing is left to gain"
    assert made.search_steps.low < made.search_steps.likely < made.search_steps.high
    assert made.environment_steps == made.main_steps + made.search_steps.high
    assert made.minutes.low < made.minutes.likely < made.minutes.high


@pytest.mark.parametrize(("name", "plains"), [("also-sparse", 0), ("also-one-shot", 1), ("also-always", 1)])
def test_an_arm_without_a_gate_costs_the_main_run_and_what_it_is_compared_with(name: str, plains: int) -> None:
    made = estimate(main_run(name), TRIAL)
    assert made.main_steps == 8 * 120_000
    assert made.search_steps == Range(1, 1, 1) * (plains * made.main_steps)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("llm-also", "branches, confirmations, the same training without a signal"),
        ("lero+also", "the search from scratch, branches, confirmations, the same training without a signal"),
        ("also-always", "the same training without a signal"),
        ("also-sparse", "nothing beside the main run"),
    ],
)
def test_what_is_trained_beside_a_main_run_is_named(name: str, note: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = main_run(name)
    show_estimate(estimate(made, TRIAL), made)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("search, steps")]
    assert re.fullmatch(rf"search, steps +[\d, ]+ {note} *", row)


def test_a_prelude_is_counted() -> None:
    alone, both = estimate(main_run(), TRIAL), estimate(main_run("lero+also"), TRIAL)
    searched = ((1 + 4 * 3) * 4 + 2 * 5) * 30_000
    assert both.search_steps.high - alone.search_steps.high == searched
    assert both.search_steps.low - alone.search_steps.low == searched
    assert both.calls.low - alone.calls.low == 12 + 12 + 3


def test_the_critic_of_a_main_run_is_asked_in_every_round_that_is_played() -> None:
    method = PRESETS["llm-also"]
    assert questions("critic", method).high == 2 * 12
    assert questions("critic", PRESETS["also-metrics"]) == Range()
    assert questions("generator", method).low == 3
    assert questions("generator", PRESETS["also-sparse"]) == Range()
    assert questions("generator", PRESETS["also-one-shot"]).low == 1
    assert questions("validator", PRESETS["also-always"]).low == 6, "nothing is reviewed before it is taken"


def test_money_is_tokens_times_price() -> None:
    free = estimate(settings(price=Price(input=0, output=0)), TRIAL)
    assert free.money == Range()
    priced = estimate(settings(price=Price(input=1, output=1)), TRIAL)
    assert priced.money is not None
    assert priced.money.likely == pytest.approx(priced.tokens.likely * 1e-6, rel=1e-3)
    assert estimate(settings(), TRIAL).money is None


def test_the_prompts_are_really_rendered(tmp_path: Path) -> None:
    """A template that says more costs more; and the task's own card is part of every prompt."""
    plain = estimate(settings(), TRIAL).tokens.likely
    (tmp_path / "critic").mkdir()
    (tmp_path / "critic" / "system.md").write_text("word " * 8000)
    wordy = settings()
    wordy = wordy.model_copy(update={"roles": wordy.roles.model_copy(update={"prompts": str(tmp_path)})})
    assert estimate(wordy, TRIAL).tokens.likely > plain + 3 * 9000
    more_agents = settings().model_copy(update={"task": "mpe/simple_spread?agents=10"})
    assert estimate(more_agents, TRIAL).tokens.likely != plain


def test_what_bounds_answers_bounds_the_estimate() -> None:
    short, long = estimate(settings(max_tokens=100), TRIAL), estimate(settings(), TRIAL)
    assert short.tokens.high < long.tokens.high
    assert estimate(settings(tools=False), TRIAL).calls.high < long.calls.high
    slow = estimate(settings(requests_per_minute=1), TRIAL)
    assert slow.minutes.likely > slow.calls.likely / 3


def test_going_over_the_budget_is_said() -> None:
    budget = Budget(run=Limits(tokens=1000), critic=Limits(calls=5), validator=Limits(calls=1000))
    over = estimate(settings(budget), TRIAL).over
    assert any(re.match("the run is likely to go over its budget of 1,000 tokens", said) for said in over)
    assert any(re.match("the critic could go over its budget of 5 calls", said) for said in over)
    assert not any("validator" in said for said in over)


def test_several_generators_share_the_proposals() -> None:
    alone = estimate(settings(), TRIAL)
    made = settings()
    shared = estimate(
        made.model_copy(update={"roles": made.roles.model_copy(update={"generators": ("m", "offline", "manual")})}),
        TRIAL,
    )
    assert shared.tokens.likely < alone.tokens.likely
    assert shared.tokens.high == pytest.approx(alone.tokens.high)
    assert [one.who for one in shared.asked if one.role == "generator"] == ["m", "offline", "manual"]
    twice = made.roles.model_copy(
        update={"generators": ("m", "n"), "models": {**made.roles.models, "n": ModelSettings(model="n")}}
    )
    both = estimate(made.model_copy(update={"roles": twice}), TRIAL)
    assert (both.calls.low, both.calls.high) == (alone.calls.low, alone.calls.high)
    assert both.calls.likely == pytest.approx(alone.calls.likely)


def test_a_real_run_stays_within_the_estimate(here: Path, chat_endpoint: Callable[..., Any]) -> None:
    """And its limits, changed on the way, are in run.toml."""
    asked: list[str] = []

    def content(request: dict[str, Any]) -> str:
        asked.append("")
        if "You design learning signals" in request["messages"][0]["content"]:
            return json.dumps({"proposals": [{"rationale": "idea", "code": GOOD.format(len(asked))}]})
        return json.dumps({"summary": "nothing", "findings": []})

    endpoint = chat_endpoint(content)
    arguments = ["run", *SMALL, "--generator", endpoint.spec(), "--critic", endpoint.spec(), "--json"]
    paused = marlsmith(*arguments, "--out", "run", "--budget", "generator.calls=1", "--budget", "tokens=10000000")
    assert paused.exit_code == 75, paused.output
    assert "--budget generator.calls=" in paused.stderr
    result = marlsmith("resume", "run", "--budget", "generator.calls=50", "--budget", "money=none", "--json")
    assert result.exit_code == 0, result.output
    last = json.loads(result.stdout.splitlines()[-1])
    settings = RunDirectory.open(here / "run").settings
    before = settings.model_copy(update={"roles": settings.roles.model_copy(update={"prompts": None})})
    made = estimate(before, TRIAL)
    assert last["environment_steps"] == made.environment_steps
    assert made.calls.low <= len(endpoint.requests) <= made.calls.high
    budget = tomllib.loads((here / "run" / "run.toml").read_text())["settings"]["roles"]["budget"]
    assert budget["generator"] == {"calls": 50}
    assert budget["run"] == {"tokens": 10_000_000}


def test_what_an_ablation_evolves_is_not_contradicted(here: Path) -> None:
    result = marlsmith("run", "--method", "lo", "--evolve", "reward")
    assert result.exit_code == 2
    assert "--method lo evolves the observation and --evolve says reward" in result.stderr


@pytest.mark.parametrize("arguments", [["--budget", "money=1"], ["--budget", "critic.money=1", "--dry-run"]])
def test_money_without_a_price_is_refused_before_anything_is_written(here: Path, arguments: list[str]) -> None:
    result = marlsmith("run", "--critic", "mine@http://127.0.0.1:9/v1", *arguments)
    assert result.exit_code == 2
    assert "price = { input = X, output = Y }" in result.stderr
    assert list(here.iterdir()) == []
