"""The story of a run as people read it: refusals, repairs, failures, and words that nobody may take for markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from graph_fakes import (
    OPEN,
    SOUND,
    Equipment,
    FakeExecutor,
    ScriptedCritic,
    ScriptedGenerator,
    ScriptedValidator,
    make_settings,
    proposal,
    weight_of,
)
from rich.console import Console

from marlsmith.graph.run import start
from marlsmith.graph.story import Story
from marlsmith.graph.trace import Event
from marlsmith.schemas import Citation, Evaluation, Failure, Finding, Proposal, Review


def told(events: list[Event], story: Story | None = None) -> str:
    """Words in one line each, whatever their layout."""
    console = Console(width=400, color_system=None)
    story = story or Story()
    with console.capture() as captured:
        for event in events:
            for line in story.lines(event):
                console.print(line)
    return "\n".join(" ".join(line.split()) for line in captured.get().splitlines())


def story_of(path: Path, equipment: Equipment, **settings: object) -> str:
    return told(list(start(make_settings(**settings), equipment, path)))


def repair(weight: float, parent: str) -> Proposal:
    return proposal(weight, parent).model_copy(update={"kind": "repair"})


def test_the_trace_tells_who_was_refused_why_and_what_came_of_the_repair(tmp_path):
    script = {
        (1, 0): [proposal(1.0), proposal(9.0), proposal(8.0)],
        (1, 1): [repair(2.0, "s1r1c2"), repair(7.0, "s1r1c3")],
    }
    equipment = Equipment(FakeExecutor(unsound=lambda s: weight_of(s) > 5), ScriptedGenerator(script))
    text = story_of(tmp_path / "run", equipment, rounds=1)
    for words in (
        "check s1r1c2 refused by the dynamic check: not a number",
        "generator is asked to mend s1r1c2, s1r1c3\n",
        "generator s1r1c2-fix1 repair from s1r1c2: try 2.000",
        "validator s1r1c2-fix1 the repair of s1r1c2 is accepted for training",
        "check s1r1c3-fix1 the repair of s1r1c3 is refused by the dynamic check and dropped: not a number",
    ):
        assert words in text, words


def test_several_repairs_are_counted(tmp_path):
    equipment = Equipment(FakeExecutor(unsound=lambda signal: True))
    text = story_of(tmp_path / "run", equipment, rounds=1, candidates=1, repairs=2)
    assert "is asked to mend s1r1c1 (repair 1 of 2)" in text
    assert "is asked to mend s1r1c1-fix1 (repair 2 of 2)" in text
    assert text.count("and dropped") == 1


@pytest.mark.parametrize("stage", ["timeout", "memory", "jail", "crash", "dynamic"])
def test_a_branch_that_failed_says_stage_and_message(tmp_path, stage):
    class Failing(FakeExecutor):
        def train(self, request, *arguments):
            evaluation = super().train(request, *arguments)
            if request.branch != "s1r1c2":
                return evaluation
            shared = evaluation.model_dump(include={"candidate", "branch", "seeds", "steps"})
            return Evaluation(**shared, error=Failure(stage=stage, message="line 7: [bold]gone[/bold]\x1b[2J"))

    text = story_of(tmp_path / "run", Equipment(Failing()), rounds=1)
    assert f"tool s1r1c2 failed ({stage}): line 7: [bold]gone[/bold] [2J" in text
    assert f"s1r1c2 failed {stage}\n" in text  # in the table of the round
    assert "\x1b" not in text


@pytest.mark.parametrize(("report", "said"), [(SOUND, "all refused"), (OPEN, "UNSAFE, open: network")])
def test_the_trace_says_what_the_jail_enforces(tmp_path, report, said):
    events = list(start(make_settings(rounds=1), Equipment(FakeExecutor(report=report)), tmp_path / "run"))
    (line,) = [line for line in told(events[:1]).splitlines() if "jail" in line]
    assert said in line
    assert "GPU" not in line
    events[0]["settings"]["train"]["device"] = "cuda"
    assert f"{said}; with a GPU the jail is wider, and that was not tried" in told(events[:1])
    events[0]["jail"]["profile"] = "accelerator"
    (line,) = [line for line in told(events[:1]).splitlines() if "jail" in line]
    assert "jail for a GPU: " in line
    assert said in line
    assert "not tried" not in line


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        ({"sound": True, "unsafe": False}, None),
        ({"sound": True, "unsafe": True}, "--unsafe-jail was given; the jail was sound all the same"),
        ({"sound": False, "unsafe": True}, "UNSAFE: candidate code ran without a sound jail (--unsafe-jail)"),
        ({"sound": False, "unsafe": False}, "UNSAFE: candidate code ran without a sound jail, or nobody wrote down"),
        (None, None),  # as runs had it before
    ],
)
def test_the_result_bears_the_stamp(tmp_path, standing, said):
    *_, finished = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    assert finished["jail"] == {"sound": True, "unsafe": False}
    finished["jail"] = standing
    text = told([finished])
    assert ("jail" in text) is (said is not None)
    assert said is None or said in text


@pytest.mark.parametrize(
    ("stage", "said"),
    [("static", "the static check"), ("timeout", "the checks (timeout)"), (None, "the checks")],
)
def test_a_refusal_names_the_check_once(tmp_path, stage, said):
    script = {(1, 0): [proposal(9.0)]}
    equipment = Equipment(FakeExecutor(unsound=lambda signal: True), ScriptedGenerator(script))
    events = list(start(make_settings(rounds=1, candidates=1, repairs=0), equipment, tmp_path / "run"))
    (check,) = [event for event in events if event["event"] == "check"]
    text = told([{**check, "stage": stage, "problems": ["one", "two"]}])
    assert f"refused by {said}" in text
    assert ": one; two" in text


def test_a_run_that_was_written_before_the_jail_was_reported_is_told_all_the_same(tmp_path):
    started, *_ = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    del started["jail"]
    del started["settings"]["unsafe_jail"]
    text = told([started])
    assert "points, mappo" in text
    assert "jail" not in text


def several(path: Path, **settings: object) -> list[Event]:
    names = ("mistral", "qwen")
    generators = [ScriptedGenerator(name=name) for name in names]
    equipment = Equipment(generator=generators[0], others=generators[1:])
    return list(start(make_settings(roles={"generators": names}, **settings), equipment, path))


def test_where_generators_share_a_run_the_trace_says_who_and_why(tmp_path):
    text = told(several(tmp_path / "run", rounds=2))
    assert "generator slots by gain per cost: " in text
    assert "qwen slot" in text
    assert "(not tried yet)" in text
    assert "(index " in text
    assert "a training in " in text
    assert "s1r1c1 mistral, new: try" in text or "s1r1c1 qwen, new: try" in text
    alone = story_of(tmp_path / "alone", Equipment(), rounds=1)
    assert "scripted generator" not in alone
    assert "slots by gain" not in alone


def test_what_a_critic_said_without_ground_is_shown_as_dropped_and_told_to_no_role(tmp_path):
    class Inventing(ScriptedCritic):
        def diagnose(self, brief):
            said = super().diagnose(brief)
            claim = Finding(failure="collision", evidence=(Citation(key="[bold]x", value=9),), advice="a")
            return said.model_copy(update={"findings": (*said.findings, claim), "summary": "99% collide"})

    equipment = Equipment(critic=Inventing())
    text = story_of(tmp_path / "run", equipment, rounds=2)
    assert "critic dropped, for it does not hold: collision: there is no evidence under the key '[bold]x'" in text
    assert "the summary says 99%, which stands nowhere" in text
    assert "99% collide" not in text
    told_to_generator = equipment.generator.briefs[1].diagnosis
    assert told_to_generator.dropped == ()
    assert [finding.failure for finding in told_to_generator.findings] == ["precision"]


def test_the_validators_part_in_the_result(tmp_path):
    veto = Review(approve=False, reasons=("[red]bought[/red]",))
    validator = ScriptedValidator(vetoes=["s1r1c2"], second=veto)
    text = story_of(tmp_path / "run", Equipment(validator=validator), rounds=1, repairs=0)
    assert "vetoes the promotion: [red]bought[/red]" in text
    assert "validator refused 1 candidate, which saved 1,600 environment steps, and vetoed 1 promotion" in text
    quiet = story_of(tmp_path / "quiet", Equipment(), rounds=1)
    assert "approves the promotion" in quiet
    assert "validator refused" not in quiet


def test_money_is_told_where_a_price_is_known(tmp_path):
    *_, finished = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    assert "tokens, money 0.25" in told([finished])
    finished["money"] = None
    assert ", money" not in told([finished])
