"""Honest signals in the styles of many models and people: all of them are accepted, and train."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.signals.files import parse_config, read_signal
from marlsmith.marl.signals.source import NODE_LIMIT, SOURCE_LIMIT
from marlsmith.marl.signals.static import checked_tree
from marlsmith.marl.tasks import TASKS, make_task
from marlsmith.marl.workers.contract import Limits
from marlsmith.marl.workers.pool import Pool

CORPUS = Path(__file__).parents[1] / "corpus" / "honest"
FILES = sorted(CORPUS.iterdir())
HEAD = re.compile(r"# task: (\S+)  scope: (own|team)\n")
CONFIGS = {"spread_shaping.json": "mpe/simple_spread", "lbf_shaping.json": "lbf/8x8-2p-2f-coop"}
"""JSON has no comments to name its task."""
TRAINED = (
    "lero_spread_greedy.py",
    "lero_reference_native.py",
    "spread_both_parts.py",
    "spread_history_trend.py",
    "spread_team_attention.py",
    "listener_shaping.py",
    "lbf_potential.py",
)


def of(file: Path) -> tuple[str, str]:
    """The task and the scope to check with."""
    if file.name in CONFIGS:
        return CONFIGS[file.name], "own"
    found = HEAD.match(file.read_text())
    assert found is not None, f"{file.name} does not begin with '# task: TASK  scope: SCOPE'"
    return found[1], found[2]


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


def test_the_corpus_covers_every_form_and_family() -> None:
    assert len(FILES) >= 90
    tasks = {of(file)[0].partition("?")[0] for file in FILES}
    assert tasks >= {name for name in TASKS if name.startswith("mpe/")} | {"lbf/8x8-2p-2f-coop"}
    text = "\n".join(file.read_text() for file in FILES)
    for form in (
        "def agent_reward(self, agent, world)", "def agent_reward(agent, world)", "def global_reward(self, world)",
        "def global_reward(world)", "def agent_reward(state)", "def global_reward(state)", "def stateEnhance(obs)",
        "def enhance_observation(obs, history)", "def enhance_observation(obs)", 'SCOPE = "team"', '"terms"',
    ):  # fmt: skip
        assert form in text, form


def test_limits_are_far_beyond_honest_code() -> None:
    for file in FILES:
        if file.suffix == ".py":
            nodes = sum(1 for _ in ast.walk(ast.parse(file.read_text())))
            assert 10 * nodes <= NODE_LIMIT, file.name
            assert 10 * len(file.read_bytes()) <= SOURCE_LIMIT, file.name


def test_the_largest_config_is_within_the_limits() -> None:
    card = make_task("mpe/simple_spread?agents=5").card
    assignments = ("nearest", "optimal", "own", "together")
    terms = [
        {"kind": "approach", "assignment": assignment, "credit": credit, "form": form, "potential": True, "fade": {}}
        for assignment in assignments
        for credit in ("agent", "team")
        for form in ("linear", "exponential")
    ]
    features = [
        {"kind": kind, "assignment": assignment}
        for kind in ("target_offset", "target_distance", "target_index", "threshold_margin")
        for assignment in assignments
    ]
    tree = checked_tree(parse_config({"terms": terms, "features": features}), card)
    assert sum(1 for _ in ast.walk(tree)) > 2_000  # it is a large one


@pytest.mark.parametrize("task", sorted({of(file)[0] for file in FILES}))
def test_honest_signals_are_accepted(executor: LocalExecutor, task: str) -> None:
    refused = {}
    for file in FILES:
        if of(file)[0] == task:
            signal = read_signal(file.name, file.read_text())
            if failures := executor.check(signal, task, of(file)[1]):
                refused[file.name] = [f"{failure.stage}: {failure.message}" for failure in failures]
    assert refused == {}


@pytest.mark.parametrize("name", TRAINED)
def test_honest_signals_train(executor: LocalExecutor, name: str, tmp_path: Path) -> None:
    task, _ = of(CORPUS / name)
    request = BranchRequest(
        branch="b", candidate="c", task=task, seeds=(0,), train=TrainConfig(steps=1000, environments=4),
        evaluation=EvaluationConfig(episodes=3),
    )  # fmt: skip
    evaluation = executor.train(request, read_signal(name, (CORPUS / name).read_text()), tmp_path)
    assert evaluation.error is None
    assert len(evaluation.scores) == 1
    assert evaluation.terms or "def agent_reward" not in (CORPUS / name).read_text()


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_is_allowed_needs_a_file_or_an_import_behind_the_jail() -> None:
    """Every allowed function and attribute is called once in the locked-down worker: the same answers as outside."""
    path = Path(__file__).with_name("allowed_calls.py")
    limits = Limits(wall_seconds=60, stall_seconds=60, memory_bytes=1 << 30, cpu_seconds=60)
    with Pool(1, {"sweep": f"{path}:sweep"}) as pool:
        inside = pool.run("sweep", {}, limits).value
    import allowed_calls

    outside, _ = allowed_calls.sweep({}, lambda _: None)
    here, there = outside["answers"], inside["answers"]
    assert {name: (here[name], there.get(name)) for name in here if here[name] != there.get(name)} == {}
    # Each is called with something that it takes: a function by its path, an attribute on one kind of owner at least.
    answered = {name.rpartition(".")[2] for name, answer in here.items() if not answer.startswith("no: ")}
    of_named_results = {"values", "indices"}  # as in x.max(-1).values
    assert {name.rpartition(".")[2] for name in here} - answered == of_named_results
