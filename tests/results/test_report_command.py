"""`marlsmith report`: where the page goes, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil

import pytest
from page_runs import waiting
from typer.testing import CliRunner

from marlsmith import cli
from marlsmith.results.page import film
from marlsmith.results.past import PastRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, searched_run: PastRun) -> PastRun:
    copy = tmp_path_factory.mktemp("reported") / "run"
    shutil.copytree(searched_run.path, copy)
    return PastRun.open(copy)


def report(*words: object):
    return CliRunner().invoke(cli.app, ["report", *map(str, words)])


def test_the_page_lies_in_the_run_and_its_path_is_printed(run):
    done = report(run.path, "--no-animation")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{run.path / 'report.html'}\n"
    assert (run.path / "report.html").read_text().startswith("<!doctype html>")


def test_the_same_run_gives_the_same_page_wherever_it_is_written(run, tmp_path):
    files = tmp_path / "one.html", tmp_path / "two.html"
    for file in files:
        assert report(run.path, "--no-animation", "--out", file).stdout == f"{file}\n"
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_film_is_made_unless_it_is_not_wanted(run, tmp_path, monkeypatch):
    asked = []

    def filmed(run, progress, *, trusted):
        asked.append(run.path)
        progress("playing")
        return film.Film(None, None, "nothing <was> filmed")

    monkeypatch.setattr(film, "film", filmed)
    first = report(run.path, "--out", tmp_path / "with.html")
    assert "nothing &lt;was&gt; filmed" in (tmp_path / "with.html").read_text()
    report(run.path, "--out", tmp_path / "without.html", "--no-animation")
    assert "filmed" not in (tmp_path / "without.html").read_text()
    assert asked == [run.path]
    assert "playing (--no-animation leaves the film out)" in first.stderr


def test_a_run_that_has_not_ended_has_its_page(tmp_path):
    run = waiting(tmp_path / "run")
    assert report(run.path, "--no-animation").exit_code == 0
    assert "This run waits for a person" in (run.path / "report.html").read_text()


def test_errors_are_one_sentence_each(run, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(run.path, damaged, ignore=shutil.ignore_patterns("report.html"))
    lines = [json.loads(line) for line in (damaged / "events.jsonl").read_text().splitlines()]
    next(line for line in lines if line["event"] == "proposal").pop("parents")
    (damaged / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for words, said in (
        ((tmp_path / "nowhere",), "is not a run: it has no run.toml"),
        ((run.path, "--out", tmp_path), "is a directory: name a file by --out"),
        ((run.path, "--out", tmp_path / "no" / "page.html"), "is no directory: make it"),
        ((damaged, "--no-animation"), "is damaged (KeyError: 'parents'): restore its files"),
    ):
        done = report(*words)
        assert done.exit_code == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (damaged / "report.html").exists()
