"""A run of somebody else is read with care."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from marlsmith.commands.export import export_run
from marlsmith.graph.telling.decisions import Decisions
from marlsmith.graph.telling.story import Story
from marlsmith.results.page.film import film
from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError


def copied(run: PastRun, place: Path) -> Path:
    return Path(shutil.copytree(run.path, place / "copy"))


def test_a_link_in_the_place_of_code_is_not_followed(searched_run: PastRun, tmp_path: Path) -> None:
    run = copied(searched_run, tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("key = 1\n")
    file = run / "candidates" / "s1r1c1.py"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(UserError, match="no plain file"):
        PastRun.open(run).code("s1r1c1")


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"event": "finished"}', '{"event": "paused", "reason": NaN}'],
    ids=["deep", "empty", "nan"],
)
def test_events_that_no_run_tells_are_one_sentence(searched_run: PastRun, tmp_path: Path, line: str) -> None:
    run = copied(searched_run, tmp_path)
    with (run / "events.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"events\.jsonl is damaged in line"):
        PastRun.open(run)


def test_what_hides_in_an_event_is_written_out_for_people(searched_run: PastRun) -> None:
    hostile = {"event": "warning", "stage": 1, "round": 1, "message": "a\x1b[31mb\u202ec"}
    for teller in (Story(), Decisions()):
        told = "".join(str(getattr(line, "renderable", line)) for line in teller.lines(hostile))
        assert "\x1b" not in told
        assert "\u202e" not in told


def test_a_program_of_others_is_started_on_the_users_word_alone(searched_run: PastRun, tmp_path: Path) -> None:
    run, started = copied(searched_run, tmp_path), tmp_path / "started"
    settings = (run / "run.toml").read_text()
    task = f"pettingzoo:os:system?command=touch${{IFS}}{started}"
    named = re.sub(r"(?m)^task = .*$", lambda _: f"task = {json.dumps(task)}", settings, count=1)
    (run / "run.toml").write_text(named)
    past = PastRun.open(run)
    assert past.is_of_others
    assert "--trust-task" in film(past).note
    with pytest.raises(UserError, match="--trust-task"):
        export_run(run, tmp_path / "home", None, trusted=False)
    assert not started.exists()
