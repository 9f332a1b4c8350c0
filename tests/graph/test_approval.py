"""A promotion that a person decides about: what they are told, what each answer does, and that no answer is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from graph_fakes import Equipment, FakeExecutor, ScriptedGenerator, make_settings, proposal, weight_of, weighted
from test_display import told as shown

from marlsmith.graph.approving.approval import PERSON, Answer, answer_name
from marlsmith.graph.methods import method_from
from marlsmith.graph.run import WaitingForApproval, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.seeds import BEYOND_ALL_RUNS, confirm_seeds
from marlsmith.graph.telling.story import Story, answered
from marlsmith.graph.telling.trace import Event
from marlsmith.marl.config import TrainConfig
from marlsmith.schemas import UserError

YES, NO = Answer(decision="yes"), Answer(decision="no", reason="it is too greedy")
METHODS = ["lero", "llm-also"]
FIRST = [proposal(1.0), proposal(2.0), proposal(1.5)]
"""Of every round: the second one is the best."""


def edit(weight: float) -> Answer:
    return Answer(decision="edit", signal=weighted(weight), reason="mine")


def settings(method: str, **changes: object):
    small = {"approve": True, "rounds": 2, "search_seeds": 8, "audit": 0.0, **changes}
    if method == "lero":
        small |= {"rounds": 1}
    else:
        small.setdefault("stages", 1)
    made = method_from(method, small)
    return make_settings(method=made, train=TrainConfig(steps=made.stages * made.branch_steps))


def equipment(executor: FakeExecutor | None = None) -> Equipment:
    return Equipment(executor or FakeExecutor(), ScriptedGenerator({(1, 0): FIRST, (2, 0): [proposal(2.5)]}))


def asked(run: Path, method: str = "llm-also", outfit: Equipment | None = None, **changes: object) -> Event:
    with pytest.raises(WaitingForApproval):
        list(start(settings(method, **changes), outfit or equipment(), run))
    return question(run)


def again(run: Path, answer: Answer, outfit: Equipment | None = None) -> Event:
    """An answer after which there is another question."""
    with pytest.raises(WaitingForApproval):
        list(resume(run, outfit or equipment(), answer=answer))
    return question(run)


def question(run: Path) -> Event:
    *_, last = RunDirectory.open(run).events()
    assert (last["event"], last["status"]) == ("approval", "asked")
    return last


def events(run: Path, name: str) -> list[Event]:
    return [event for event in RunDirectory.open(run).events() if event["event"] == name]


# ---------------------------------------------------------------- the question


@pytest.mark.parametrize("method", METHODS)
def test_the_question_has_the_grounds_of_the_promotion(tmp_path, method):
    told = asked(tmp_path / "run", method)
    assert (told["candidate"], told["asking"], told["rationale"]) == ("s1r1c2", 1, "try 2.000")
    assert told["verdict"]["decision"] == "accept"
    assert told["code"].startswith("#")
    assert told["before"] == ""
    directory = RunDirectory.open(tmp_path / "run")
    control = "control-s1" if method == "lero" else "control-s1r1"
    branches = (("search", "s1r1c2", "control-s1"), ("confirm", "s1r1c2-confirm", f"{control}-confirm"))
    for part, candidate, other in branches:
        assert told[part]["scores"] == list(directory.required_evaluation(candidate).scores)
        assert told[part]["control_scores"] == list(directory.required_evaluation(other).scores)
    assert told["confirm"]["gain"] == told["verdict"]["gain"]
    trained = [e["evaluation"] for e in events(tmp_path / "run", "tool_result") if not e["branch"].startswith("main-")]
    assert told["cost"]["environment_steps"] == sum(each["steps"] * len(each["seeds"]) for each in trained)


def test_the_signal_that_would_be_replaced_stands_beside_it(tmp_path):
    asked(tmp_path / "run", stages=2)
    second = again(tmp_path / "run", YES, Equipment(generator=ScriptedGenerator({(1, 0): [proposal(4.0)]})))
    assert (second["stage"], second["candidate"]) == (2, "s2r1c1")
    first, code = (tmp_path / "run" / "candidates" / f"{id}.py" for id in ("s1r1c2", "s2r1c1"))
    assert second["before"] == first.read_text()
    assert second["code"] == code.read_text()


def test_a_run_that_waits_asks_again_when_it_is_resumed(tmp_path):
    told = asked(tmp_path / "run")
    seen = []
    with pytest.raises(WaitingForApproval):
        seen.extend(resume(tmp_path / "run", equipment()))
    assert seen == [told]
    assert len(events(tmp_path / "run", "approval")) == 1


# ---------------------------------------------------------------- the answers


def test_a_no_sends_the_round_back_with_the_reason(tmp_path):
    asked(tmp_path / "run")
    outfit = equipment()
    second = again(tmp_path / "run", NO, outfit)
    assert second["candidate"] == "s1r2c1"
    (brief,) = outfit.generator.briefs
    refused = {each.candidate.id: each.reason for each in brief.refused}
    assert refused["s1r1c2"] == "by a person: it is too greedy"
    assert "s1r1c2" not in [elite.candidate.id for elite in brief.elites]
    (heard,) = outfit.critic.briefs
    assert "stage 1 round 1: a person refused s1r1c2: it is too greedy" in heard.history
    assert not any("promoted s1r1c2" in line for line in heard.history)
    last = list(resume(tmp_path / "run", equipment(), answer=NO))[-1]
    assert last["promoted"] is False
    assert last["reason"] == "a person refused the promotion: it is too greedy"
    assert [lap["candidate"] for lap in last["main"]["laps"]] == ["native", "native"]


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("answer", [YES, NO])
def test_a_stage_ends_with_what_the_person_said(tmp_path, gate, answer):
    asked(tmp_path / "run", gate=gate, rounds=1)
    last = list(resume(tmp_path / "run", equipment(), answer=answer))[-1]
    winner = "s1r1c2" if gate else "s1r1c1"
    assert last["main"]["laps"][-1]["candidate"] == (winner if answer is YES else "native")


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_that_passes_is_asked_about_and_promoted(tmp_path, method):
    asked(tmp_path / "run", method)
    outfit = equipment()
    told = again(tmp_path / "run", edit(4.0), outfit)
    assert (told["candidate"], told["asking"]) == ("s1r1c2-edit1", 1)
    made = RunDirectory.open(tmp_path / "run").candidate("s1r1c2-edit1")
    assert (made.author, made.kind, made.parents, made.stage, made.round) == (PERSON, "edit", ("s1r1c2",), 1, 1)
    trained = {request.branch.partition("-h")[0] for request in outfit.executor.trained}
    control = "control-s1-edit1" if method == "lero" else "control-s1r1-edit1"
    assert trained == {"s1r1c2-edit1", "s1r1c2-edit1-confirm", f"{control}-confirm"}
    last = list(resume(tmp_path / "run", equipment(), answer=YES))[-1]
    assert last["promoted"] is True
    assert last["best"]["candidate"] == "s1r1c2-edit1"
    assert last["gain"]["mean"] > 0
    assert [event["candidate"] for event in events(tmp_path / "run", "promoted")] == ["s1r1c2-edit1"]


def test_an_edit_is_confirmed_on_random_numbers_of_its_own(tmp_path):
    asked(tmp_path / "run")
    again(tmp_path / "run", edit(4.0))
    again(tmp_path / "run", edit(5.0))
    calls = {event["branch"]: event["arguments"] for event in events(tmp_path / "run", "tool_call")}
    chances = {name: (said["fork"], said["episodes"]) for name, said in calls.items() if name.endswith("confirm-h1")}
    for each in zip(*chances.values(), strict=True):
        assert len(set(each)) == 3, "neither the random numbers nor the episodes are shared"
    assert chances["s1r1c2-edit2-confirm-h1"] == chances["control-s1r1-edit2-confirm-h1"]


def test_the_seeds_of_an_edit_are_no_others():
    fresh = [confirm_seeds(run, 1, 100, edit) for run in (0, 400_000) for edit in (1, 2)]
    assert len({seed for seeds in fresh for seed in seeds}) == 400
    assert all(BEYOND_ALL_RUNS <= seed < 2**32 for seeds in fresh for seed in seeds)
    assert max(confirm_seeds(400_000, 50, 100)) < BEYOND_ALL_RUNS


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_that_fails_loses_nothing(tmp_path, method):
    asked(tmp_path / "run", method)
    told = again(tmp_path / "run", edit(-3.0))
    assert (told["candidate"], told["asking"]) == ("s1r1c2", 2)
    assert told["verdict"]["decision"] == "accept"
    judged = events(tmp_path / "run", "judged")[-1]
    assert (judged["edit"], judged["phase"], judged["verdict"]["decision"]) == ("s1r1c2-edit1", "search", "keep")
    last = list(resume(tmp_path / "run", equipment(), answer=YES))[-1]
    assert last["best"]["candidate"] == "s1r1c2"
    assert last["promoted"] is True


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("llm-also", "(level 0.05 / 4: it is one candidate more); the person is asked about s1r1c2 again"),
        ("lero", "judge asks about s1r1c2 again: s1r1c2-edit1 gained -"),
    ],
)
def test_of_an_edit_that_fails_it_is_told_what_comes_next_and_what_came_of_it(tmp_path, method, said):
    asked(tmp_path / "run", method)
    again(tmp_path / "run", edit(-3.0))
    text = shown(list(RunDirectory.open(tmp_path / "run").events()))
    assert said in text
    assert "the main run goes on as it is" not in text
    assert "keeps what there is:" not in text
    _, after = text.split("tries s1r1c2-edit1 in the place of s1r1c2")
    assert re.search(r"tried in its place .{,8}s1r1c2-edit1: .*(does not exceed the margin|gained -)", after, re.DOTALL)


def test_told_again_only_the_open_question_is_whole(tmp_path):
    asked(tmp_path / "run")
    again(tmp_path / "run", edit(-3.0))
    past = list(RunDirectory.open(tmp_path / "run").events())
    text = shown(past, Story(again=True, answered=answered(past)))
    assert text.count("person is asked: Promote s1r1c2 into the main run, in stage 1? It gained +") == 1
    assert text.count("seed by seed") == 1
    assert text.index("person is asked") < text.index("tries s1r1c2-edit1") < text.index("seed by seed")


def test_an_edit_that_only_the_search_liked_is_not_confirmed(tmp_path):
    """In the confirmation it is worth nothing, as a signal that luck had picked would be."""

    class Lucky(FakeExecutor):
        def train(self, request, signal, *rest):
            lucky = weight_of(signal) == 4.0 and "confirm" in request.branch
            return super().train(request, weighted(0.0) if lucky else signal, *rest)

    asked(tmp_path / "run")
    told = again(tmp_path / "run", edit(4.0), equipment(Lucky()))
    assert (told["candidate"], told["asking"]) == ("s1r1c2", 2)
    judged = events(tmp_path / "run", "judged")[-1]
    assert (judged["edit"], judged["phase"], judged["verdict"]["decision"]) == ("s1r1c2-edit1", "confirm", "keep")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("weight", "words"), [(2.0, "it is identical to s1r1c2, which was already tried"), (9.0, "not a number")]
)
def test_an_edit_that_is_refused_is_told_and_not_trained(tmp_path, method, weight, words):
    asked(tmp_path / "run", method)
    outfit = equipment(FakeExecutor(unsound=lambda signal: weight_of(signal) > 8))
    told = again(tmp_path / "run", edit(weight), outfit)
    assert (told["candidate"], told["asking"]) == ("s1r1c2", 2)
    check = events(tmp_path / "run", "check")[-1]
    assert check["candidate"] == "s1r1c2-edit1"
    assert words in check["problems"][0]
    assert outfit.executor.trained == []
    assert list(resume(tmp_path / "run", equipment(), answer=YES))[-1]["best"]["candidate"] == "s1r1c2"


def test_a_no_to_an_edit_asks_about_what_it_stood_in_for(tmp_path):
    asked(tmp_path / "run", rounds=1)
    assert again(tmp_path / "run", edit(4.0))["candidate"] == "s1r1c2-edit1"
    told = again(tmp_path / "run", edit(5.0))
    assert (told["candidate"], told["waiting"]) == ("s1r1c2-edit2", "s1r1c2-edit1")
    told = again(tmp_path / "run", NO)
    assert (told["candidate"], told["waiting"]) == ("s1r1c2-edit1", "s1r1c2")
    told = again(tmp_path / "run", NO)
    assert (told["candidate"], told["asking"]) == ("s1r1c2", 2)
    last = list(resume(tmp_path / "run", equipment(), answer=NO))[-1]
    assert last["promoted"] is False
    statuses = [(e["candidate"], e["status"]) for e in events(tmp_path / "run", "approval") if e["status"] != "asked"]
    assert statuses == [
        ("s1r1c2", "edited"), ("s1r1c2-edit1", "edited"), ("s1r1c2-edit2", "refused"),
        ("s1r1c2-edit1", "refused"), ("s1r1c2", "refused"),
    ]  # fmt: skip


# ---------------------------------------------------------------- no answer is lost, none counts twice


def test_an_answer_that_was_kept_is_the_answer(tmp_path):
    """As after a kill between the keeping and the doing."""
    run = tmp_path / "run"
    name = answer_name(asked(run, rounds=1))
    RunDirectory.open(run).once(name, Answer, lambda: NO)
    with pytest.raises(UserError, match=r"was answered already \(no\): go on with `marlsmith resume"):
        list(resume(run, equipment(), answer=YES))
    assert list(resume(run, equipment()))[-1]["promoted"] is False


def test_an_edit_brings_a_signal_and_nothing_else_does():
    for wrong in ({"decision": "edit"}, {"decision": "yes", "signal": weighted(1.0)}):
        with pytest.raises(ValueError, match="brings a signal"):
            Answer.model_validate(wrong)


SCRIPT = Path(__file__).parent / "killed_approval.py"
PLACES = [
    "kept:s1r1c2-answer1",
    "before:edit",
    "decided:edit",
    "train:s1r1c2-edit1-h2",
    "kept:s1r1c2-answer2",
    "train:s1r1c2-edit2-h1",
    "train:control-s1r1-edit2-confirm-h2",
    "kept:s1r1c2-edit2-answer1",
    "decided:yes",
    "advance",
]
WAITS = 10


def to_the_end(directory: Path, places: Sequence[str]) -> dict:
    """One process after the other, each with the answer to what is asked then; some are killed."""
    left = list(places)
    for _ in range(len(left) + 4):
        if left:
            (directory / "marker").write_text(left[0])
        paths = [directory / name for name in ("run", "marker", "log")]
        code = subprocess.run([sys.executable, SCRIPT, *paths], timeout=60, check=False).returncode
        if code == -signal.SIGKILL:
            left.pop(0)
        elif code != WAITS:
            assert (code, left) == (0, [])
            break
    last = list(RunDirectory.open(directory / "run").events())[-1]
    assert last["event"] == "finished"
    return {name: value for name, value in last.items() if name not in ("seconds", "run", "tokens", "money", "jail")}


@pytest.mark.slow
def test_a_run_killed_over_its_questions_ends_like_an_undisturbed_one(tmp_path):
    calm, disturbed = tmp_path / "calm", tmp_path / "disturbed"
    for directory in (calm, disturbed):
        directory.mkdir()
    assert to_the_end(disturbed, PLACES) == to_the_end(calm, [])
    answers = [
        [(e["candidate"], e["asking"], e["status"]) for e in events(directory / "run", "approval")]
        for directory in (calm, disturbed)
    ]
    assert answers[0] == answers[1]
    assert [status for _, _, status in answers[0]] == ["asked", "edited", "asked", "edited", "asked", "approved"]
    trained = (disturbed / "log").read_text().split()
    assert sorted(trained) == sorted(set(trained)) == sorted((calm / "log").read_text().split())
