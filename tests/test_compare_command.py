"""`marlsmith compare`: the table, the files beside it, and each way of saying something it cannot do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

HERE = Path(__file__).parent


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two that differ in their seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE / "results")
        from comparing_runs import from_scratch
    here = tmp_path_factory.mktemp("runs")
    pasts = from_scratch(here / "seed0"), from_scratch(here / "seed1", best=(0.7, 0.8), promoted=False, seed=1)
    return pasts[0].path, pasts[1].path


def test_runs_side_by_side(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    told = marlsmith("compare", *runs).stdout
    for words in ("mpe/simple_spread", "seed0", "seed1", "lero, mappo, 800 steps", "offline", "the first"):
        assert words in told
    assert "0.950 [0.900, 1.000]" in " ".join(told.split())
    assert "0.300 [0.200, 0.400]" in " ".join(told.split()), "nothing was promoted: the native task"
    assert "0.00 [0.00, 0.00]" in told
    assert "6,400" in told
    assert "Nothing is paired" in told


def test_by_method_they_are_replications(runs: tuple[Path, Path]) -> None:
    (task,) = json.loads(marlsmith("compare", *runs, "--by", "method", "--json").stdout)["tasks"]
    (row,) = task["runs"]
    assert row["units"] == ["seed0", "seed1"]
    assert row["outcome"]["scores"] == pytest.approx([0.95, 0.3])


def test_all_files_at_once(runs: tuple[Path, Path], tmp_path: Path) -> None:
    files = {name: tmp_path / f"it.{name}" for name in ("svg", "csv", "json")}
    done = marlsmith(
        "compare", *runs, "--plot", files["svg"], "--csv", files["csv"], "--marl-eval", files["json"], "--json"
    )
    assert done.exit_code == 0, done.output
    assert "<svg" in files["svg"].read_text()
    rows = list(csv.DictReader(files["csv"].open(newline="")))
    assert {row["run"] for row in rows} == {"seed0", "seed1"}
    assert {row["point"] for row in rows} == {"curve", "end", "mean"}
    assert {"native", "seed0", "seed1"} == set(json.loads(files["json"].read_text())["mpe"]["simple_spread"])


def test_what_cannot_be_compared_is_one_sentence(runs: tuple[Path, Path], tmp_path: Path) -> None:
    refused(marlsmith("compare", runs[0], "--plot", tmp_path / "a.jpg"), "a.jpg does not end in .svg, .png or .pdf")
    refused(marlsmith("compare", runs[0], tmp_path), "is not a run")
    refused(marlsmith("compare", runs[0], runs[0]), "is named twice")
    refused(marlsmith("compare", runs[0], "--csv", tmp_path / "no" / "a.csv"), "cannot write")
    assert marlsmith("compare", runs[0], "--by", "task").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_that_is_refused_writes_nothing(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Three seeds do not stand beside two in marl-eval's file; by method, each run is one number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE / "results")
        from comparing_runs import from_scratch
    three = from_scratch(tmp_path / "three", best=(0.5, 0.6, 0.7), native=(0.1, 0.2, 0.3), scope="team").path
    files = ("--csv", tmp_path / "it.csv", "--marl-eval", tmp_path / "it.json", "--plot", tmp_path / "it.svg")
    told = marlsmith("compare", runs[0], three, *files)
    refused(told, "spread, seed0 has 2 seeds with 2 points", "spread, three has 3 seeds with 2 points", "--by method")
    assert told.stdout == ""
    assert list(tmp_path.iterdir()) == [three]
    assert marlsmith("compare", runs[0], three, *files[2:4], "--by", "method").exit_code == 0


def test_a_table_fits_a_narrow_screen(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row in one line: what takes more room stands below."""
    monkeypatch.setenv("COLUMNS", "80")
    for by in ("run", "method"):
        rows = [line.split() for line in marlsmith("compare", *runs, "--by", by).stdout.splitlines()]
        label = "seed0" if by == "run" else "(1)"
        assert [row[0] for row in rows if row and row[0].startswith(label)] == [label] * 3 + [f"{label}:"]
    assert ["(1):", "lero,", "mappo,", "800", "steps;", "2", "runs;", "played", "by", "offline"] in rows
