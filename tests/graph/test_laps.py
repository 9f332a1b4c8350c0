"""The main run from stage to stage: its files on disk, and how it goes back where a signal did harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from graph_fakes import Equipment, FakeExecutor, StagedGenerator, make_main_run, proposal, weight_of, weighted

from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import NATIVE, Candidate, Evaluation, Failure, ObservationConfig, Proposal, Signal, Speed
from marlsmith.schemas.outcome import FailureStage

HACKING = 2.0


def hacking(after: int, weight: float = HACKING) -> dict[str, Any]:
    """An executor under whose signal of this weight members get worse after so many steps, and earn more."""
    return {
        "course": lambda signal, clock, seed: (
            -0.3 if weight_of(signal) == weight and clock >= after else 0.05 * weight_of(signal)
        ),
        "pays": lambda signal, clock: weight_of(signal) * clock,
    }


def run(path: Path, equipment: Equipment, name: str = "llm-also", **settings: Any) -> list[dict[str, Any]]:
    """Branches of two rollouts, so that their curve has a course; confirmations that look no further ahead."""
    usual = {"branch_steps": 800, "rounds": 1, "foresight": 1}
    return list(start(make_main_run(name, **usual | settings), equipment, path))


def laps(path: Path, first: int = 0) -> list[Lap]:
    directory = RunDirectory.open(path)
    found = [directory.lap(f"main-s{stage}", Lap) for stage in range(first, first + 10)]
    return [lap for lap in found if lap is not None]


def of_the_main_run(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == "advanced"]


def checkpoints(path: Path) -> set[str]:
    return {file.stem for file in (path / "main").glob("main-*.safetensors")}


# ---------------------------------------------------------------- rollback


def test_a_signal_that_hacks_is_undone_and_the_clock_goes_on(tmp_path):
    equipment = Equipment(FakeExecutor(**hacking(after=800)), StagedGenerator({(1, 1): [HACKING], (3, 1): [1.0]}))
    events = run(tmp_path / "run", equipment)
    started, first, second, third = of_the_main_run(events)
    assert (first["candidate"], second["candidate"], third["candidate"]) == ("s1r1c1", "native", "s3r1c1")
    assert (second["rolled_back_to"], second["steps"]) == (1, 1600)
    assert "the score fell by" in second["alarm"]
    assert second["scores"] == first["scores"]
    assert started["alarm"] is first["alarm"] is third["alarm"] is None

    back = laps(tmp_path / "run")[2]
    assert back.signal == NATIVE, "of what was hacked only what the policy reads stays"
    assert back.trained == weighted(HACKING)
    assert back.checkpoints == laps(tmp_path / "run")[1].checkpoints
    control = next(r for r in equipment.executor.trained if r.branch == "control-s3-h1")
    assert (control.start.signal, control.start.steps) == (weighted(HACKING), 1600)

    brief = equipment.critic.briefs[-1]
    assert any("the main run went back to how it was after stage 1: the score fell" in line for line in brief.history)
    finished = events[-1]
    assert [lap["rolled_back_to"] for lap in finished["main"]["laps"]] == [None, None, 1, None]
    assert (finished["best"]["candidate"], finished["promoted"]) == ("s3r1c1", True)
    assert finished["main"]["final"] > first["score"]


def test_a_confirmation_that_looks_ahead_sees_it_coming(tmp_path):
    equipment = Equipment(FakeExecutor(**hacking(after=800)), StagedGenerator({(1, 1): [HACKING]}))
    events = run(tmp_path / "run", equipment, foresight=2)
    assert {lap["candidate"] for lap in of_the_main_run(events)} == {"native"}
    confirmed = next(r for r in equipment.executor.trained if r.branch == "s1r1c1-confirm-h1")
    assert (confirmed.begins, confirmed.ends) == (0, 1600)
    assert events[-1]["main"]["main_steps"] == 2400 * 8


def test_the_signal_before_the_one_that_hacked_is_carried_on_whole(tmp_path):
    better = {(1, 1): [1.0], (2, 1): [HACKING]}
    equipment = Equipment(FakeExecutor(**hacking(after=1200)), StagedGenerator(better))
    # It passes its branch by the first of the two rollouts, and is worse than ever at the next stage.
    events = run(tmp_path / "run", equipment, stages=4, audit=1, margin=-1)
    told = of_the_main_run(events)
    undone = [lap for lap in told if lap["rolled_back_to"] is not None]
    assert [(lap["stage"], lap["branch"], lap["candidate"], lap["rolled_back_to"]) for lap in undone] == [
        (2, "s2r1c1", "s1r1c1", 1)
    ]
    assert laps(tmp_path / "run")[2].signal == weighted(1.0)
    assert told[-1]["candidate"] == "s1r1c1"


def test_it_goes_back_to_the_same_networks_twice_where_it_has_to(tmp_path):
    """The second time too it is told where these come from."""
    falling = {
        "course": lambda signal, clock, seed: 0.0 if signal.is_native else 0.1 if clock < 800 else -0.3,
        "pays": lambda signal, clock: float(clock),
    }
    both = Signal(reward=weighted(1.0).reward, observation=ObservationConfig(features=(Speed(),)))
    executor = FakeExecutor(**falling)
    generator = StagedGenerator({(1, 1): [1.0]})
    generator.propose = lambda brief: [_with(both)] if brief.stage == 1 else []  # type: ignore[method-assign]
    events = run(tmp_path / "run", Equipment(executor, generator), "also-metrics", stages=4, foresight=1)
    assert [lap["rolled_back_to"] for lap in of_the_main_run(events)] == [None, None, 1, 1, 1]
    found = laps(tmp_path / "run")
    assert {lap.checkpoints for lap in found[1:]} == {found[1].checkpoints}
    assert [lap.candidate for lap in found] == ["native", *["s1r1c1"] * 4]
    assert found[2].signal == both.model_copy(update={"reward": None})
    assert [lap.steps for lap in found] == [0, 800, 1600, 2400, 3200]
    assert checkpoints(tmp_path / "run") == {f"main-s{stage}-h{heat}" for stage in (0, 1) for heat in (1, 2)}


def _with(signal: Signal) -> Proposal:
    return proposal(1.0).model_copy(update={"signal": signal})


def test_without_a_signal_nothing_is_ever_undone(tmp_path):
    falling = {"course": lambda signal, clock, seed: -0.2, "pays": lambda signal, clock: float(clock)}
    events = run(tmp_path / "run", Equipment(FakeExecutor(**falling), StagedGenerator({})))
    scores = [lap["score"] for lap in of_the_main_run(events)]
    assert scores == sorted(scores, reverse=True)
    assert {lap["rolled_back_to"] for lap in of_the_main_run(events)} == {None}
    told = events[-1]["main"]
    assert (told["peak"], told["final"]) == (scores[0], scores[-1])
    # Trapezes of equal width, by their whole width.
    assert told["area"] == pytest.approx((scores[0] / 2 + scores[1] + scores[2] + scores[3] / 2) / 3)


# ---------------------------------------------------------------- files


def test_only_the_start_the_best_and_the_latest_keep_their_networks(tmp_path):
    """Of a main run that rises, then falls under no signal: the best stays, whatever comes after it."""
    rising = {"course": lambda signal, clock, seed: 0.1 if clock < 1600 else -0.1}
    run(tmp_path / "run", Equipment(FakeExecutor(**rising), StagedGenerator({})), stages=5)
    assert checkpoints(tmp_path / "run") == {f"main-s{stage}-h{heat}" for stage in (0, 2, 5) for heat in (1, 2)}
    assert len(laps(tmp_path / "run")) == 6, "what was is told of all of them"


def test_what_a_killed_process_had_half_copied_is_cleared_away(tmp_path):
    class Leaving(FakeExecutor):
        def evaluate(self, request, *others):  # type: ignore[no-untyped-def]
            if request.branch.startswith("main-s"):
                (tmp_path / f"run/main/.{request.branch}.safetensors.123.tmp").touch()
            return super().evaluate(request, *others)

    run(tmp_path / "run", Equipment(Leaving(), StagedGenerator({})), "also-sparse", stages=2)
    assert list((tmp_path / "run/main").glob(".*")) == []


def test_branches_keep_no_networks_and_all_their_findings(tmp_path):
    equipment = Equipment(generator=StagedGenerator({(1, 1): [2.0, -1.0]}))
    run(tmp_path / "run", equipment, audit=1)
    places = {file.parent.name for file in (tmp_path / "run/branches").glob("*/checkpoint.safetensors")}
    assert places == {"plain-h1", "plain-h2"}
    directory = RunDirectory.open(tmp_path / "run")
    for request in equipment.executor.trained:
        assert directory.required_evaluation(request.branch).scores


def test_what_the_main_run_carries_stands_where_lero_leaves_its_signal(tmp_path):
    equipment = Equipment(generator=StagedGenerator({(1, 1): [2.0], (2, 1): [3.0]}))
    events = run(tmp_path / "run", equipment, stages=2)
    main, (_, *_, last) = tmp_path / "run/main", of_the_main_run(events)
    assert last["candidate"] == "s2r1c1"
    candidate = Candidate.model_validate_json((main / "candidate.json").read_text())
    evaluation = Evaluation.model_validate_json((main / "evaluation.json").read_text())
    assert (candidate.id, candidate.signal) == ("s2r1c1", weighted(3.0))
    assert (main / "signal.py").read_text() == (tmp_path / "run/candidates/s2r1c1.py").read_text()
    assert evaluation.scores == tuple(last["scores"])
    assert evaluation.checkpoint == "main/main-s2-h1.safetensors"
    assert (tmp_path / "run" / evaluation.checkpoint).read_bytes() == (main / "checkpoint.safetensors").read_bytes()


def test_a_main_run_that_goes_back_to_no_signal_leaves_none_behind(tmp_path):
    equipment = Equipment(FakeExecutor(**hacking(after=800)), StagedGenerator({(1, 1): [HACKING]}))
    events = run(tmp_path / "run", equipment, stages=2)
    assert of_the_main_run(events)[-1]["candidate"] == "native"
    names = {file.name for file in (tmp_path / "run/main").iterdir()}
    assert not names & {"signal.py", "candidate.json", "evaluation.json", "checkpoint.safetensors"}
    assert events[-1]["best"]["candidate"] == "native"
    assert events[-1]["gain"]["mean"] > 0, "what it learned while the signal helped is still its own"


@pytest.mark.parametrize("name", ["llm-also", "lero+also"])
def test_the_start_keeps_its_networks_for_the_plain_training(tmp_path, name):
    equipment = Equipment(FakeExecutor())
    events = run(tmp_path / "run", equipment, name)
    begin = of_the_main_run(events)[0]["stage"]
    assert {f"main-s{begin}-h1", f"main-s{begin}-h2"} < checkpoints(tmp_path / "run")
    plain = next(r for r in equipment.executor.trained if r.branch == "plain-h1")
    assert (plain.start.steps, plain.start.signal, plain.ends) == (0, NATIVE, 2400)


# ---------------------------------------------------------------- a control that fails


class Frail(FakeExecutor):
    """What `fault` says of a training fails it, at that stage of a failure."""

    def __init__(self, fault: Callable[[BranchRequest, Signal], FailureStage | None], **others: Any) -> None:
        super().__init__(**others)
        self.fault = fault

    def train(self, request, signal, *others, **named):  # type: ignore[no-untyped-def]
        stage = self.fault(request, signal)
        if stage is None:
            return super().train(request, signal, *others, **named)
        asked = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds}
        return Evaluation(**asked, steps=request.steps, error=Failure(stage=stage, message="it broke"))


def proposing(signals: Mapping[int, Signal]) -> StagedGenerator:
    """One signal in each of these stages."""
    generator = StagedGenerator({})
    propose = lambda brief: [_with(signals[brief.stage])] if brief.stage in signals else []  # noqa: E731
    generator.propose = propose  # type: ignore[method-assign]
    return generator


def controls(*stages: int) -> tuple[str, ...]:
    return tuple(f"control-s{stage}-h1" for stage in stages)


SPEED = ObservationConfig(features=(Speed(),))


@pytest.mark.parametrize("stage", ["timeout", "environment"])
def test_a_control_that_fails_by_chance_costs_a_stage_and_no_signal(tmp_path, stage):
    executor = Frail(lambda request, signal: stage if request.branch in controls(2) else None)
    run(tmp_path / "run", Equipment(executor, StagedGenerator({(1, 1): [1.0]})))
    _, first, second, third = laps(tmp_path / "run")
    assert (second.signal, second.candidate, second.rolled_back_to) == (weighted(1.0), "s1r1c1", 1)
    assert second.alarm == f"control-s2 failed ({stage}): it broke"
    assert second.checkpoints == first.checkpoints
    assert (third.alarm, third.signal, third.steps) == (None, weighted(1.0), 2400)


@pytest.mark.parametrize(("stage", "failing"), [("timeout", (2, 3)), ("dynamic", (2,)), ("crash", (2,))])
def test_a_reward_under_which_it_fails_again_or_by_itself_is_given_up(tmp_path, stage, failing):
    executor = Frail(lambda request, signal: stage if request.branch in controls(*failing) else None)
    run(tmp_path / "run", Equipment(executor, StagedGenerator({(1, 1): [1.0]})))
    found = laps(tmp_path / "run")
    given_up = found[failing[-1]]
    assert (given_up.signal, given_up.candidate, given_up.trained) == (NATIVE, "native", weighted(1.0))
    assert given_up.alarm.endswith("it broke; the reward of s1r1c1 is given up")
    assert given_up.checkpoints == found[1].checkpoints


def failing_late(after: int) -> Frail:
    """The observation function fails on what only a later stage meets, whatever the reward."""
    return Frail(
        lambda request, signal: "dynamic" if request.begins >= after and signal.observation is not None else None,
        noise=0.001,
    )


def test_networks_whose_observation_fails_are_left_for_those_of_the_start_and_the_main_run_trains_on(tmp_path):
    both = Signal(reward=weighted(1.0).reward, observation=SPEED)
    run(tmp_path / "run", Equipment(failing_late(1600), proposing({1: both})), stages=5)
    begin, first, second, third, fourth, fifth = laps(tmp_path / "run")
    assert first.signal == second.signal == both
    assert (third.signal, third.trained, third.rolled_back_to) == (Signal(observation=SPEED), both, 2)
    assert (fourth.signal, fourth.trained, fourth.candidate) == (NATIVE, NATIVE, "native")
    assert (fourth.checkpoints, fourth.rolled_back_to) == (begin.checkpoints, 0)
    assert (fifth.alarm, fifth.branch, fifth.steps) == (None, "control-s5", 4000)
    assert fifth.checkpoints != begin.checkpoints
    assert fifth.evaluation.scores != begin.evaluation.scores


def test_they_are_left_for_the_last_that_read_something_else_which_are_kept_for_that(tmp_path):
    """Neither the start nor the best nor the latest: such networks would be cleared away."""
    reward, both = weighted(1.0), Signal(reward=weighted(2.0).reward, observation=SPEED)
    equipment = Equipment(failing_late(2400), proposing({1: reward, 2: both}))
    run(tmp_path / "run", equipment, stages=5)
    _, first, _, third, fourth, fifth = laps(tmp_path / "run")
    assert third.signal == both
    assert (fourth.signal, fourth.checkpoints) == (Signal(observation=SPEED), third.checkpoints)
    assert (fifth.signal, fifth.trained, fifth.candidate) == (reward, reward, "s1r1c1")
    assert (fifth.checkpoints, fifth.rolled_back_to) == (first.checkpoints, 1)
    assert set(first.checkpoints) <= {f"main/{name}.safetensors" for name in checkpoints(tmp_path / "run")}


def test_what_lero_found_and_the_main_run_never_read_is_gone_when_it_goes_back_to_its_start(tmp_path):
    both = Signal(reward=weighted(HACKING).reward, observation=SPEED)
    executor = FakeExecutor(course=lambda signal, *_: -0.3 if signal.reward else 0.0, pays=lambda _, clock: clock)
    run(tmp_path / "run", Equipment(executor, proposing({1: both})), "lero+also")
    begin, first, *_ = laps(tmp_path / "run", first=1)
    assert (begin.signal, begin.trained) == (both, NATIVE)
    assert first.rolled_back_to == 1
    assert (first.signal, first.trained, first.checkpoints) == (NATIVE, NATIVE, begin.checkpoints)
    assert "fell" in first.alarm


@pytest.mark.parametrize(("level", "undone"), [(0.05, None), (0.3, 1)])
def test_each_of_six_looks_has_a_sixth_of_the_level(tmp_path, level, undone):
    """Six members of eight lose .3 and two gain .1: t = 3.06 with p = .009, by signs p = 4 / 256; .05 / 6 = .008."""

    def course(signal: Signal, clock: int, seed: int) -> float:
        return (0.05 if seed % 4 == 0 else -0.15) if 800 <= clock < 1600 else 0.05 * weight_of(signal)

    equipment = Equipment(FakeExecutor(course=course, noise=1e-5), StagedGenerator({(1, 1): [1.0]}))
    events = run(tmp_path / "run", equipment, stages=6, level=level)
    told = of_the_main_run(events)
    assert [lap["candidate"] for lap in told[:2]] == ["native", "s1r1c1"]
    assert [lap["rolled_back_to"] for lap in told][2] == undone


def test_what_was_given_up_is_no_measure_for_what_came_after(tmp_path):
    """Else the monitor would go back to the better networks that cannot be trained, stage after stage."""
    both = Signal(reward=weighted(2.0).reward, observation=SPEED)
    run(tmp_path / "run", Equipment(failing_late(2400), proposing({1: weighted(1.0), 2: both})), stages=8)
    told = laps(tmp_path / "run")
    assert [lap.rolled_back_to for lap in told] == [None, None, None, None, 3, 1, None, None, None]
    assert told[3].evaluation.score > told[8].evaluation.score > told[6].evaluation.score
