"""Whole runs: their course, their last word, and what goes wrong on the way."""

from __future__ import annotations

import json
import threading
import time
import tomllib
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
    weighted,
)

from marlsmith.graph.approving.approval import Answer
from marlsmith.graph.methods import MOST_ROWS, reward_rows
from marlsmith.graph.run import Paused, Stop, WaitingForApproval, recursion_limit, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.config import TrainConfig
from marlsmith.schemas import (
    NATIVE,
    AnswerError,
    Code,
    EndpointError,
    Failure,
    JailReport,
    ObservationConfig,
    Proposal,
    Signal,
    Speed,
    UserError,
)


def run(path: Path, equipment: Equipment | None = None, **settings: object) -> list[dict]:
    return list(start(make_settings(**settings), equipment or Equipment(), path))


def named(events: list[dict], name: str) -> list[dict]:
    return [event for event in events if event["event"] == name]


def test_a_lero_run_goes_through_its_stages_in_order(tmp_path):
    events = run(tmp_path / "run", rounds=2)
    course = [e["event"] for e in events if e["event"] not in ("progress", "tool_call", "tool_result")]
    first = ["run_started", "stage_started", *["proposal"] * 3, *["check"] * 3, "judged"]
    second = ["diagnosis", *["proposal"] * 3, *["check"] * 3, "judged"]
    assert course == [*first, *second, "promotion_review", "judged", "promoted", "finished"]
    assert [e["branch"] for e in named(events, "tool_call")][:1] == ["control-s1"]
    assert {e["branch"] for e in named(events, "tool_result")} == {
        "control-s1",
        *(f"s1r{r}c{c}" for r in (1, 2) for c in (1, 2, 3)),
        "control-s1-confirm",
        f"{events[-1]['best']['candidate']}-confirm",
    }


def test_the_finished_event_keeps_its_contract(tmp_path):
    equipment = Equipment()
    finished = run(tmp_path / "run", equipment)[-1]
    assert set(finished) == {
        "event", "run", "native", "best", "gain", "phase", "promoted", "reason",
        "seconds", "environment_steps", "tokens", "money", "jail", "validator", "roles", "main",
    }  # fmt: skip
    assert set(finished["native"]) == {"score", "scores", "interval", "metrics"}
    assert set(finished["best"]) == {"candidate", "score", "scores", "interval", "metrics"}
    pairs = zip(finished["best"]["scores"], finished["native"]["scores"], strict=True)
    assert finished["gain"]["mean"] == pytest.approx(sum(b - n for b, n in pairs) / 5)
    assert finished["gain"]["interval"][0] < finished["gain"]["mean"] < finished["gain"]["interval"][1]
    assert finished["run"] == str(tmp_path / "run")
    assert finished["promoted"] is True
    assert finished["phase"] == "confirm"
    assert (finished["tokens"], finished["money"]) == (7, 0.25)
    trained = equipment.executor.trained
    assert finished["environment_steps"] == sum(100 * len(request.seeds) for request in trained)
    assert len(trained) == 1 + 12 + 2
    assert json.loads(json.dumps(finished)) == finished


def test_all_candidates_share_their_seeds_and_confirmation_has_fresh_ones(tmp_path):
    equipment = Equipment()
    run(tmp_path / "run", equipment, seed=3)
    search = {r.seeds for r in equipment.executor.trained if not r.branch.endswith("-confirm")}
    confirm = {r.seeds for r in equipment.executor.trained if r.branch.endswith("-confirm")}
    assert len(search) == len(confirm) == 1
    assert not set(*search) & set(*confirm)


def test_the_promoted_policy_is_the_confirmed_one(tmp_path):
    finished = run(tmp_path / "run")[-1]
    best, main = finished["best"]["candidate"], tmp_path / "run" / "main"
    assert (main / "checkpoint.safetensors").read_bytes() == f"{best}-confirm".encode()
    assert json.loads((main / "candidate.json").read_text())["id"] == best
    assert (main / "signal.py").read_text() == (tmp_path / f"run/candidates/{best}.py").read_text()
    evaluation = json.loads((main / "evaluation.json").read_text())
    assert evaluation["checkpoint"] == f"branches/{best}-confirm/checkpoint.safetensors"


def test_a_null_effect_is_kept_out(tmp_path):
    finished = run(tmp_path / "run", Equipment(FakeExecutor(effect=0.0)), seed=1)[-1]
    assert finished["promoted"] is False
    assert "does not exceed" in finished["reason"]
    assert list((tmp_path / "run" / "main").iterdir()) == []


def test_null_proposals_pass_the_gate_in_about_five_percent_of_runs(tmp_path):
    settings = {"rounds": 1, "candidates": 1, "search_seeds": 1, "diagnose": False}
    promoted = sum(
        run(tmp_path / str(seed), Equipment(FakeExecutor(effect=0.0)), seed=seed, **settings)[-1]["promoted"]
        for seed in range(40)
    )
    assert promoted <= 6  # binomial(40, .05): more than 6 in 0.3% of cases


def test_the_critic_and_the_generator_learn_from_the_round_before(tmp_path):
    equipment = Equipment()
    run(tmp_path / "run", equipment, rounds=3)
    first, second, third = equipment.generator.briefs
    assert first.diagnosis is None
    assert (first.elites, first.control, first.tried) == ((), None, ())
    assert second.diagnosis is not None
    assert [len(brief.elites) for brief in (second, third)] == [2, 2]
    assert second.control is not None
    assert len(third.tried) == 6
    scores = [elite.evaluation.score for elite in third.elites]
    assert scores == sorted(scores, reverse=True)
    assert equipment.critic.briefs[0].evidence["native.score"] == pytest.approx(second.control.score, abs=1e-4)
    assert "found precision; nothing promoted; " in equipment.critic.briefs[1].history[-1]
    assert len({brief.seed for brief in equipment.generator.briefs}) == 3


def test_parents_survive_better_than_their_children(tmp_path):
    script = {(1, 0): [proposal(3.0), proposal(2.9), proposal(0.1)], (2, 0): [proposal(0.2), proposal(0.3)]}
    events = run(tmp_path / "run", Equipment(generator=ScriptedGenerator(script)), rounds=2)
    assert [e["population"] for e in named(events, "judged")][:2] == [["s1r1c1", "s1r1c2"]] * 2


def test_rejected_candidates_get_their_repair_pass_and_the_accepted_ones_stay(tmp_path):
    script = {(1, 0): [proposal(1.0), proposal(9.0), proposal(8.0)], (1, 1): [proposal(2.0), proposal(2.5, "s1r1c2")]}
    equipment = Equipment(FakeExecutor(unsound=lambda s: weight_of(s) > 5), ScriptedGenerator(script))
    events = run(tmp_path / "run", equipment, rounds=1)
    repair = equipment.generator.briefs[1]
    assert (repair.attempt, repair.count) == (1, 2)
    assert [r.candidate.id for r in repair.rejected] == ["s1r1c2", "s1r1c3"]
    assert repair.rejected[0].problems == ("not a number",)
    assert [e["candidate"] for e in named(events, "proposal")][3:] == ["s1r1c2-fix1", "s1r1c3-fix1"]
    trained = {r.branch for r in equipment.executor.trained}
    assert {"s1r1c1", "s1r1c2-fix1", "s1r1c3-fix1"} <= trained
    assert not {"s1r1c2", "s1r1c3"} & trained
    (asked,) = named(events, "repair")
    assert (asked["attempt"], asked["repairs"], asked["candidates"]) == (1, 1, ["s1r1c2", "s1r1c3"])


def test_each_candidate_gets_as_many_repairs_as_the_method_has(tmp_path):
    equipment = Equipment(FakeExecutor(unsound=lambda signal: True))
    events = run(tmp_path / "run", equipment, rounds=1, candidates=2, repairs=3)
    assert [brief.attempt for brief in equipment.generator.briefs] == [0, 1, 2, 3]
    assert [(e["attempt"], len(e["candidates"])) for e in named(events, "repair")] == [(1, 2), (2, 2), (3, 2)]
    none = run(tmp_path / "none", Equipment(FakeExecutor(unsound=lambda signal: True)), rounds=1, repairs=0)
    assert named(none, "repair") == []


def test_a_run_whose_candidates_are_all_rejected_keeps_the_native_task(tmp_path):
    equipment = Equipment(FakeExecutor(unsound=lambda signal: True))
    events = run(tmp_path / "run", equipment, rounds=2, repairs=1)
    finished = events[-1]
    assert [brief.attempt for brief in equipment.generator.briefs] == [0, 1, 0, 1]
    assert finished["best"] is finished["gain"] is None
    assert finished["native"]["score"] == pytest.approx(0.3, abs=0.05)
    assert (finished["promoted"], finished["reason"]) == (False, "no candidate has a score")
    assert [r.branch for r in equipment.executor.trained] == ["control-s1"]


def test_a_veto_is_a_rejection_with_its_reasons(tmp_path):
    equipment = Equipment(validator=ScriptedValidator(vetoes=["s1r1c2"]))
    events = run(tmp_path / "run", equipment, rounds=1)
    veto = next(e for e in named(events, "check") if e["candidate"] == "s1r1c2")
    assert (veto["accepted"], veto["by"]) == (False, "validator")
    assert equipment.generator.briefs[1].rejected[0].problems == ("it pays for standing still",)


def test_what_was_tried_or_breaks_the_methods_rules_is_refused_before_it_costs_anything(tmp_path):
    observing = Signal(observation=ObservationConfig(features=(Speed(),)))
    coded = Signal(reward=Code(source="def global_reward(state): ..."))
    signals = [weighted(1.0), weighted(1.0), NATIVE, observing, coded]
    script = {(1, 0): [Proposal(signal=s, kind="new", rationale="") for s in signals]}
    equipment = Equipment(generator=ScriptedGenerator(script))
    limits = {"rounds": 1, "candidates": 5, "repairs": 0, "evolve": "reward", "signals": "config"}
    checks = named(run(tmp_path / "run", equipment, **limits), "check")
    assert [c["accepted"] for c in checks] == [True, False, False, False, False]
    words = ["identical to s1r1c1", "changes nothing", "leave the observation part out", "config signals only"]
    for check, word in zip(checks[1:], words, strict=True):
        assert check["by"] == "rules"
        assert any(word in problem for problem in check["problems"])


def test_a_failed_branch_does_not_stop_its_siblings(tmp_path):
    equipment = Equipment(FakeExecutor(failing=lambda request: request.branch == "s1r1c2"))
    events = run(tmp_path / "run", equipment, rounds=2)
    assert events[-1]["promoted"] is True
    assert [r.candidate.id for r in equipment.generator.briefs[1].failed] == ["s1r1c2"]
    assert equipment.generator.briefs[1].failed[0].problems == ("crash: it crashed",)


def test_when_every_candidate_fails_the_native_task_is_kept(tmp_path):
    equipment = Equipment(FakeExecutor(failing=lambda request: request.candidate != "native"))
    finished = run(tmp_path / "run", equipment, rounds=2)[-1]
    assert (finished["promoted"], finished["best"]) == (False, None)
    assert finished["reason"] == "no candidate has a score"


def test_a_finalist_that_fails_its_confirmation_is_kept_out_and_the_search_stands_in(tmp_path):
    failing = FakeExecutor(failing=lambda r: r.branch.endswith("-confirm") and r.candidate != "native")
    finished = run(tmp_path / "run", Equipment(failing), rounds=1)[-1]
    assert finished["promoted"] is False
    assert "-confirm failed (crash): it crashed" in finished["reason"]
    assert finished["phase"] == "search", "nobody may take these for fresh seeds"
    assert len(finished["best"]["scores"]) == len(finished["native"]["scores"]) == 4


def test_a_failed_control_is_no_reason_to_promote(tmp_path):
    equipment = Equipment(FakeExecutor(failing=lambda request: request.candidate == "native"))
    finished = run(tmp_path / "run", equipment, rounds=1)[-1]
    assert (finished["promoted"], finished["native"], finished["gain"]) == (False, None, None)
    assert finished["best"] is not None


def test_roles_that_answer_uselessly_are_noted_and_the_run_goes_on(tmp_path):
    useless = AnswerError("no JSON in it")
    equipment = Equipment(
        FakeExecutor(unsound=lambda s: weight_of(s) > 5),
        ScriptedGenerator({(1, 0): [proposal(9.0), proposal(1.0), proposal(2.0)], (1, 1): useless}),
        ScriptedCritic(useless),
        ScriptedValidator(error=useless, second=useless),
    )
    events = run(tmp_path / "run", equipment, rounds=2)
    messages = [e["message"] for e in named(events, "warning")]
    assert "scripted generator gave no usable proposal for 1 slot: no JSON in it" in messages
    assert any("critic gave no usable diagnosis" in message for message in messages)
    assert sum("no usable review of s1" in message for message in messages) == 5
    assert any("no usable review of the promotion, which goes on" in message for message in messages)
    assert events[-1]["promoted"] is True


def test_more_proposals_than_wanted_are_dropped_with_a_note(tmp_path):
    script = {(1, 0): [proposal(w) for w in (1, 2, 3, 4)]}
    events = run(tmp_path / "run", Equipment(generator=ScriptedGenerator(script)), rounds=1)
    assert len(named(events, "proposal")) == 3
    assert "proposed 4 signals for 3" in named(events, "warning")[0]["message"]


def test_later_stages_have_their_own_control_and_replace_a_promotion_only_by_a_greater_gain(tmp_path):
    script = {(1, 0): [proposal(3.0), proposal(1.0), proposal(2.0)]}
    equipment = Equipment(FakeExecutor(noise=0.001), ScriptedGenerator(script))
    events = run(tmp_path / "run", equipment, rounds=1, stages=2)
    assert [e["candidate"] for e in named(events, "promoted")] == ["s1r1c1"]
    assert {"control-s1", "control-s2", "control-s1-confirm", "control-s2-confirm"} <= {
        r.branch for r in equipment.executor.trained
    }
    assert events[-1]["best"]["candidate"] == "s1r1c1"
    assert events[-1]["reason"].startswith("stage 1 promoted s1r1c1; since then: ")


def test_a_dead_endpoint_ends_the_iterator_and_the_run_resumes(tmp_path):
    broken = Equipment(generator=ScriptedGenerator({(2, 0): EndpointError("nobody answers")}))
    with pytest.raises(EndpointError):
        run(tmp_path / "run", broken, rounds=2)
    mended = Equipment()
    events = list(resume(tmp_path / "run", mended))
    assert events[0]["event"] == "run_started"
    assert events[0]["resumed"] is True
    assert events[-1]["event"] == "finished"
    assert not {r.branch for r in broken.executor.trained} & {r.branch for r in mended.executor.trained}
    assert events[-1]["tokens"] == 7  # the accounts know of earlier processes: nothing counts twice


@pytest.mark.parametrize("answer", [True, False])
def test_a_promotion_waits_for_its_approval(tmp_path, answer):
    seen = []
    with pytest.raises(WaitingForApproval, match=r"marlsmith approve .* --yes"):
        seen.extend(start(make_settings(rounds=1, approve=True), Equipment(), tmp_path / "run"))
    assert seen[-1]["event"] == "approval"
    assert seen[-1]["status"] == "asked"
    with pytest.raises(WaitingForApproval):
        list(resume(tmp_path / "run", Equipment()))
    said = Answer(decision="yes" if answer else "no", reason="" if answer else "too greedy")
    events = list(resume(tmp_path / "run", Equipment(), answer=said))
    assert named(events, "approval")[-1]["status"] == ("approved" if answer else "refused")
    assert events[-1]["promoted"] is answer
    assert (tmp_path / "run/main/checkpoint.safetensors").exists() is answer
    assert events[-1]["reason"].endswith("a person refused the promotion: too greedy") is not answer


def test_an_answer_that_nobody_asked_for_is_refused(tmp_path):
    broken = Equipment(generator=ScriptedGenerator({(1, 0): EndpointError("nobody answers")}))
    with pytest.raises(EndpointError):
        run(tmp_path / "run", broken)
    with pytest.raises(UserError, match="waits for no approval"):
        list(resume(tmp_path / "run", Equipment(), answer=Answer(decision="yes")))


def test_a_finished_run_says_so_again_and_trains_nothing(tmp_path):
    finished = run(tmp_path / "run", rounds=1)[-1]
    equipment = Equipment()
    assert list(resume(tmp_path / "run", equipment)) == [finished]
    assert equipment.executor.trained == []


def test_a_stop_ends_the_branches_and_the_run_resumes(tmp_path):
    stop, slow = Stop(), FakeExecutor(slow={"s1r1c2": 30.0})
    events = start(make_settings(rounds=1), Equipment(slow), tmp_path / "run", stop=stop)
    while next(events).get("branch") != "s1r1c2":
        pass
    stop.request()
    with pytest.raises(Paused, match="marlsmith resume"):
        list(events)
    mended = Equipment()
    assert list(resume(tmp_path / "run", mended))[-1]["promoted"] is True
    again = {r.branch for r in mended.executor.trained} & {r.branch for r in slow.trained}
    assert again == set()


def test_a_listener_who_leaves_ends_the_branches_and_the_run_resumes(tmp_path):
    slow = FakeExecutor(slow={"s1r1c2": 30.0})
    events = start(make_settings(rounds=1), Equipment(slow), tmp_path / "run")
    while next(events).get("branch") != "s1r1c2":
        pass
    events.close()
    assert slow.closed.is_set()
    assert list(resume(tmp_path / "run", Equipment()))[-1]["promoted"] is True


def test_a_fault_of_the_machine_reaches_the_user_and_the_run_resumes(tmp_path):
    class Full(FakeExecutor):
        def train(self, *arguments, **named):
            raise UserError("no space left: free some")

    with pytest.raises(UserError, match="no space left"):
        run(tmp_path / "run", Equipment(Full()))
    assert list(resume(tmp_path / "run", Equipment()))[-1]["promoted"] is True


def test_nothing_is_left_of_a_run_that_could_not_be_equipped(tmp_path):
    class Refusing(Equipment):
        def equip(self, directory, executor):
            raise UserError("unknown model")

    refusing = Refusing()
    with pytest.raises(UserError, match="unknown model"):
        list(start(make_settings(), refusing, tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
    assert refusing.executor.closed.is_set()


def test_a_jail_that_does_not_hold_ends_a_run_before_anything_is_written(tmp_path):
    class Unjailed(FakeExecutor):
        def jail(self, device="cpu"):
            raise UserError("the jail does not hold: `marlsmith doctor` says more")

    executor = Unjailed()
    with pytest.raises(UserError, match="marlsmith doctor"):
        run(tmp_path / "runs" / "run", Equipment(executor))
    assert list(tmp_path.iterdir()) == []
    assert executor.closed.is_set()


def test_a_taken_place_is_refused_before_the_jail_is_tried(tmp_path):
    class Untouched(Equipment):
        def engage(self, settings):
            raise AssertionError("engaged")

    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="exists"):
        run(tmp_path / "run", Untouched())


def test_the_jail_is_kept_with_the_run_and_examined_anew_when_it_is_resumed(tmp_path):
    unsafe = OPEN.model_copy(update={"unsafe": True})
    broken = Equipment(FakeExecutor(report=unsafe), ScriptedGenerator({(2, 0): EndpointError("nobody answers")}))
    events = []
    with pytest.raises(EndpointError):
        events.extend(start(make_settings(rounds=2, unsafe_jail=True), broken, tmp_path / "run"))
    manifest = tomllib.loads((tmp_path / "run/run.toml").read_text())
    assert manifest["settings"]["unsafe_jail"] is True
    assert (manifest["jail"]["sound"], manifest["jail"]["unsafe"]) == (False, True)
    assert manifest["jail"]["open"] == {"network": ["connect by TCP: it worked"]}
    assert manifest["jail"]["refused"]["exec"] == ["try exec: EPERM"]
    assert manifest["jail"]["missing"] == ["this kernel has no landlock"]
    kept = list(RunDirectory.open(tmp_path / "run").events())
    assert JailReport.model_validate(kept[0]["jail"]) == unsafe

    engaged = []

    class Noting(Equipment):
        def engage(self, settings):
            engaged.append(settings.unsafe_jail)
            return super().engage(settings)

    resumed = list(resume(tmp_path / "run", Noting()))
    assert engaged == [True]
    assert (resumed[0]["resumed"], JailReport.model_validate(resumed[0]["jail"])) == (True, SOUND)
    assert tomllib.loads((tmp_path / "run/run.toml").read_text()) == manifest, "a stamp does not wear off"
    assert resumed[-1]["jail"] == {"sound": False, "unsafe": True}


def broken_off(path):
    """A run that has found its jail sound, and waits to be resumed."""
    broken = Equipment(generator=ScriptedGenerator({(2, 0): EndpointError("nobody answers")}))
    with pytest.raises(EndpointError):
        run(path, broken, rounds=2)
    return tomllib.loads((path / "run.toml").read_text())


@pytest.mark.parametrize("report", [OPEN, SOUND])
def test_whoever_insists_when_resuming_stamps_the_run(tmp_path, report):
    manifest = broken_off(tmp_path / "run")
    unsafe = report.model_copy(update={"unsafe": True})
    resumed = list(resume(tmp_path / "run", Equipment(FakeExecutor(report=unsafe))))
    stamped = tomllib.loads((tmp_path / "run/run.toml").read_text())
    assert (manifest["settings"].pop("unsafe_jail"), stamped["settings"].pop("unsafe_jail")) == (False, True)
    assert (manifest["jail"]["sound"], manifest["jail"]["unsafe"]) == (True, False)
    assert (stamped["jail"]["sound"], stamped["jail"]["unsafe"]) == (report is SOUND, True)
    del manifest["jail"], stamped["jail"]
    assert stamped == manifest, "nothing else has changed"
    assert resumed[0]["settings"]["unsafe_jail"] is True
    assert resumed[-1]["jail"] == {"sound": report is SOUND, "unsafe": True}
    assert list(resume(tmp_path / "run", Equipment())) == [resumed[-1]]


def test_a_stamped_run_says_so_where_its_jail_gets_worse(tmp_path):
    manifest = broken_off(tmp_path / "run")
    file = tmp_path / "run/run.toml"
    file.write_text(file.read_text().replace("unsafe_jail = false", "unsafe_jail = true"))
    unsafe = OPEN.model_copy(update={"unsafe": True})
    list(resume(tmp_path / "run", Equipment(FakeExecutor(report=unsafe))))
    assert tomllib.loads(file.read_text())["jail"]["sound"] is False
    assert manifest["jail"]["sound"] is True


def test_a_refusal_when_resuming_changes_nothing(tmp_path):
    class Unjailed(FakeExecutor):
        def jail(self, device="cpu"):
            raise UserError("the jail does not hold")

    broken_off(tmp_path / "run")
    before = {file: file.read_bytes() for file in (tmp_path / "run").glob("*.*l*") if "sqlite" not in file.name}
    assert {file.name for file in before} == {"run.toml", "events.jsonl"}
    with pytest.raises(UserError, match="does not hold"):
        list(resume(tmp_path / "run", Equipment(Unjailed())))
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("jail", [3, {"system": "Linux", "probes": [{"act": "fork"}]}])
def test_a_report_that_is_none_is_a_damaged_trace(tmp_path, jail):
    broken_off(tmp_path / "run")
    file = tmp_path / "run/events.jsonl"
    first, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([json.dumps({**json.loads(first), "jail": jail}) + "\n", *others]))
    with pytest.raises(UserError, match=r"events\.jsonl is damaged"):
        list(resume(tmp_path / "run", Equipment()))


def test_a_process_that_wrote_down_no_report_has_not_seen_its_jail_hold(tmp_path):
    broken_off(tmp_path / "run")
    file = tmp_path / "run/events.jsonl"
    first, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([json.dumps({**json.loads(first), "jail": None}) + "\n", *others]))
    assert list(resume(tmp_path / "run", Equipment()))[-1]["jail"] == {"sound": False, "unsafe": False}


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_the_jail_is_that_of_the_runs_device(tmp_path, device):
    gpus = SOUND.model_copy(update={"profile": "cpu" if device == "cpu" else "accelerator"})
    executor = FakeExecutor(report=gpus)
    train = TrainConfig(steps=100, device=device)
    events = run(tmp_path / "run", Equipment(executor), rounds=1, train=train)
    assert set(executor.jails) == {device}
    assert events[0]["jail"]["profile"] == gpus.profile
    assert tomllib.loads((tmp_path / "run/run.toml").read_text())["jail"]["profile"] == gpus.profile


def test_signals_are_checked_at_the_size_of_a_training(tmp_path):
    equipment = Equipment()
    run(tmp_path / "run", equipment, rounds=1, search_seeds=2, train=TrainConfig(steps=100, environments=8, rollout=5))
    assert equipment.executor.rows == {2 * 8 * 5}
    assert reward_rows(TrainConfig(environments=4096), 4) == MOST_ROWS


def test_the_longest_way_stays_within_the_recursion_limit(tmp_path):
    equipment = Equipment(FakeExecutor(unsound=lambda s: weight_of(s) > 1.5))
    settings = make_settings(stages=2, rounds=3, repairs=2)
    events = list(start(settings, equipment, tmp_path / "run"))
    assert events[-1]["event"] == "finished"
    tried = 2 + 3  # branch and judge; again to confirm, and approve
    assert recursion_limit(settings.method) == 2 * (1 + 3 * (1 + 2 * 3 + tried) + 1 + tried + 2) + 3


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_as_many_branches_train_at_a_time_as_there_are_workers(tmp_path, workers):
    class Counting(FakeExecutor):
        now = most = 0

        def train(self, *arguments, **named):
            with lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.05)
            with lock:
                self.now -= 1
            return super().train(*arguments, **named)

    lock, executor = threading.Lock(), Counting()
    run(tmp_path / "run", Equipment(executor), rounds=1, workers=workers)
    assert executor.most == workers


def test_progress_is_live_while_branches_wait_for_a_worker(tmp_path):
    slow = FakeExecutor(slow={"s1r1c1": 1.0})
    arrivals = [
        (time.monotonic(), event)
        for event in start(make_settings(rounds=1, workers=1), Equipment(slow), tmp_path / "run")
    ]
    called, done = (
        next(t for t, e in arrivals if e["event"] == name and e["branch"] == "s1r1c1")
        for name in ("tool_call", "tool_result")
    )
    assert done - called > 0.9


def test_progress_is_told_and_not_kept(tmp_path):
    events = run(tmp_path / "run", rounds=1)
    kept = list(RunDirectory.open(tmp_path / "run").events())
    assert len(named(events, "progress")) == 6
    assert kept == [event for event in events if event["event"] != "progress"]
    assert [e["seconds"] for e in kept] == sorted(e["seconds"] for e in kept)


def test_failure_messages_reach_the_trace_in_one_printable_line(tmp_path):
    class Hostile(FakeExecutor):
        def check(self, *arguments, **named):
            return [Failure(stage="static", message="\x1b[31m bad\nthing")]

    events = run(tmp_path / "run", Equipment(Hostile()), rounds=1, repairs=0)
    assert named(events, "check")[0]["problems"] == ["[31m bad thing"]
    assert named(events, "check")[0]["stage"] == "static"


def test_what_a_role_answered_is_read_back_after_a_kill(tmp_path):
    """The process dies after the check was told; a validator that has changed its mind is not asked again."""

    class FailsOnce(FakeExecutor):
        def train(self, *arguments):
            raise UserError("no space left")

    with pytest.raises(UserError):
        run(tmp_path / "run", Equipment(FailsOnce()), rounds=1)
    vetoing = Equipment(validator=ScriptedValidator(vetoes=["s1r1c1", "s1r1c2", "s1r1c3"]))
    (tmp_path / "run/graph.sqlite").unlink()
    events = list(resume(tmp_path / "run", vetoing))
    assert {e["candidate"] for e in named(events, "tool_call")} >= {"s1r1c1", "s1r1c2", "s1r1c3"}
    assert all(event["accepted"] for event in RunDirectory.open(tmp_path / "run").events() if event["event"] == "check")


@pytest.mark.parametrize("branch", ["control-s1-confirm", "{best}-confirm"])
def test_a_promotion_without_its_numbers_is_refused(tmp_path, branch):
    with pytest.raises(WaitingForApproval):
        run(tmp_path / "run", Equipment(), rounds=1, approve=True)
    events = list(RunDirectory.open(tmp_path / "run").events())
    best = named(events, "approval")[-1]["candidate"]
    file = tmp_path / "run/branches" / branch.format(best=best) / "evaluation.json"
    kept = file.read_text()
    file.unlink()
    with pytest.raises(UserError, match=r"evaluation\.json is missing: restore it"):
        list(resume(tmp_path / "run", Equipment(), answer=Answer(decision="yes")))
    file.write_text(kept)
    assert list(resume(tmp_path / "run", Equipment()))[-1]["promoted"] is True


@pytest.mark.parametrize("line", ["[]", "5", "{}", '{"event": 3}', '{"event": "judged"}'])
def test_an_event_that_is_none_is_said_to_be_damage(tmp_path, line):
    run(tmp_path / "run", Equipment(), rounds=1)
    with (tmp_path / "run/events.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="damaged"):
        list(resume(tmp_path / "run", Equipment()))
