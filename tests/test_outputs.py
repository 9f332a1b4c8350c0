"""Files that a command writes where the user says: never over what a run needs, and never two in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from marlsmith.commands.compare import CompareOptions, compare_runs
from marlsmith.commands.outputs import Output, require_outputs
from marlsmith.commands.report import write_report
from marlsmith.commands.show import ShowOptions, show_run
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import UserError

ANY = (".html", ".csv", ".json", ".svg", ".toml", ".jsonl")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = RunDirectory.create(tmp_path / "run", RunSettings(task="mpe/simple_spread"), "").path
    (path / "candidates" / "s1r1c1.json").write_text("{}")
    (path / "report.html").write_text("a page")
    (tmp_path / "linked.csv").symlink_to(path / "events.jsonl")
    return path


@pytest.mark.parametrize("name", ["run/run.toml", "run/events.jsonl", "run/candidates/s1r1c1.json", "linked.csv"])
def test_what_a_run_needs_is_not_written_over(run: Path, name: str) -> None:
    file = run.parent / name
    with pytest.raises(UserError, match=re.escape(f"{file} belongs to the run in {run}")):
        require_outputs([Output("--out", file, ANY)])


@pytest.mark.parametrize("name", ["run/report.html", "run/new.csv", "run/main/new.json", "new.json"])
def test_what_a_run_does_not_need_may_stand_there(run: Path, name: str) -> None:
    require_outputs([Output("--out", run.parent / name, ANY)])


def test_two_options_do_not_name_one_file(run: Path) -> None:
    same = run.parent / "run" / ".." / "it.svg"
    with pytest.raises(UserError, match=r"--plot and --csv name one file, .*it\.svg"):
        require_outputs([Output("--plot", run.parent / "it.svg", ANY), Output("--csv", same, ANY)])


def test_a_name_that_no_disk_takes_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .* \(file name too long\)"):
        require_outputs([Output("--csv", tmp_path / f"{'a' * 400}.csv", ANY)])


def test_each_command_asks_before_it_begins(run: Path) -> None:
    """This run has told nothing, so it could be neither reported nor compared: the file is what is refused first."""
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(UserError, match=r"--out .*run.toml does not end in .html"):
        write_report(run, run / "run.toml", animation=True, trusted=False)
    with pytest.raises(UserError, match=r"--csv .*events.jsonl does not end in .csv"):
        compare_runs([run], CompareOptions(csv=run / "events.jsonl"))
    with pytest.raises(UserError, match=r"--marl-eval .*x.csv does not end in .json"):
        compare_runs([run], CompareOptions(marl_eval=run / "x.csv"))
    with pytest.raises(UserError, match=r"--svg x.png does not end in .svg"):
        show_run(run, ShowOptions(svg=Path("x.png")))
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
