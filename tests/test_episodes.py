"""The episodes that decide: the same on one machine, and no public number."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from marlsmith.commands.episodes import evaluation_seed
from marlsmith.commands.options import BranchOptions
from marlsmith.marl.config import EvaluationConfig


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_it_is_drawn_once_and_kept_for_its_owner_alone(state: Path) -> None:
    first = evaluation_seed()
    assert first == evaluation_seed() != EvaluationConfig().seed
    file = state / "marlsmith" / "evaluation-seed"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    file.unlink()
    assert evaluation_seed() != first


def test_a_run_is_scored_on_episodes_of_this_machine_or_on_those_asked_for() -> None:
    options = BranchOptions("mpe/simple_spread", (), "mappo", (), "cpu", 1, 7, None, 1.0, False)
    assert options.evaluation() == EvaluationConfig(episodes=7, seed=evaluation_seed())
    assert replace(options, evaluation_seed=5).evaluation() == EvaluationConfig(episodes=7, seed=5)


def test_commands_that_begin_together_take_the_same() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(evaluation_seed())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_where_it_cannot_be_kept_it_is_drawn_all_the_same(state: Path) -> None:
    state.write_text("no directory")
    assert evaluation_seed() != evaluation_seed()


def test_a_damaged_file_costs_no_run(state: Path) -> None:
    (state / "marlsmith").mkdir(parents=True)
    (state / "marlsmith" / "evaluation-seed").write_text("what?")
    assert evaluation_seed() >= 0
