"""The story of an adapted main run as people read it: stages, races, gate, laps, rollbacks, and what it came to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from graph_fakes import Equipment, FakeExecutor, StagedGenerator, make_main_run, weight_of
from rich.console import Console
from test_display import told

from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import start
from marlsmith.graph.telling.main_run_result import Beside, main_run_result
from marlsmith.graph.telling.story import Story
from marlsmith.graph.telling.trace import Event
from marlsmith.graph.telling.workload import Steps, Workload

FOUND = {(1, 1): [-1.0, -2.0, -3.0], (1, 2): [2.0, 1.0, -1.5], (2, 1): [0.5]}
"""The second round of the first stage finds something, no later one does."""


def events_of(
    path: Path, weights: Mapping[tuple[int, int], Sequence[float]], name: str = "llm-also", **changes: Any
) -> list[Event]:
    fakes = {key: changes.pop(key) for key in ("failing", "course", "noise", "pays") if key in changes}
    equipment = Equipment(FakeExecutor(**fakes), StagedGenerator(weights))
    return list(start(make_main_run(name, **changes), equipment, path))


def one_line(text: str) -> str:
    """Without frames and layout, for what a panel or a table says."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return events_of(tmp_path_factory.mktemp("found") / "run", FOUND, audit=1)


def test_the_panel_says_what_is_trained_and_what_it_takes_to_be_promoted(found):
    text = one_line(told(found[:1]))
    assert "llm-also: 3 stages x 2 rounds x 3 candidates, evolves both" in text
    assert "8 members in 2 heats, 1,200 steps each, 400 a stage and a branch; the shaping fades from 960 on" in text
    shared = "above 0 at level 0.05 / 3 (the candidates of a round share it)"
    assert f"{shared}, then once more on fresh random numbers over 2 stages" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("also-metrics", "critic none"),
        ("also-always", "3 stages x 1 candidate"),
        ("also-always", "what is proposed is taken as it is, and nothing is validated"),
        ("also-one-shot", "1 candidate in the first 1 stage only"),
        ("also-sparse", "nothing is proposed, the main run is trained without a signal"),
        ("lero+also", "lero+also: 3 stages (2 to 4) x 2 rounds x 3 candidates"),
        (
            "lero+also",
            "before stage 1: 4 rounds x 3 candidates from scratch, 4 seeds x 30,000 steps a candidate; the w",
        ),
    ],
)
def test_the_panel_says_which_arm_it_is(name, said):
    event = {"event": "run_started", "run": "RUN", "resumed": False, "settings": make_main_run(name).model_dump()}
    assert said in one_line(told([event]))


def test_each_stage_says_where_the_main_run_stands(found):
    text = told(found)
    headings = [one_line(line) for line in text.splitlines() if "stage " in line and " of 3" in line]
    scores = [event["score"] for event in found if event["event"] == "advanced"]
    assert headings == [
        f"stage 1 of 3, main run at 0 of 1,200 steps, score {scores[0]:.2f}",
        f"stage 2 of 3, main run at 400 of 1,200 steps under s1r2c1, score {scores[1]:.2f}",
        f"stage 3 of 3, main run at 800 of 1,200 steps under s1r2c1, score {scores[2]:.2f}",
    ]
    assert text.count("round 1 of 2") == text.count("round 2 of 2") == 3, "a round is named anew in each stage"


def test_the_race_says_who_is_dropped_and_why_and_who_is_audited(found):
    text = told(found)
    assert "judge the race after heat 1 of 2: s1r2c1 and s1r2c2 go on\n" in text
    assert re.search(
        r"\n\s*s1r2c3 is dropped: the mean gain -0\.\d+ over .*; trained on all the same, to audit the race\n", text
    )
    assert re.search(r"\n\s*s1r2c3 8 0\.\d+ -0\.\d+ \[.*\] -0\.\d+ refused \(audited\)", text)


def test_a_round_that_the_race_has_ended_is_said_to_be(tmp_path):
    text = told(events_of(tmp_path / "run", FOUND, audit=0))
    assert "judge the race has dropped all candidates; the round goes back" in text
    assert re.search(r"\n\s*s1r1c1 4 0\.\d+ -0\.\d+ \[.*\] -0\.\d+ dropped in the race", text)


def test_the_table_of_a_round_has_what_the_gate_went_by(found):
    judged = next(e for e in found if e["event"] == "judged" and e["verdict"]["decision"] == "confirm")
    first = next(row for row in judged["compared"] if row["candidate"] == "s1r2c1")
    verdict = judged["verdict"]
    assert first["gain"] == verdict["gain"]
    assert first["lower_bound"] == verdict["lower_bound"]
    assert tuple(first["interval"]) == tuple(verdict["interval"])
    assert (first["seeds"], first["came"], first["audited"]) == (8, "passed", False)
    low, high = first["interval"]
    row = f"s1r2c1 8 {first['score']:.3f} {first['gain']:+.3f} [{low:+.3f}, {high:+.3f}] {first['lower_bound']:+.3f} "
    assert f"{row}passes the gate" in told(found)


def test_gate_confirmation_and_promotion_are_told_in_turn(found):
    text = told(found)
    assert re.search(r"\n\s*s1r2c1 8 0\.\d+ \+0\.\d+ \[.*\] \+0\.\d+ confirmed\n", text)
    assert re.search(r"\n\s*s1r2c2 8 0\.\d+ \+0\.\d+ \[.*\] \+0\.\d+ gained too, behind s1r2c1\n", text)
    places = [
        text.index(words)
        for words in (
            "judge s1r2c1 and s1r2c2 pass the gate and are trained once more, on fresh random numbers and episodes; of",
            "tool train_branch(s1r2c1-confirm, h1-h2, 8 seeds, 800 steps): ",
            "judge s1r2c1 is confirmed on fresh random numbers and episodes: the one-sided",
            "judge promoted s1r2c1 into the main run, gain +",
            "main run at 400 steps under s1r2c1: ",
        )
    ]
    assert places == sorted(places)
    assert "tool train_branch(plain, h1-h2, 8 seeds, 1,200 steps, without a signal): " in text


def test_a_branch_with_all_its_heats_is_one_line(found):
    text = told(found)
    assert len(re.findall(r"train_branch\(control-s1, h1-h2, 8 seeds\): 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\], ", text)) == 1
    assert "control-s1-h1" not in text
    assert text.count("train_branch(s1r2c1-h1, 4 seeds)") == text.count("train_branch(s1r2c1-h2, 4 seeds)") == 1


def test_a_heat_that_failed_is_told_with_its_fault(tmp_path):
    events = events_of(tmp_path / "run", {(1, 1): [2.0, 1.0]}, failing=lambda r: r.branch == "s1r1c2-h1", stages=1)
    text = told(events)
    assert "tool train_branch(s1r1c2-h1, 4 seeds) failed (crash): it crashed" in text
    assert "s1r1c2 is out: crash: it crashed" in text


def test_the_abstaining_gate_says_which_correlation_it_goes_by(tmp_path):
    course = lambda signal, clock, seed: weight_of(signal) * (-0.05, 0.15)[clock // 400 % 2]  # noqa: E731
    few = {"stages": 1, "rounds": 1, "candidates": 4, "branch_steps": 800}
    text = told(events_of(tmp_path / "run", {(1, 1): [1.0, 1.5, 2.0, 2.5]}, course=course, noise=1e-4, **few))
    assert (
        "but the gate abstains: the rank correlation between earlier and later gains of 4 candidates is -1.00" in text
    )
    over = "gains at one horizon against one about twice as long, 4 candidates"
    assert f"{over}: rank correlation -1.00; at 0 or below the gate abstains" in one_line(text)


def test_a_rollback_is_loud_and_names_the_networks_that_are_left(tmp_path):
    weights = {(1, 1): [2.0]}
    events = events_of(tmp_path / "run", weights, failing=lambda r: r.branch.startswith("control-s3"))
    text = told(events)
    assert "the main run is rolled back" in text
    assert "control-s3 failed (crash): it crashed; the reward of s1r1c1 is given up." in text
    assert "Networks, optimiser and replay are those of stage 2 again" in text
    assert "the clock goes on at 1,200 steps" in text
    shown = one_line(text)
    assert "back to 2" in shown
    (policy,) = re.findall(r"policy +(\S+), (\S+)", shown)
    assert policy == (str(tmp_path / "run/main/main-s2-h1.safetensors"), "main-s2-h2.safetensors")


def test_the_result_is_the_main_run_against_the_same_training_without_a_signal(found):
    finished = found[-1]
    shown, main = one_line(told(found)), finished["main"]
    assert "The main run and the same training without a signal on fresh episodes" in shown
    assert re.search(f"without a signal █+.? +{finished['native']['score']:.3f} ", shown)
    assert f"mean paired gain {finished['gain']['mean']:+.3f}, 95% interval" in shown
    assert f"peak {main['peak']:.3f}, final {main['final']:.3f}, area under the curve {main['area']:.3f}" in shown
    assert "Each stage is played on fresh episodes of its own" in shown
    assert "promoted s1r2c1 after stage 1" in shown
    assert main["dropped"] == main["audited"] > 0, "all of the dropped are audited here"
    assert "0 candidates stopped early, which saved 0 environment steps" in shown
    assert f"{main['audited']} more trained on to audit it, none of which passed the gate after all" in shown
    steps = f"{main['main_steps']:,} environment steps of the main run, {main['search_steps']:,} beside it"
    assert steps in shown
    for lap in main["laps"][1:]:
        assert f"{lap['stage']} {lap['steps']:,} s1r2c1 {lap['score']:.3f} [" in shown


def test_the_files_that_the_result_names_exist(found):
    run = Path(found[-1]["run"])
    shown = one_line(told(found))
    (signal,) = re.findall(r"signal +(/\S+)", shown)
    (first, second) = re.findall(r"policy +(/\S+), (\S+)", shown)[0]
    assert Path(signal).exists()
    assert Path(first).exists()
    assert (run / "main" / second).exists()


def test_the_highest_bound_is_called_that(tmp_path):
    """It may be that of a candidate without any gain, beside one with some and a wide interval."""
    text = told(events_of(tmp_path / "run", {(1, 1): [-1.0]}, audit=1))
    assert "nothing passes the gate; the highest bound is that of s1r1c1: the one-sided" in text
    assert "of the best" not in text


def test_of_a_search_before_it_the_result_says_what_came_of_it_and_what_it_took(tmp_path):
    events = events_of(tmp_path / "run", SEARCHED, "lero+also")
    trained = [e for e in events if e["event"] == "tool_result" and "h" not in e["branch"].split("-")[-1]]
    before = sum(e["evaluation"]["steps"] * len(e["evaluation"]["seeds"]) for e in trained)
    first = events[-1]["main"]["laps"][0]["candidate"]
    assert first != "native"
    shown = one_line(told(events))
    assert f"the search from scratch: {first} was promoted; {before:,} of the steps beside the main run" in shown
    assert "after stage steps under" in shown


def test_a_run_that_never_saw_success_is_advised_to_look_further(found):
    def ends(best: float, score: float) -> str:
        finished = {**found[-1], "promoted": False, "best": None, "gain": None}
        laps = [{**lap, "score": score, "candidate": "native"} for lap in finished["main"]["laps"]]
        finished["main"] = {**finished["main"], "laps": laps}
        settings = RunSettings.model_validate(found[0]["settings"])
        console = Console(width=120, color_system=None)
        with console.capture() as captured:
            for line in main_run_result(finished, settings, Beside(before=0, best=best)):
                console.print(line)
        return one_line(captured.get())

    advice = "Branches of 400 steps saw next to no success: try longer ones (--branch-steps)."
    assert advice in ends(best=0.0, score=0.0)
    assert advice not in ends(best=0.8, score=0.0), "a candidate did, and was refused"
    assert advice not in ends(best=0.0, score=0.3)


def test_where_nothing_was_promoted_the_main_run_is_the_training_without_a_signal(tmp_path):
    events = events_of(tmp_path / "run", {(1, 1): [-1.0]})
    shown = one_line(told(events))
    assert "No signal earned its way in: the main run is the training without a signal, step for step." in shown
    assert f"{events[-1]['native']['score']:.3f}" in shown
    assert "No signal could be compared" not in shown
    assert "promoted nothing" in shown
    assert "signal /" not in shown


def test_a_main_run_that_was_compared_with_nothing_says_so(found, tmp_path):
    alone = one_line(told([{**found[-1], "native": None, "gain": None}]))
    assert "It was not compared with the same training without a signal." in alone
    assert f"main run, s1r2c1 {'█' * 3}" in alone
    nothing = one_line(told([{**found[-1], "native": None, "best": None, "gain": None}]))
    assert "The main run has no score at its end: stage 1 promoted s1r2c1" in nothing


def test_an_arm_without_a_gate_says_that_nothing_was_validated(tmp_path):
    weights = {(stage, 1): [1.0 * stage] for stage in (1, 2, 3)}
    shown = one_line(told(events_of(tmp_path / "always", weights, "also-always")))
    assert "s2r1c1 is taken as it is: this method has no gate" in shown
    assert "Nothing was validated: this method has no gate and takes what is proposed." in shown
    assert "audit" not in shown
    assert "what came of it" not in shown, "there is nothing to compare with"
    sparse = one_line(told(events_of(tmp_path / "sparse", {}, "also-sparse")))
    assert "No signal was taken up" in sparse
    assert sparse.count("nobody is asked for proposals: this method asks nobody") == 3


def test_eighty_columns_are_enough_for_its_tables(found):
    console, story = Console(width=80, color_system=None), Story()
    with console.capture() as captured:
        for event in found:
            for line in story.lines(event):
                console.print(line)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if re.match(r"  (s1r2c\d|control) ", line)]
    assert any(line.rstrip().endswith("passes the gate") for line in rows)
    assert any(line.rstrip().endswith("refused (audited)") for line in rows)


# ---------------------------------------------------------------- how far it is


GAINS = {(stage, round): [1.0, 2.0, -1.0] for stage in (1, 2, 3) for round in (1, 2)}
SEARCHED = {(1, 1): [1.0, 2.0, 3.0], (2, 1): [5.0, -1.0]}


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("llm-also", GAINS),
        ("llm-also", {(1, 1): [-1.0]}),
        ("also-metrics", GAINS),
        ("also-always", GAINS),
        ("also-one-shot", GAINS),
        ("also-sparse", {}),
        ("lero+also", SEARCHED),
        ("lero", SEARCHED),
    ],
)
def test_a_run_never_takes_more_steps_than_was_foreseen_and_ends_with_all_done(tmp_path, name, weights):
    events = events_of(tmp_path / "run", weights, name)
    assert events[-1]["environment_steps"] <= Workload(make_main_run(name)).whole
    steps, totals, shares = Steps(), [], []
    for event in events:
        steps.take(event)
        totals.append(steps.total)
        shares.append(steps.done / steps.total)
    assert totals == sorted(totals, reverse=True), "what is to come only shrinks"
    assert shares == sorted(shares), "the bar never goes back"
    assert steps.done == events[-1]["environment_steps"]
    assert shares[-1] == 1.0


def test_a_run_of_which_everything_passes_takes_what_was_foreseen_for_one_round_a_stage(tmp_path):
    settings = make_main_run(rounds=1, audit=0, search_seeds=8)
    weights = {(stage, 1): [3.0 * stage, 2.9 * stage, 2.8 * stage] for stage in (1, 2, 3)}
    events = events_of(tmp_path / "run", weights, rounds=1, audit=0, noise=1e-6)
    assert [e["candidate"] for e in events if e["event"] == "promoted"] == ["s1r1c1", "s2r1c1", "s3r1c1"]
    assert events[-1]["environment_steps"] == Workload(settings).whole


def test_what_a_killed_process_had_under_way_is_to_be_done_again(found):
    steps = Steps()
    calls = [event for event in found if event["event"] == "tool_call"]
    steps.take(found[0])
    steps.take(calls[2])
    progress = {"event": "progress", "branch": calls[2]["branch"], "steps": 200, "total": 400}
    steps.take(progress)
    assert steps.done == 200 * 4
    steps.interrupted()
    assert steps.done == 0
