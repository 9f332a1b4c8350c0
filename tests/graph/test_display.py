"""The story of a run as people read it: refusals, repairs, failures, and words that nobody may take for markup."""

from __future__ import annotations

import io
import sys
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

from marlsmith.graph.run import Paused, Stop, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.display import LiveTrace
from marlsmith.graph.telling.story import Story, ending
from marlsmith.graph.telling.trace import Event
from marlsmith.schemas import Citation, EndpointError, Evaluation, Failure, Finding, Proposal, Review


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


def test_what_a_models_proposal_took_is_told_with_it(tmp_path):
    dear = proposal(2.0).model_copy(update={"tokens": 12345, "money": 0.0625})
    counted = proposal(3.0).model_copy(update={"tokens": 678})
    generator = ScriptedGenerator({(1, 0): [dear, counted, proposal(1.0)]})
    lines = story_of(tmp_path / "run", Equipment(generator=generator), rounds=1).splitlines()
    said = {line.split()[1]: lines[number + 2] for number, line in enumerate(lines) if line.startswith("generator s1")}
    assert said["s1r1c1"] == "12,345 tokens, money 0.0625"
    assert said["s1r1c2"] == "678 tokens"
    assert "tokens" not in said["s1r1c3"], "nobody is paid for it"


def test_money_is_told_where_a_price_is_known(tmp_path):
    *_, finished = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    assert "tokens, money 0.25" in told([finished])
    finished["money"] = None
    assert ", money" not in told([finished])


def test_each_pause_is_kept_with_its_reason(tmp_path):
    broken = ScriptedGenerator({(1, 0): EndpointError("nobody [bold]answers")})
    seen: list[Event] = []
    with pytest.raises(EndpointError):
        seen.extend(start(make_settings(rounds=1), Equipment(generator=broken), tmp_path / "run"))
    for _ in range(2):
        with pytest.raises(EndpointError):
            list(resume(tmp_path / "run", Equipment(generator=broken)))
    stop = Stop()
    stop.request()
    with pytest.raises(Paused):
        list(resume(tmp_path / "run", Equipment(), stop=stop))
    kept = list(RunDirectory.open(tmp_path / "run").events())
    reasons = [event["reason"] for event in kept if event["event"] == "paused"]
    assert reasons == ["nobody [bold]answers"] * 3 + ["it was asked to stop"]
    assert "paused nobody [bold]answers\n" in told(kept)
    assert ending(kept, tmp_path) == f"next    marlsmith resume {tmp_path}"
    whole = [*kept, *resume(tmp_path / "run", Equipment())]
    assert ending(whole, tmp_path) is None
    assert [e["event"] for e in whole].count("paused") == 4


def test_where_the_story_breaks_off_it_says_what_to_type(tmp_path):
    assert "marlsmith resume" in str(ending([{"event": "round"}], tmp_path))
    asked = {"event": "approval", "status": "asked"}
    assert f"marlsmith approve {tmp_path} --yes" in str(ending([asked], tmp_path))


def test_where_nobody_reviews_the_check_has_accepted(tmp_path):
    text = story_of(tmp_path / "run", Equipment(), rounds=1, roles={"validator": "none"})
    assert "check s1r1c1 accepted for training" in text
    assert "validator s1r1c1 accepted" not in text
    assert "validator s1r1c1 accepted for training" in story_of(tmp_path / "other", Equipment(), rounds=1)


def test_the_result_leads_to_the_files_and_to_show_only_who_has_not_typed_it(tmp_path):
    *_, finished = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    assert f"next marlsmith show {tmp_path}" in told([finished])
    again = told([finished], Story(again=True))
    assert "marlsmith show" not in again
    assert "/run/main/signal.py" in again
    assert "/run/main/checkpoint.safetensors" in again
    best = finished["best"]["candidate"]
    kept = told([{**finished, "promoted": False}], Story(again=True))
    assert f"/run/candidates/{best}.py" in kept
    assert (tmp_path / "run/candidates" / f"{best}.py").exists()


PLAYER = {
    "role": "critic", "name": "large", "model": "gpt[x]", "address": "https://api.example.org:8443/v1/deep",
    "calls": 1234, "failed": 2, "tokens": 1_000_000, "cached_tokens": 5000, "reasoning_tokens": 0, "money": 12.34567,
    "currency": "US dollars",
}  # fmt: skip
OFFLINE = {**PLAYER, "role": "generator", "name": "offline", "model": None, "calls": 0, "money": None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "critic large, gpt[x] at api.example.org:8443 1,234 calls, 2 failed; 1,000,000 tokens (5,000 cached); "),
        ({}, "; 12.35 US dollars"),
        ({"currency": None}, "; 12.35 in the currency of its price"),
        ({"name": "gpt[x]"}, "critic gpt[x] at api"),
        (
            {"name": None, "reasoning_tokens": 7},
            "critic gpt[x] at api.example.org:8443 1,234 calls, 2 failed; 1,000,000",
        ),
        ({"reasoning_tokens": 7}, "(5,000 cached, 7 reasoning)"),
        ({"name": "manual", "model": None}, "critic a person\n"),
    ],
)
def test_the_result_says_who_played_and_what_it_took(tmp_path, changes, said):
    *_, finished = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    assert [player["name"] for player in finished["roles"]] == ["offline"] * 3
    assert "generator offline" not in told([finished]), "nobody is paid: nothing to tell"
    text = told([{**finished, "roles": [OFFLINE, {**PLAYER, **changes}]}]).replace(" │", "")
    assert "generator offline" in text
    assert said in text.replace("│ ", "")


def test_a_command_that_is_told_beside_the_live_view_can_be_copied(monkeypatch):
    """Whoever prints to standard error meanwhile; the story keeps its layout."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    command = f"marlsmith answer {'/a/long/way' * 12} s1r1a0-1 --editor"
    with LiveTrace(Console(file=shown, width=80, force_terminal=True, color_system=None)) as trace:
        print(command, file=sys.stderr, flush=True)
        trace.tell({"event": "warning", "stage": 1, "round": 1, "message": "word " * 40})
    assert command in shown.getvalue()
    assert max(len(line) for line in shown.getvalue().splitlines() if "word" in line) <= 90
