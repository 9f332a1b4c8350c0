"""What the README shows must work: its signals are accepted, its commands and files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from marlsmith.cli import app
from marlsmith.marl.signals.dynamic import check_signal
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.tasks import make_task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SIGNALS = re.findall(r"```(python|json)\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("language", "text"), SIGNALS, ids=[language for language, _ in SIGNALS])
def test_the_signals_shown_are_accepted(language: str, text: str) -> None:
    name = "signal.json" if language == "json" else "signal.py"
    check_signal(read_signal(name, text), make_task("mpe/simple_spread"), "own")


def test_the_table_lists_every_command() -> None:
    shown = set(re.findall(r"^\| `marlsmith (\w+)", README, re.MULTILINE))
    assert shown == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
