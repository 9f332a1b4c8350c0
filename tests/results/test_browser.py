"""The page in a real browser: at once, without a complaint, on a phone, in the dark, and without running anything.

Chromium is spoken to by its DevTools protocol through a pipe. Screenshots stay under the tests' temporary directory.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_runs import asked
from test_page import page_of

from marlsmith.results.page.film import Film, Shot
from marlsmith.results.past import PastRun

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars",
)  # fmt: skip
STILL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGNkZGJmYGAAAAAqAAjaWO5EAAAAAElFTkSuQmCC"
)
MOVING = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgZGIGAAAOAAfXb+R4AAAAAElFTkSuQmCC"
)
"""Two pixels, and one: by that they are told apart."""
LIMIT = 60
"""Seconds without a word from the browser."""
PAGES = ["searched", "adapted", "hostile"]


class Browser:
    """One chromium with one tab."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        theirs, self.to = os.pipe()
        self.answers, mine = os.pipe()
        words = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        script = f'exec "$@" 3<&{theirs} 4>&{mine}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *words], pass_fds=(theirs, mine), stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(mine)
        self.reader = os.fdopen(self.answers, "rb", buffering=0)
        self.rest, self.number, self.session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        pages = [each for each in self.ask("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        self.session = self.ask("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self.number += 1
        told = {"id": self.number, "method": method, "params": parameters}
        told |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(told).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self.number:
                assert "error" not in heard, heard
                return heard["result"]
            self.events.append(heard)

    def open(self, file: Path, width: int, dark: bool = False, still: bool = False) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.events.clear()
        self.ask("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def says(self, expression: str) -> Any:
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self, file: Path) -> None:
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[dict[str, Any]]:
        loud = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [event for event in self.events if event.get("method") in loud]

    def fetched(self) -> list[str]:
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["request"]["url"].startswith("data:")]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.reader], [], [], LIMIT)
            heard = self.reader.read(1 << 20) if ready else b""
            assert heard, "chromium has ended, or says nothing"
            self.rest += heard
        line, _, self.rest = self.rest.partition(b"\0")
        return json.loads(line)

    def close(self) -> None:
        os.close(self.to)
        self.reader.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, searched_run: PastRun, adapted_run: PastRun, hostile_run: PastRun
) -> dict[str, Path]:
    room = tmp_path_factory.mktemp("browser")
    shot = Shot(data=MOVING, mime="image/png", still=STILL, alt="a pixel", width=200, height=200)
    shutil.copytree(searched_run.path, room / "run")
    told = PastRun.open(room / "run")
    asked(told, "critic", "s1r2", [{"role": "user", "content": "which " * 400}], "x" * 3000)
    made = {
        "searched": page_of(told, Film(shot, shot, "one pixel")),
        "adapted": page_of(adapted_run),
        "hostile": page_of(hostile_run),
    }
    for name, page in made.items():
        (room / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: room / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", PAGES)
def test_it_opens_at_once_without_a_complaint_and_fetches_nothing(browser, pages, name):
    browser.open(pages[name], 1280)
    took = browser.says("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < took < 1000, f"{took} ms"
    assert browser.complaints() == []
    assert browser.fetched() == [pages[name].as_uri()]
    assert browser.says("document.title").endswith(("points", ":make"))
    assert browser.says("document.scripts.length") == 0


OPENED = "document.querySelectorAll('details').forEach(each => each.open = true)"
WIDER = """
[...document.querySelectorAll('main *, header *, nav *')]
  .filter(each => !each.closest('pre, .scroll, svg, .skip') && each.getBoundingClientRect().right > 361)
  .map(each => each.outerHTML.slice(0, 200))
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_need_not_scroll_sideways(browser, pages, name, tmp_path):
    browser.open(pages[name], 360)
    browser.says(OPENED)
    browser.picture(tmp_path / f"{name}-360.png")
    assert browser.says(WIDER) == []
    assert browser.says("document.documentElement.scrollWidth") <= 360


CONTRASTS = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    for (let each = node; each; each = each.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(each).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest('title, desc')) continue;
    const style = getComputedStyle(holder), inside = holder.closest('svg');
    const ink = light(parts(inside ? style.fill : style.color)), paper = light(behind(inside ?? holder));
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) poor.add(`${ratio.toFixed(2)} ${holder.outerHTML.slice(0, 90)}`);
  }
  return [...poor];
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_word_stands_out_from_its_ground(browser, pages, name, dark, tmp_path):
    browser.open(pages[name], 1280, dark=dark)
    browser.says(OPENED)
    browser.picture(tmp_path / f"{name}-{'dark' if dark else 'light'}.png")
    paper = browser.says("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)")
    assert browser.says(CONTRASTS) == []


ENDS = """
(() => {
  const box = each => document.querySelector(each).getBoundingClientRect();
  const tracks = [...document.querySelectorAll('.track')].map(each => each.getBoundingClientRect());
  return [...tracks.map(each => [each.left, each.right]),
          [box('.ends span:first-child').left, box('.ends span:last-child').right]];
})()
"""


def test_the_ends_of_the_axis_stand_under_those_of_its_lines(browser, pages):
    for width in (1280, 360):
        browser.open(pages["searched"], width)
        first, *others = browser.says(ENDS)
        assert len(others) == 2
        for each in others:
            assert each == pytest.approx(first, abs=1)


def test_who_asks_for_less_motion_gets_the_still_picture(browser, pages):
    for still in (False, True):
        browser.open(pages["searched"], 1280, still=still)
        shown = "document.querySelector('.film img').naturalWidth"
        assert browser.says(shown) == (2 if still else 1)


def test_everything_can_be_reached_by_name(browser, pages):
    """Of what a screen reader is told: no link, picture or region without a name."""
    browser.open(pages["searched"], 1280)
    browser.ask("Accessibility.enable")
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    browser.ask("Accessibility.disable")
    named = {"link", "image", "region", "table", "navigation", "DisclosureTriangle"}
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node.get("role", {}).get("value") in named
    ]
    assert {role for role, _ in told} >= {"link", "image", "region", "table", "navigation"}
    assert [role for role, name in told if not name.strip()] == []
