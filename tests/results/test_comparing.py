"""Runs side by side: the numbers of each row, what is never compared, and the files that other programs read."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from comparing_runs import MODEL, STEPS, adapted, from_scratch

from marlsmith.results.comparing.groups import groups, record
from marlsmith.results.comparing.marl_eval import marl_eval, write_marl_eval
from marlsmith.results.comparing.picture import draw
from marlsmith.results.comparing.rows import Point, row_of
from marlsmith.results.comparing.tidy import COLUMNS, write_csv
from marlsmith.schemas import UserError

# ---------------------------------------------------------------- rows


def test_a_promoted_run_stands_with_its_fresh_seeds(tmp_path: Path) -> None:
    row = row_of(from_scratch(tmp_path / "run"), "run")
    assert row.outcome is not None
    assert (row.outcome.scores, row.outcome.score) == ((0.9, 1.0), 0.95)
    assert row.units == ("seed_100", "seed_101")
    assert row.native is not None
    assert row.native.scores == (0.2, 0.4)
    assert (row.promoted, row.fresh) == (1, True)
    assert row.outcome_curve == (Point(400, 0.475, (0.45, 0.5)), Point(800, 0.95, (0.9, 1.0)))
    assert [point.scores for point in row.native_curve] == [(0.1, 0.2), (0.2, 0.4)]


def test_what_was_not_promoted_counts_as_the_native_task(tmp_path: Path) -> None:
    row = row_of(from_scratch(tmp_path / "run", promoted=False), "run")
    assert row.outcome == row.native
    assert row.outcome_curve == row.native_curve
    assert row.best is not None
    assert row.best.scores == (0.9, 1.0)


def test_the_search_line_is_the_best_so_far_without_confirmations(tmp_path: Path) -> None:
    """Two seeds each: the control after 1,600 steps, the candidate after 3,200; then only confirmations."""
    (line,) = row_of(from_scratch(tmp_path / "run"), "run").search
    assert [(point.steps, point.score) for point in line] == [(2 * STEPS, 0.2), (4 * STEPS, 0.7)]


def test_an_adapted_main_run_is_its_laps_and_its_heats_are_one(tmp_path: Path) -> None:
    row = row_of(adapted(tmp_path / "run", [(0.0, 0.0), (0.4, 0.6), (1.0, 0.8)], (0.1, 0.3)), "run")
    assert [(point.steps, point.score) for point in row.outcome_curve] == [(0, 0.0), (800, 0.5), (1600, 0.9)]
    assert [(point.steps, point.scores) for point in row.native_curve] == [(400, (0.05, 0.15)), (800, (0.1, 0.3))]
    assert (row.cost.main_steps, row.cost.search_steps, row.cost.steps) == (3200, 1600, 4800)
    assert [point.steps for point in row.search[0]] == [0, 1600, 3200]
    assert row.units == ("seed_0", "seed_1")


def test_a_team_scope_is_marked(tmp_path: Path) -> None:
    assert "TEAM scope" in row_of(from_scratch(tmp_path / "team", scope="team"), "team").method
    assert "TEAM" not in row_of(from_scratch(tmp_path / "own"), "own").method


def test_a_run_that_has_not_ended_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run has not ended: go on with it by `marlsmith resume"):
        groups([from_scratch(tmp_path / "run", ended=False)], "run")


# ---------------------------------------------------------------- groups


def test_tasks_are_never_compared_with_each_other(tmp_path: Path) -> None:
    pasts = [
        from_scratch(tmp_path / "a"),
        from_scratch(tmp_path / "b", task="lbf/8x8-2p-2f-coop"),
        from_scratch(tmp_path / "c", best=(0.95, 0.8)),
    ]
    spread, foraging = groups(pasts, "run")
    assert [row.name for row in spread.rows] == ["a", "c"]
    assert spread.improvements[0] is None
    assert spread.improvements[1] is not None
    assert spread.improvements[1].probability == 1 / 4  # .95 > .9, and no other pair
    assert foraging.improvements == (None,)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (group,) = groups([from_scratch(tmp_path / "a" / "run"), from_scratch(tmp_path / "b" / "run")], "run")
    assert [row.name for row in group.rows] == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run")]


def test_a_run_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    past = from_scratch(tmp_path / "run")
    with pytest.raises(UserError, match="named twice"):
        groups([past, past], "run")


def test_replications_are_one_row_in_which_each_run_counts_once(tmp_path: Path) -> None:
    """By hand: outcomes .95, .75 and the native .3 of a run that promoted nothing; gains .65, .45 and 0."""
    pasts = [
        from_scratch(tmp_path / "a", seed=0),
        from_scratch(tmp_path / "b", best=(0.7, 0.8), seed=1, workers=3),
        from_scratch(tmp_path / "c", promoted=False, seed=2),
        from_scratch(tmp_path / "d", scope="team"),
    ]
    (group,) = groups(pasts, "method")
    pooled, alone = group.rows
    assert pooled.outcome is not None
    assert pooled.outcome.scores == pytest.approx((0.95, 0.75, 0.3))
    assert pooled.outcome.score == pytest.approx(2 / 3)
    assert pooled.units == ("a", "b", "c")
    assert (pooled.promoted, pooled.over) == (2, "runs")
    assert pooled.gain is not None
    assert pooled.gain.mean == pytest.approx(1.1 / 3)
    assert pooled.outcome_curve[-1].scores == pytest.approx((0.95, 0.75, 0.3))
    assert len(pooled.search) == 3
    assert alone.outcome is not None
    assert (alone.outcome.scores, alone.outcome.interval) == ((0.95,), None)
    assert alone.name != pooled.name
    assert group.improvements[1] is not None
    assert group.improvements[1].probability == pytest.approx(2.5 / 3)  # above .75 and .3, level with .95


def test_each_run_stands_on_a_methods_curve_with_the_interquartile_mean_of_its_seeds(tmp_path: Path) -> None:
    """Of 0, .6, .8 and 1 that is .7, where the mean is .6; a run that kept only the mean stands with that."""
    scores = {"best": (0.0, 0.6, 0.8, 1.0), "native": (0.0, 0.0, 0.0, 0.0)}
    pasts = [from_scratch(tmp_path / "a", **scores), from_scratch(tmp_path / "b", seed=1, known=False, **scores)]
    ((row,),) = (group.rows for group in groups(pasts, "method"))
    assert row.outcome_curve[-1].scores == pytest.approx((0.7, 0.6))
    assert row.outcome_curve[0].scores == pytest.approx((0.35, 0.3))


def test_methods_of_one_name_are_told_apart(tmp_path: Path) -> None:
    pasts = [from_scratch(tmp_path / "a"), from_scratch(tmp_path / "b", roles=MODEL)]
    (group,) = groups(pasts, "method")
    assert len({row.name for row in group.rows}) == 2


def test_one_search_made_twice_is_no_replication(tmp_path: Path) -> None:
    pasts = [from_scratch(tmp_path / "a"), from_scratch(tmp_path / "b", evaluation={"seed": 3})]
    with pytest.raises(UserError, match=r"a and .*b are one search made twice \(--seed 0\)"):
        groups(pasts, "method")
    assert len(groups(pasts, "run")[0].rows) == 2


def test_a_models_search_with_the_same_seed_is_another_one(tmp_path: Path) -> None:
    pasts = [from_scratch(tmp_path / "a", roles=MODEL), from_scratch(tmp_path / "b", roles=MODEL)]
    (group,) = groups(pasts, "method")
    assert len(group.rows[0].runs) == 2


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    found = groups([from_scratch(tmp_path / "a"), from_scratch(tmp_path / "b", best=(0.5, 0.6), tokens=7)], "run")
    told = json.loads(json.dumps(record(found, "run"), allow_nan=False))
    first, second = told["tasks"][0]["runs"]
    assert first["improvement"] is None
    assert second["improvement"] == {"probability": 0.0, "interval": [0.0, 0.0]}
    assert second["cost"]["tokens"] == 7
    assert second["curves"]["outcome"][-1] == {"steps": 800, "score": 0.55, "scores": [0.5, 0.6]}
    assert "rliable" in told["pairing"]


# ---------------------------------------------------------------- csv


def test_csv_has_one_row_for_each_run_seed_and_point(tmp_path: Path) -> None:
    """Four trainings of two seeds, each with two points and an end."""
    pasts = [from_scratch(tmp_path / "a", task='mpe/a,"b"'), from_scratch(tmp_path / "b", known=False)]
    write_csv(pasts, tmp_path / "all.csv")
    rows = list(csv.DictReader((tmp_path / "all.csv").open(newline="")))
    assert tuple(rows[0]) == COLUMNS
    mine = [row for row in rows if row["run"] == "a"]
    assert len(mine) == 4 * (2 * 3 + 2), "and a mean for each of two points"
    assert {row["task"] for row in mine} == {'mpe/a,"b"'}
    confirmed = [row for row in mine if row["branch"] == "s1r1c1-confirm" and row["point"] != "mean"]
    assert [(row["seed"], row["steps"], row["point"], float(row["score"])) for row in confirmed] == [
        ("100", "400", "curve", 0.45),
        ("101", "400", "curve", 0.5),
        ("100", "800", "curve", 0.9),
        ("101", "800", "curve", 1.0),
        ("100", "800", "end", 0.9),
        ("101", "800", "end", 1.0),
    ]
    assert {row["native_return"] for row in confirmed} == {""}, "the seeds' own are not known"
    means = [row for row in mine if row["branch"] == "s1r1c1-confirm" and row["point"] == "mean"]
    assert [(row["seed"], row["steps"], float(row["score"]), row["native_return"], row["shaped_return"])
            for row in means] == [("", "400", 0.475, "-1.0", "2.0"), ("", "800", 0.95, "-1.0", "2.0")]  # fmt: skip
    old = [row for row in rows if row["run"] == "b" and row["point"] != "end"]
    assert [(row["seed"], row["point"]) for row in old] == [("", "mean")] * 8, "where only the mean is known"


def test_csv_has_the_laps_of_a_main_run(tmp_path: Path) -> None:
    write_csv([adapted(tmp_path / "run", [(0.0, 0.0), (0.4, 0.6)], (0.1, 0.3))], tmp_path / "laps.csv")
    rows = [row for row in csv.DictReader((tmp_path / "laps.csv").open(newline="")) if row["point"] == "lap"]
    assert [(row["branch"], row["candidate"], row["seed"], row["steps"], row["score"]) for row in rows] == [
        ("main-s0", "native", "0", "0", "0.0"),
        ("main-s0", "native", "1", "0", "0.0"),
        ("main-s1", "s1r1c1", "0", "800", "0.4"),
        ("main-s1", "s1r1c1", "1", "800", "0.6"),
    ]


# ---------------------------------------------------------------- marl-eval


def follows_the_rules(data: dict[str, Any]) -> None:
    """Those that marl-eval's own check states, and those of its README."""
    for tasks in data.values():
        assert len({tuple(sorted(algorithms)) for algorithms in tasks.values()}) == 1
        runs = [run for algorithms in tasks.values() for each in algorithms.values() for run in each.values()]
        assert len({len(each) for algorithms in tasks.values() for each in algorithms.values()}) == 1
        assert len({tuple(run) for run in runs}) == 1, "the same steps in the same order"
        for run in runs:
            *steps, last = run
            assert last == "absolute_metrics", "it takes the last entry for that"
            assert all(isinstance(run[step]["step_count"], int) for step in steps)
            assert {tuple(set(run[step]) - {"step_count"}) for step in steps} == {tuple(run[last])}
            values = [value for entry in run.values() for key, value in entry.items() if key != "step_count"]
            assert all(isinstance(value, list) and len(value) == 1 and math.isfinite(value[0]) for value in values)


def test_marl_eval_of_one_run(tmp_path: Path) -> None:
    data = marl_eval(groups([from_scratch(tmp_path / "run")], "run"))
    follows_the_rules(data)
    algorithms = data["mpe"]["simple_spread"]
    assert list(algorithms) == ["native", "run"]
    assert algorithms["run"]["seed_101"] == {
        "step_1": {"step_count": 400, "score": [0.5]},
        "step_2": {"step_count": 800, "score": [1.0]},
        "absolute_metrics": {"score": [1.0]},
    }
    assert algorithms["native"]["seed_100"]["absolute_metrics"] == {"score": [0.2]}


def test_marl_eval_of_methods_over_tasks(tmp_path: Path) -> None:
    """By method the names are the same in all tasks, as marl-eval wants it, and its runs are ours."""
    pasts = [
        from_scratch(tmp_path / f"{task[4:]}-{seed}", seed=seed, task=task)
        for task in ("mpe/simple_spread", "mpe/Other")
        for seed in (0, 1)
    ]
    data = marl_eval(groups(pasts, "method"))
    follows_the_rules(data)
    assert list(data["mpe"]) == ["simple_spread", "other"]
    assert set(data["mpe"]["other"]["native"]) == {"Other-0", "Other-1"}
    with pytest.raises(UserError, match="the same names in all tasks of mpe"):
        marl_eval(groups(pasts, "run"))


def test_marl_eval_of_an_adapted_run_has_its_laps(tmp_path: Path) -> None:
    data = marl_eval(groups([adapted(tmp_path / "run", [(0.0, 0.0), (0.4, 0.6)], (0.1, 0.3))], "run"))
    follows_the_rules(data)
    assert list(data["mpe"]["simple_spread"]) == ["run"], "the plain training has other points"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"best": (0.1, 0.2, 0.3), "native": (0.1, 0.1, 0.1)},
            r"simple_spread, a has 2 seeds .*; simple_spread, b has 3 seeds with 2 points: leave out .*--by method",
        ),
        ({"known": False}, "b has no learning curve by seed"),
    ],
)
def test_what_marl_eval_cannot_read_is_refused(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    found = groups([from_scratch(tmp_path / "a"), from_scratch(tmp_path / "b", **other)], "run")
    with pytest.raises(UserError, match=words):
        write_marl_eval(found, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


# ---------------------------------------------------------------- pictures


def test_a_picture_names_each_run_and_is_the_same_again(tmp_path: Path) -> None:
    pasts = [from_scratch(tmp_path / "a$_<b>", tokens=5), from_scratch(tmp_path / "kept", promoted=False, known=False)]
    found = groups(pasts, "run")
    draw(found, tmp_path / "one.svg")
    draw(found, tmp_path / "two.svg")
    drawn = (tmp_path / "one.svg").read_text()
    words = [text for element in ElementTree.fromstring(drawn).iter() for text in [element.text or ""]]
    for name in ("a$_<b>", "kept (native kept)", "Tokens", "Money", "tokens of the run"):
        assert any(name in word for word in words), name
    assert drawn == (tmp_path / "two.svg").read_text()


def test_a_picture_has_no_panel_of_what_nobody_spent(tmp_path: Path) -> None:
    draw(groups([from_scratch(tmp_path / "a")], "run"), tmp_path / "one.svg")
    drawn = (tmp_path / "one.svg").read_text()
    assert "seconds of the run" in drawn
    assert "tokens" not in drawn
    assert "money" not in drawn


@pytest.mark.parametrize(("ending", "begins"), [(".png", b"\x89PNG"), (".PDF", b"%PDF")])
def test_pictures_for_print(tmp_path: Path, ending: str, begins: bytes) -> None:
    draw(groups([from_scratch(tmp_path / "a")], "run"), tmp_path / f"one{ending}")
    assert (tmp_path / f"one{ending}").read_bytes().startswith(begins)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    past = from_scratch(tmp_path / "a")
    found, nowhere = groups([past], "run"), tmp_path / "no"
    for write in (
        lambda: draw(found, nowhere / "a.svg"),
        lambda: write_csv([past], nowhere / "a.csv"),
        lambda: write_marl_eval(found, nowhere / "a.json"),
    ):
        with pytest.raises(UserError, match="cannot write"):
            write()
