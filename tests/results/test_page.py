"""The page: it says all that `show` says, holds nobody else's markup, and is fit for whoever reads it."""

from __future__ import annotations

import html
import json
import re
import shutil
import tomllib
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from page_runs import HOSTILE, large
from typer.testing import CliRunner

from marlsmith.cli import app
from marlsmith.graph import toml
from marlsmith.results.page.account import STORY_WIDTH, Standing, account
from marlsmith.results.page.film import Film, Shot
from marlsmith.results.page.page import render, ruler
from marlsmith.results.page.pictures import learning, terms
from marlsmith.results.past import PastRun
from marlsmith.schemas import visible

VOID = {"meta", "link", "img", "source", "br", "path", "rect"}


class Reader(HTMLParser):
    """Text, elements and what is wrong with their nesting."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open[-1:]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def page_of(run: PastRun, film: Film | None = None) -> str:
    told = account(run)
    return render(told, learning(run, told.family, told.score), terms(run, told.family), film)


@pytest.fixture(scope="module")
def runs(searched_run: PastRun, adapted_run: PastRun, hostile_run: PastRun) -> dict[str, PastRun]:
    return {"searched": searched_run, "adapted": adapted_run, "hostile": hostile_run}


@pytest.fixture(scope="module")
def pages(runs) -> dict[str, str]:
    return {name: page_of(run) for name, run in runs.items()}


@pytest.mark.parametrize("name", ["searched", "adapted", "hostile"])
def test_the_page_says_every_line_that_show_says(runs, pages, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(STORY_WIDTH))
    shown = CliRunner().invoke(app, ["show", str(runs[name].path)])
    assert shown.exit_code == 0, shown.output
    lines = [line.rstrip() for line in shown.stdout.splitlines() if line.strip()]
    assert len(lines) > 20
    text = Reader(pages[name]).text
    assert [line for line in lines if visible(line) not in text] == []


@pytest.mark.parametrize("name", ["searched", "adapted", "hostile"])
def test_the_page_is_whole_and_well_formed(pages, name):
    read = Reader(pages[name])
    assert read.faults == []
    assert read.open == []
    ids = Counter(attributes["id"] for _, attributes in read.elements if "id" in attributes)
    assert [id for id, times in ids.items() if times > 1] == []
    links = [value for _, attributes in read.elements if (value := attributes.get("href")) and value != "data:,"]
    assert [link for link in links if link.removeprefix("#") not in ids or link[0] != "#"] == []
    named = [word for _, attributes in read.elements for word in attributes.get("aria-labelledby", "").split()]
    assert [word for word in named if word not in ids] == []
    assert not re.search(r"""(src|srcset|href)=["']?(https?:|//)|url\(["']?(?!#)""", pages[name])


@pytest.mark.parametrize("name", ["searched", "adapted", "hostile"])
def test_the_page_can_be_read_by_a_screen_reader(pages, name):
    read = Reader(pages[name])
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(read.of("table")) == len(read.of("caption")) > 0
    assert all(attributes.get("scope") in ("col", "row") for attributes in read.of("th"))
    assert all(attributes.get("role") == "img" and attributes["aria-labelledby"] for attributes in read.of("svg"))
    assert len(read.of("main")) == len(read.of("nav")) == 1
    assert read.of("a")[0] == {"class": "skip", "href": "#answer"}
    assert read.of("html") == [{"lang": "en"}]


@pytest.mark.parametrize("name", ["searched", "adapted", "hostile"])
def test_nothing_runs_and_nothing_is_fetched(pages, name):
    read = Reader(pages[name])
    assert read.of("script", "iframe", "object", "embed", "form", "base") == []
    assert [a for _, attributes in read.elements for a in attributes if a.startswith("on")] == []
    (policy,) = [a["content"] for a in read.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_words_from_outside_are_shown_as_they_are_and_are_never_markup(pages):
    read = Reader(pages["hostile"])
    assert read.of("img", "b") == [{"class": "who"}] * len(read.of("img", "b"))
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    for where in (f"asked {shown}", f"replied {shown}", f"'''{shown}'''", f"by scripted generator: {shown}"):
        assert where in read.text
    assert f"accepted for training: {shown}" in read.text
    assert f"pettingzoo:{shown}:make" in read.text
    assert HOSTILE[:8] not in pages["hostile"]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", pages["hostile"])
    assert html.escape(HOSTILE[:8]) in pages["hostile"]


def test_a_page_that_is_given_away_holds_no_secret_seed_and_no_address(searched_run, tmp_path):
    shutil.copytree(searched_run.path, tmp_path / "run")
    file, seed, host = tmp_path / "run" / "run.toml", 3251696179356522575, "10.1.2.3:8000"
    manifest = tomllib.loads(file.read_text())
    manifest["settings"]["evaluation"]["seed"] = seed
    roles = manifest["settings"]["roles"]
    roles["models"] = {"good": {"model": "small-1", "base_url": f"http://{host}/v1"}}
    roles["generators"] = ["good"]
    file.write_text(toml.dumps(manifest))
    message = f"http://{host}/v1 is slow; {host} answers"
    warning = {"event": "warning", "stage": 1, "round": 1, "message": message}
    with (tmp_path / "run" / "events.jsonl").open("a") as events:
        events.write(json.dumps(warning) + "\n")
    run = PastRun.open(tmp_path / "run")
    page = page_of(run)
    assert str(seed) not in page
    assert "10.1.2.3" not in page
    text = Reader(page).text
    assert "drawn from a seed that is this machine's own, see run.toml" in text
    assert "small-1 at this machine's own, see run.toml" in text
    assert 'seed = "this machine\'s own, see run.toml"' in text
    assert "[this machine's own, see run.toml] is slow" in text


def test_sixty_candidates_and_all_their_words_stay_small(tmp_path):
    run = large(tmp_path / "run")
    told = account(run)
    page = render(told, learning(run, told.family, told.score), terms(run, told.family))
    assert len(told.family) == 60
    assert len(page.encode()) < 5_000_000
    notes = [folded.note for chapter in told.chapters for each in chapter.decisions for folded in each.folded]
    assert any("Left out" in note for note in notes), "what was left out is said"
    assert "candidates/s1r2c30.py has it" in page
    assert all(f"candidate-{kin.id}" in page for kin in told.family)


# ---------------------------------------------------------------- seeds and films


def test_seeds_are_placed_by_their_scores():
    found = ruler([Standing("native", 0.25, (0.0, 0.5), (0.0, 0.5)), Standing("best", 1.0, None, (1.0,))], "coverage")
    assert found is not None
    assert (found.low, found.high) == ("0", "1")
    native, best = found.rows
    assert (native.centre, native.spread, native.seeds) == (25.0, (0.0, 50.0), (0.0, 50.0))
    assert (best.centre, best.spread, best.seeds) == (100.0, None, (100.0,))
    assert native.told == "native: 0.250 [0.000, 0.500]; by seed 0.000, 0.500"


def test_scores_beyond_0_and_1_have_a_line_of_their_own():
    found = ruler([Standing("native", -20.0, (-22.0, -18.0), (-22.0, -18.0))], "return")
    assert found is not None
    assert float(found.low) < -22 < -18 < float(found.high)
    alone = ruler([Standing("native", -20.0, None, (-20.0,))], "return")
    assert alone is not None
    assert alone.rows[0].centre == 50.0


def test_the_film_has_a_still_picture_and_words(runs):
    shot = Shot(data=b"RIFF moving", mime="image/webp", still=b"RIFF still", alt="all <covered>", width=80, height=60)
    read = Reader(page_of(runs["searched"], Film(None, shot, "No networks are left of the native task.")))
    (still,), (moving,) = read.of("source"), read.of("img")
    assert still["srcset"].startswith("data:image/webp;base64,")
    assert "prefers-reduced-motion" in still["media"]
    assert moving["src"].startswith("data:image/webp;base64,")
    assert (moving["alt"], moving["width"], moving["height"]) == ("all <covered>", "80", "60")
    assert "No networks are left of the native task." in read.text


def test_without_a_film_there_is_no_room_for_one(pages):
    assert "behaviour" not in {attributes.get("id") for attributes in Reader(pages["searched"]).of("section")}
