"""Whole tables: which runs they are made of, that nothing is trained twice, and what the numbers become."""

from __future__ import annotations

import csv
import importlib
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.question import Question, Role
from marlsmith.agents.settings import OFFLINE, RANDOM, Budget, Limits
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run import Paused, Stop
from marlsmith.graph.telling.workload import Workload
from marlsmith.marl.config import TrainConfig
from marlsmith.results.reproducing import paper, plan
from marlsmith.results.reproducing.checking import Outcome, markdown, training_seconds
from marlsmith.results.reproducing.drive import Order, Table
from marlsmith.results.reproducing.estimate import seconds_left, spoken, work
from marlsmith.results.reproducing.maker import Maker, described
from marlsmith.results.reproducing.pictures import draw_evolution, draw_table
from marlsmith.results.reproducing.plan import Cell
from marlsmith.results.reproducing.table import Entry, Round, entries, evolution
from marlsmith.results.reproducing.watching import Course, outcome
from marlsmith.results.reproducing.written import markdown as table_markdown
from marlsmith.results.reproducing.written import table_csv
from marlsmith.schemas import Proposal, UserError

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))
fakes: Any = importlib.import_module("graph_fakes")

MAKER = Maker(processor="a processor", cores=2, version="0.1.0", commit="0123456789")


class Fleet:
    """An outfitter with a new executor for each run, and a memory of all that was trained."""

    def __init__(self, **behaviour: Any) -> None:
        self.behaviour = behaviour
        self.executors: list[Any] = []

    def engage(self, settings: RunSettings) -> Any:
        self.executors.append(fakes.FakeExecutor(**self.behaviour))
        return self.executors[-1]

    def equip(self, directory: Any, executor: Any) -> Any:
        return fakes.Equipment(executor).equip(directory, executor)

    @property
    def trained(self) -> list[str]:
        """What was ordered, without the names that each run has for it."""
        orders = [request for executor in self.executors for request in executor.trained]
        return [request.model_dump_json(exclude={"branch"}) for request in orders]


def settings_of(cell: Cell, **changes: Any) -> RunSettings:
    rounds = {"rounds": 2} if cell.method == "lero" else {}
    overrides = {"search_seeds": 2, "confirm_seeds": 5, **rounds, **cell.overrides}
    train = TrainConfig(steps=100)
    method = method_from(cell.method, overrides)
    whole = {"task": "points", "method_name": cell.method, "method": method, "train": train, "workers": 2}
    return RunSettings.model_validate(whole | changes)


def table(out: Path, cells: Sequence[Cell], budget: Budget | None = None, shares: bool = True, **changes: Any) -> Table:
    orders = [Order(cell, settings_of(cell, **changes)) for cell in cells]
    return Table(out, orders, budget or Budget(), shares=shares)


def run(of: Table, fleet: Fleet) -> list[tuple[Cell, Any]]:
    return list(of.drive(fleet, Stop(), MAKER))


ONE_COLUMN = plan.table2(["native", "lr", "lero"], ["mappo-spread"], "both")


# ---------------------------------------------------------------- the plan


def test_the_whole_table_is_sixty_runs_and_reward_only_rows_are_run_once_for_both_scopes() -> None:
    cells = plan.table2(plan.ROWS, paper.COLUMNS, "both")
    assert len(cells) == len({cell.name for cell in cells}) == 6 * (2 + 2 * 4)
    assert {cell.scope for cell in cells if cell.row in ("lr", "ler")} == {None}
    assert {(cell.task, cell.algorithm) for cell in cells} == {
        (task, algorithm) for task in plan.TASKS.values() for algorithm in ("mappo", "vdn", "qmix")
    }
    assert all(cell.overrides.get("scope", "own") == (cell.scope or "own") for cell in cells)
    assert "native" not in {cell.row for cell in cells}


def test_one_scope_halves_the_rows_that_read_features() -> None:
    assert len(plan.table2(plan.ROWS, paper.COLUMNS, "team")) == 6 * 6


def test_rows_and_columns_are_taken_in_the_order_of_the_table() -> None:
    assert plan.chosen("rows", "LERO, native,lr", plan.ROWS) == ("native", "lr", "lero")
    with pytest.raises(UserError, match="--rows loro: choose from native,lr,ler,lo,leo,lro,lero"):
        plan.chosen("rows", "lero,loro", plan.ROWS)
    with pytest.raises(UserError, match="it is measured beside another row"):
        plan.table2(["native"], ["mappo-spread"], "both")


def test_the_papers_numbers_stand_where_the_paper_has_them() -> None:
    """Its abstract numbers: 24.0 to 74.7 with MAPPO on spread, 23.0 to 83.0 with VDN on reference."""
    assert (paper.coverage("native", "mappo-spread"), paper.coverage("lero", "mappo-spread")) == (0.24, 0.747)
    assert (paper.coverage("native", "vdn-reference"), paper.coverage("lero", "vdn-reference")) == (0.23, 0.83)
    assert all(len(numbers) == len(paper.COLUMNS) for numbers in paper.TABLE_2.values())


def test_directories_are_known_by_their_names() -> None:
    (lr, team) = plan.named("table2", ["mappo-spread-lero-team", "mappo-spread-lr", "spread-offline", "mine"])
    assert (lr.row, lr.scope, team.row, team.scope) == ("lr", None, "lero", "team")
    found = plan.named("checks", ["spread-random-1", "spread-offline", "mappo-spread-lr", "foraging-model"])
    assert [(cell.column, cell.row, cell.seed) for cell in found] == [
        ("spread", "offline", 0), ("foraging", "model", 0), ("spread", "random", 1),
    ]  # fmt: skip


def test_all_arms_of_a_check_take_as_many_steps() -> None:
    whole: dict[str, int] = {}
    for cell in plan.checks(plan.ARMS, ["spread"], "own", 1, steps=30_000, seeds=5):
        cell = replace(cell, overrides={"search_seeds": plan.SEARCH_SEEDS, "rounds": 4, **cell.overrides})
        whole[cell.row] = Workload(settings_of(cell, train=TrainConfig(steps=30_000))).whole
    searches = {whole[arm] for arm in (OFFLINE, RANDOM, plan.BEST_OF_N)}
    assert searches == {(13 * 4 + 2 * 5) * 30_000}
    assert whole[plan.PLAIN] == pytest.approx(searches.pop(), rel=0.001)


# ---------------------------------------------------------------- driving


def test_what_two_cells_have_in_common_is_trained_once_and_the_numbers_are_the_same(tmp_path: Path) -> None:
    shared, apart = Fleet(), Fleet()
    one, other = table(tmp_path / "a", ONE_COLUMN), table(tmp_path / "b", ONE_COLUMN, shares=False)
    run(one, shared)
    run(other, apart)
    assert len(set(shared.trained)) == len(shared.trained)
    assert len(shared.trained) < len(apart.trained)
    (found, missing), (alone, _) = entries(one.finished()), entries(other.finished())
    assert missing == []
    assert [replace(entry, seconds=None) for entry in found] == [replace(entry, seconds=None) for entry in alone]
    for cell in ONE_COLUMN:  # what was promoted is there with its networks
        main = one.place(cell) / "main" / "checkpoint.safetensors"
        assert main.exists() == (other.place(cell) / "main" / "checkpoint.safetensors").exists()


def test_a_table_goes_on_where_it_was_paused(tmp_path: Path) -> None:
    fleet, stop = Fleet(), Stop()
    first = table(tmp_path / "t", ONE_COLUMN)

    def drive_until_asked_to_stop() -> None:
        for cell, event in first.drive(fleet, stop, MAKER):
            if cell == ONE_COLUMN[1] and event["event"] == "tool_result":
                stop.request()

    with pytest.raises(Paused):
        drive_until_asked_to_stop()
    again = table(tmp_path / "t", ONE_COLUMN)
    assert list(again.finished()) == [ONE_COLUMN[0]]
    told = run(again, fleet)
    assert {cell for cell, _ in told} == set(ONE_COLUMN[1:])
    assert list(again.finished()) == list(ONE_COLUMN)
    assert len(set(fleet.trained)) == len(fleet.trained)
    assert run(table(tmp_path / "t", ONE_COLUMN), fleet) == []


def test_networks_that_the_search_only_looked_at_are_not_kept(tmp_path: Path) -> None:
    one = table(tmp_path / "t", ONE_COLUMN[:1])
    run(one, Fleet())
    kept = {file.parent.name for file in one.place(ONE_COLUMN[0]).glob("branches/*/checkpoint.safetensors")}
    assert kept
    assert all(name.endswith("-confirm") for name in kept)


def test_other_settings_than_those_of_the_directory_are_refused_with_their_names(tmp_path: Path) -> None:
    run(table(tmp_path / "t", ONE_COLUMN[:1]), Fleet())
    with pytest.raises(UserError, match=r"was run with train\.steps 100, and now it would be 200"):
        table(tmp_path / "t", ONE_COLUMN, train=TrainConfig(steps=200))
    with pytest.raises(UserError, match=r"method\.search_seeds 2, and now it would be 3"):
        table(tmp_path / "t", [replace(ONE_COLUMN[0], overrides={"search_seeds": 3})])
    table(tmp_path / "t", ONE_COLUMN, workers=7, branch_seconds=9.0)  # which change no number


def test_a_budget_is_of_the_whole_table(tmp_path: Path) -> None:
    budget = Budget(run=Limits(tokens=1000, money=2.0), generator=Limits(calls=3))
    one = table(tmp_path / "t", ONE_COLUMN, budget)
    spent: list[tuple[int, Role, int, float | None]] = [
        (0, "generator", 100, 0.5), (0, "critic", 50, None), (1, "generator", 900, 0.1),
    ]  # fmt: skip
    for cell, role, tokens, money in spent:
        place = one.place(ONE_COLUMN[cell])
        place.mkdir(parents=True, exist_ok=True)
        question = Question(role, f"s1r1/{tokens}", (), Proposal)
        book.Book(place / book.FILE).write([book.begun_line(question, "somebody", tokens, money)])
    assert one._left_for(ONE_COLUMN[1]) == Budget(run=Limits(tokens=850, money=1.5), generator=Limits(calls=2))
    assert one._left_for(ONE_COLUMN[2]) == Budget(run=Limits(tokens=0, money=1.4), generator=Limits(calls=1))


# ---------------------------------------------------------------- numbers


def test_the_native_row_and_all_rows_of_a_column_stand_on_the_same_fresh_seeds(tmp_path: Path) -> None:
    one = table(tmp_path / "t", ONE_COLUMN)
    run(one, Fleet())
    found, _ = entries(one.finished())
    assert [(entry.row, entry.scope) for entry in found] == [
        ("native", None), ("lr", None), ("lero", "own"), ("lero", "team"),
    ]  # fmt: skip
    confirmed = [past.evaluations["control-s1-confirm"] for past in one.finished().values()]
    assert {evaluation.seeds for evaluation in confirmed} == {(100, 101, 102, 103, 104)}
    assert {evaluation.scores for evaluation in confirmed} == {found[0].scores}
    for entry, past in zip(found[1:], one.finished().values(), strict=True):
        assert entry.scores == past.evaluations[f"{entry.candidate}-confirm"].scores
        mean = sum(ours - native for ours, native in zip(entry.scores, found[0].scores, strict=True)) / 5
        assert entry.gain is not None
        assert entry.gain[0] == pytest.approx(mean)


def test_a_cell_whose_candidates_all_failed_has_no_number_and_says_why(tmp_path: Path) -> None:
    one = table(tmp_path / "t", ONE_COLUMN[:1])
    run(one, Fleet(failing=lambda request: request.candidate != "native"))
    found, (gap,) = entries(one.finished())
    assert found == []
    text = table_markdown(found, [gap], "m", [], {})
    assert "mappo-spread LR: no number on fresh seeds (no candidate has a score)." in text


def test_evolution_is_the_best_so_far_and_never_falls(tmp_path: Path) -> None:
    one = table(tmp_path / "t", ONE_COLUMN[1:2])
    run(one, Fleet())
    (past,) = one.finished().values()
    rounds = evolution(past)
    assert [point.number for point in rounds] == [1, 2]
    scores = [point.score for point in rounds]
    assert scores == sorted(scores)
    searched = [e.score for id, e in past.evaluations.items() if id in past.candidates and e.score is not None]
    assert scores[-1] == max(searched)


def entry(score: float = 0.8, low: float = 0.75, **changes: Any) -> Entry:
    base = Entry("lero", "mappo-spread", "own", "s1r1c1", score, (low, 0.9), (score,) * 5, 0.6, 0.747, True,
                 (0.5, 0.4, 0.6), 1000, 12.0)  # fmt: skip
    return replace(base, **changes)


def test_marks_tell_a_mean_above_the_paper_from_an_interval_above_it() -> None:
    assert [entry(0.8, 0.75).mark, entry(0.8, 0.7).mark, entry(0.7, 0.6).mark] == ["▲", "△", ""]
    text = table_markdown([entry(), entry(0.7, 0.6, column="vdn-spread", paper=0.58)], [], "m", ["s"], {})
    assert "| LERO (own) | 0.800 [0.750, 0.900] ▲ (0.747) | 0.700 [0.600, 0.900] ▲ (0.580) |" in text
    assert "Above the paper's number: 2 of 2 numbers with a designed signal, 2 of them" in text


def test_the_csv_says_all_that_a_number_rests_on() -> None:
    (row,) = csv.DictReader(io.StringIO(table_csv([entry()])))
    assert (row["scope"], row["seeds"], row["final_coverage"], row["surely_above"]) == ("own", "5", "0.6", "True")
    assert row["scores"].split() == ["0.8000"] * 5


def test_pictures_are_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    numbers = [entry(), entry(scope="team"), entry(row="native", scope=None, promoted=None)]
    rounds = {("vdn-reference", "own"): [Round(1, 0.4, (0.3, 0.5)), Round(2, 0.6, (0.5, 0.7))]}
    for name in ("a", "b"):
        draw_table(numbers, "by hand", tmp_path / f"{name}-table.svg")
        draw_evolution(rounds, "by hand", tmp_path / f"{name}-evolution.svg")  # type: ignore[arg-type]
    for what in ("table", "evolution"):
        one, other = (tmp_path / f"{name}-{what}.svg" for name in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
        assert b"<dc:date>" not in one.read_bytes()


def test_makers_are_told_once_each() -> None:
    first = MAKER.model_copy(update={"date": "2026-11-21"})
    later = first.model_copy(update={"date": "2026-11-22"})
    said = described([first, later, later])
    assert said == "2026-11-21 to 2026-11-22; 2 cores of a processor; marlsmith 0.1.0 (0123456789)"


# ---------------------------------------------------------------- the three checks


def told(event: str, branch: str, seconds: float) -> dict[str, Any]:
    return {"event": event, "branch": branch, "seconds": seconds}


def test_training_time_counts_overlaps_once_and_nothing_that_a_kill_cut_off() -> None:
    events = [
        told("tool_call", "a", 1.0), told("tool_call", "b", 2.0), told("tool_result", "a", 4.0),
        told("tool_result", "b", 6.0), told("tool_call", "c", 7.0), {"event": "run_started", "seconds": 20.0},
        told("tool_call", "c", 21.0), told("tool_result", "c", 23.0),
    ]  # fmt: skip
    assert training_seconds(events) == 5.0 + 2.0


def test_checks_pair_arms_by_run_and_leave_out_what_only_one_has() -> None:
    def one(arm: str, number: int, score: float) -> Outcome:
        return Outcome("reference", arm, number, score, 0.2, True, True, 15, 1000, 20.0, 2.0)

    found = [one("offline", 0, 0.9), one("offline", 1, 0.7), one("offline", 2, 0.1)]
    found += [one("random", 0, 0.5), one("random", 1, 0.4), one("plain", 0, 0.3)]
    text = markdown(found, "m", [])
    assert "| reference | random | 2 | 0.450 |" in text
    assert "| +0.350 [" in text  # (0.9 - 0.5 + 0.7 - 0.4) / 2: the third run has no partner
    assert "| reference | offline | 20 | 2.0 | 10.0% | 1,000 | 20 | 1.00 |" in text


# ---------------------------------------------------------------- the time that is left


def test_work_counts_shared_trainings_once() -> None:
    orders = [Order(cell, settings_of(cell)) for cell in ONE_COLUMN]
    apart, shared = work(orders, shares=False), work(orders, shares=True)
    lr, own, team = ONE_COLUMN
    assert shared[lr] == apart[lr] == Workload(settings_of(lr)).whole
    assert shared[team] == shared[own] < apart[own] == apart[team]
    slow = [Order(cell, settings_of(cell, train=TrainConfig(steps=100, algorithm="qmix"))) for cell in ONE_COLUMN]
    assert work(slow, shares=True)[lr] == 15 * shared[lr]


def test_time_left_follows_from_what_was_done() -> None:
    lr, own, team = ONE_COLUMN
    parts = {lr: 10.0, own: 20.0, team: 30.0}
    assert seconds_left(parts, {}, None) is None
    assert seconds_left(parts, {lr: 5.0}, None) == 25.0
    assert seconds_left(parts, {lr: 5.0}, (own, 0.5, 5.0)) == 20.0
    assert (spoken(20), spoken(610), spoken(7800)) == ("less than a minute", "about 10 min", "about 2 h 10 min")


def test_the_course_of_a_table_comes_to_its_end(tmp_path: Path) -> None:
    one = table(tmp_path / "t", ONE_COLUMN)
    course, done = Course(one, shares=True), []
    for cell, event in one.drive(Fleet(), Stop(), MAKER):
        course.take(cell, event)
        done.append(course.done)
        if event["event"] == "finished":
            assert outcome(cell, event).startswith(f"{cell.words}: 0.")
    assert done == sorted(done)
    assert done[-1] == pytest.approx(100)
    assert course.left == ""
    course.best = 0.0
    assert course.state.endswith(", best so far 0.00")
    assert Course(one, shares=True).done == pytest.approx(100)
