"""One main run whose signal is adapted: its stages, its races, its arms, and whatever fails on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from graph_fakes import (
    Equipment,
    FakeExecutor,
    ScriptedGenerator,
    ScriptedValidator,
    StagedGenerator,
    make_main_run,
    proposal,
    weight_of,
    weighted,
)

from marlsmith.graph.run import start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import NATIVE, Proposal, ProposalBrief, Review

Weights = Mapping[tuple[int, int], Sequence[float]]
BETTER_LATER: Weights = {(1, 1): [-1.0, -2.0, -3.0], (1, 2): [2.0, 1.0, -1.5], (2, 1): [0.5], (2, 2): [-0.5]}
"""The second round of the first stage finds something, the second stage nothing better."""


def equipped(weights: Weights, validator: ScriptedValidator | None = None, **executor: Any) -> Equipment:
    return Equipment(FakeExecutor(**executor), StagedGenerator(weights), validator=validator)


def run(path: Path, equipment: Equipment, name: str = "llm-also", **settings: object) -> list[dict[str, Any]]:
    return list(start(make_main_run(name, **settings), equipment, path))


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def decisions(events: list[dict[str, Any]]) -> list[tuple[int, int, str, str]]:
    """Of rounds: that a race goes on is left out."""
    told = [(e["stage"], e["round"], e["phase"], e["verdict"]["decision"]) for e in named(events, "judged")]
    return [each for each in told if each[3] != "race"]


def trained(equipment: Equipment) -> dict[str, Any]:
    """Requests by branch; none was trained twice."""
    found = {request.branch: request for request in equipment.executor.trained}
    assert len(found) == len(equipment.executor.trained)
    return found


def steps(equipment: Equipment) -> int:
    """Environment steps, all members together, by what the executor was asked for."""
    return sum(request.steps * len(request.seeds) for request in equipment.executor.trained)


# ---------------------------------------------------------------- the whole path


def test_a_refused_round_goes_back_and_a_stage_that_finds_nothing_goes_on_with_what_there_is(tmp_path):
    equipment = equipped(BETTER_LATER)
    events = run(tmp_path / "run", equipment, audit=0)
    assert decisions(events) == [
        (1, 1, "search", "refine"),
        (1, 2, "search", "confirm"),
        (1, 2, "confirm", "accept"),
        (2, 1, "search", "refine"),
        (2, 2, "search", "keep"),
        (3, 1, "search", "refine"),
        (3, 2, "search", "keep"),
    ]
    assert [e["candidate"] for e in named(events, "promoted")] == ["s1r2c1"]
    laps = named(events, "advanced")
    assert [(e["stage"], e["steps"], e["branch"], e["candidate"]) for e in laps] == [
        (0, 0, "main-s0", "native"),
        (1, 400, "s1r2c1", "s1r2c1"),
        (2, 800, "control-s2", "s1r2c1"),
        (3, 1200, "control-s3", "s1r2c1"),
    ]
    asked = trained(equipment)
    assert {name for name in asked if name.startswith("s1r1")} == {"s1r1c1-h1", "s1r1c2-h1", "s1r1c3-h1"}
    second = asked["control-s2-h2"]
    assert (second.start.steps, second.until, second.start.fork) == (400, 800, None)
    assert second.start.signal == weighted(2.0)
    assert asked["plain-h1"].start.signal == NATIVE
    assert (asked["plain-h1"].begins, asked["plain-h1"].ends) == (0, 1200)


def test_the_generator_hears_why_its_round_was_refused(tmp_path):
    equipment = equipped(BETTER_LATER)
    run(tmp_path / "run", equipment, audit=0)
    first, second, *_ = equipment.generator.briefs
    assert first.refused == ()
    assert [each.candidate.id for each in second.refused] == ["s1r1c1", "s1r1c2", "s1r1c3"]
    assert all("dropped in the race: the mean gain" in each.reason for each in second.refused)
    third = next(brief for brief in equipment.generator.briefs if (brief.stage, brief.round) == (2, 1))
    assert third.refused == (), "another stage, another checkpoint"
    assert third.incumbent is not None
    assert third.incumbent.candidate.id == "s1r2c1"


def test_the_best_of_those_that_were_refused_is_a_parent_of_the_next_round(tmp_path):
    equipment = equipped({(1, 1): [0.05]}, noise=0.02)
    run(tmp_path / "run", equipment, stages=1)
    second = equipment.generator.briefs[1]
    assert [each.candidate.id for each in second.refused] == ["s1r1c1"]
    assert second.refused[0].lower_bound is not None
    assert second.refused[0].gain > 0 > second.refused[0].lower_bound
    assert [elite.candidate.id for elite in second.elites] == ["s1r1c1"]


def test_a_branch_is_the_scores_of_all_its_heats_and_its_confirmation_has_other_chances(tmp_path):
    equipment = equipped({(1, 1): [2.0]})
    run(tmp_path / "run", equipment, stages=1)
    directory = RunDirectory.open(tmp_path / "run")
    parts = [directory.required_evaluation(f"s1r1c1-h{heat}") for heat in (1, 2)]
    whole = directory.required_evaluation("s1r1c1")
    assert whole.seeds == parts[0].seeds + parts[1].seeds == tuple(range(8))
    assert whole.scores == parts[0].scores + parts[1].scores
    asked = trained(equipment)
    search, again = asked["s1r1c1-h1"], asked["s1r1c1-confirm-h1"]
    assert search.seeds == again.seeds
    assert (search.start.fork, again.start.fork is None) == (None, False)
    assert again.start.fork == asked["control-s1r1-confirm-h2"].start.fork
    episodes = {name: asked[name].evaluation.seed for name in ("main-s0-h1", "s1r1c1-h1", "s1r1c1-confirm-h1")}
    assert len(set(episodes.values())) == 3
    assert asked["control-s1-h1"].evaluation == search.evaluation
    played = {request.branch: request.evaluation.seed for request in equipment.executor.played}
    assert played["main-s1-h1"] == episodes["main-s0-h1"]
    assert played["final-h1"] == asked["plain-h1"].evaluation.seed
    assert played["final-h1"] not in episodes.values()


def test_a_candidate_that_the_search_flattered_falls_in_its_confirmation(tmp_path):
    class Flattering(FakeExecutor):
        def train(self, request, signal, *others, **named):  # type: ignore[no-untyped-def]
            self.effect = -0.01 if request.branch.endswith(("confirm-h1", "confirm-h2")) else 0.05
            return super().train(request, signal, *others, **named)

    equipment = Equipment(Flattering(workers=1), StagedGenerator({(1, 1): [2.0], (2, 2): [2.0]}))
    events = run(tmp_path / "run", equipment, stages=2, workers=1)
    assert decisions(events)[:3] == [
        (1, 1, "search", "confirm"),
        (1, 1, "confirm", "refine"),
        (1, 2, "search", "keep"),
    ]
    (refused,) = equipment.generator.briefs[1].refused
    assert refused.reason.startswith("not confirmed: ")
    assert named(events, "promoted") == []
    assert events[-1]["promoted"] is False


def test_of_two_that_pass_the_one_that_is_ahead_later_is_promoted(tmp_path):
    """The second gains more in its branch and nothing after it."""
    fading = {"course": lambda signal, clock, seed: 0.05 * weight_of(signal) * (weight_of(signal) < 2.5 or clock < 400)}
    equipment = equipped({(1, 1): [2.0, 2.5]}, **fading)
    events = run(tmp_path / "run", equipment, stages=2, rounds=1, foresight=2)
    assert [d[3] for d in decisions(events)][:2] == ["confirm", "accept"]
    assert [e["candidate"] for e in named(events, "promoted")] == ["s1r1c1"]
    asked = trained(equipment)
    ends = {asked[f"{branch}-confirm-h2"].ends for branch in ("s1r1c1", "s1r1c2", "control-s1r1")}
    assert (ends, asked["s1r1c1-h2"].ends) == ({800}, 400)
    assert named(events, "advanced")[1]["steps"] == 400, "the main run becomes the branch, not its confirmation"
    assert events[-1]["environment_steps"] == steps(equipment)


def test_a_veto_sends_the_round_back(tmp_path):
    veto = ScriptedValidator(second=Review(approve=False, reasons=("it looks away",)))
    equipment = equipped({(1, 1): [2.0], (1, 2): [1.5]}, veto)
    events = run(tmp_path / "run", equipment, stages=1)
    assert named(events, "promoted") == []
    assert [d[3] for d in decisions(events)] == ["confirm", "refine", "confirm", "keep"]
    assert "it looks away" in equipment.generator.briefs[1].refused[0].reason


@pytest.mark.parametrize("name", ["llm-also", "lero+also"])
def test_the_longest_way_through_the_machine_comes_to_its_end(tmp_path, name):
    """Every round is refused in check once, races to its last heat, is confirmed, and is vetoed in the end."""
    veto = ScriptedValidator(second=Review(approve=False, reasons=("no",)))
    equipment = Equipment(FakeExecutor(unsound=lambda signal: weight_of(signal) < 0), Mended(), validator=veto)
    events = run(tmp_path / "run", equipment, name, stages=2, heats=4, candidates=1, margin=-1)
    adapted = [d for d in decisions(events) if d[0] > (name == "lero+also")]
    assert [d[3] for d in adapted] == ["confirm", "refine", "confirm", "keep"] * 2
    assert events[-1]["event"] == "finished"


class Mended(StagedGenerator):
    """Its first answer never holds."""

    def __init__(self) -> None:
        super().__init__({})

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        return [proposal((1.0 if brief.attempt else -1.0) * (brief.stage + brief.round / 10))]


# ---------------------------------------------------------------- the race


@pytest.mark.parametrize(("heats", "sizes"), [(1, [8]), (2, [4, 4]), (3, [2, 3, 3])])
def test_what_the_race_saves_is_what_an_audit_of_all_would_have_cost(tmp_path, heats, sizes):
    weights: Weights = {(1, 1): [2.0, -1.0, -2.0]}
    none, all_of_them = equipped(weights), equipped(weights)
    saved = run(tmp_path / "none", none, stages=1, heats=heats, audit=0)[-1]
    audited = run(tmp_path / "all", all_of_them, stages=1, heats=heats, audit=1)[-1]
    assert [len(trained(none)[f"control-s1-h{heat}"].seeds) for heat in range(1, heats + 1)] == sizes
    assert (saved["main"]["audited"], audited["main"]["missed"]) == (0, 0)
    assert saved["main"]["dropped"] == audited["main"]["dropped"] == audited["main"]["audited"] == 2 * (heats > 1)
    assert audited["main"]["steps_saved"] == 0
    assert steps(all_of_them) - steps(none) == saved["main"]["steps_saved"] == 2 * 400 * sum(sizes[1:])
    for finished, equipment in ((saved, none), (audited, all_of_them)):
        assert finished["environment_steps"] == steps(equipment)
        assert finished["main"]["main_steps"] == 400 * 8
        assert finished["main"]["search_steps"] == steps(equipment) - 400 * 8
    assert saved["best"] == audited["best"]


def test_an_audited_candidate_that_passes_was_missed_by_the_race_and_may_be_promoted(tmp_path):
    """It is a little worse under the first two seeds and much better under all others."""
    late = {"course": lambda signal, clock, seed: weight_of(signal) * (0.2 if seed > 1 else -0.01), "noise": 0.001}
    events = run(tmp_path / "run", equipped({(1, 1): [1.0]}, **late), stages=1, rounds=1, heats=4, audit=1)
    assert [d[3] for d in decisions(events)] == ["confirm", "accept"]
    story = events[-1]["main"]
    assert (story["dropped"], story["audited"], story["missed"], story["steps_saved"]) == (1, 1, 1, 0)
    assert events[-1]["best"]["candidate"] == "s1r1c1"
    missed = run(tmp_path / "no", equipped({(1, 1): [1.0]}, **late), stages=1, rounds=1, heats=4, audit=0)[-1]
    assert (missed["promoted"], missed["main"]["steps_saved"]) == (False, 6 * 400)


def test_the_gate_abstains_where_half_a_branch_says_the_opposite_of_the_whole(tmp_path):
    turning = {"course": lambda signal, clock, seed: weight_of(signal) * (-0.05, 0.15)[clock // 400 % 2], "noise": 1e-4}
    proposed: Weights = {(1, 1): [1.0, 1.5, 2.0, 2.5]}
    settings = {"stages": 1, "rounds": 1, "candidates": 4, "branch_steps": 800}
    events = run(tmp_path / "run", equipped(proposed, **turning), **settings)
    (verdict,) = [e["verdict"] for e in named(events, "judged") if e["verdict"]["decision"] != "race"]
    assert verdict["decision"] == "keep"
    assert "exceeds the margin 0" in verdict["reason"]
    assert "the gate abstains: the rank correlation" in verdict["reason"]
    assert (events[-1]["main"]["competence"], events[-1]["main"]["pairs"]) == (-1.0, 4)
    trusting = run(tmp_path / "trusting", equipped(proposed, **turning), competence=-1, **settings)
    assert [d[3] for d in decisions(trusting)][-1] == "keep", "-1 is no better than -1"
    three = run(tmp_path / "three", equipped({(1, 1): [1.0, 1.5, 2.0]}, **turning), **settings)
    assert three[-1]["promoted"] is True, "of three candidates nothing is known"


# ---------------------------------------------------------------- what fails


@pytest.mark.parametrize("heat", [1, 2])
def test_a_candidate_that_fails_in_a_heat_leaves_the_others_to_race(tmp_path, heat):
    equipment = equipped({(1, 1): [2.5, 2.0, 1.0]}, failing=lambda r: r.branch == f"s1r1c1-h{heat}")
    events = run(tmp_path / "run", equipment, stages=1)
    assert events[-1]["best"]["candidate"] == "s1r1c2"
    assert ("s1r1c1-h2" in trained(equipment)) is (heat == 2)
    failed = RunDirectory.open(tmp_path / "run").required_evaluation("s1r1c1")
    assert failed.error is not None
    assert (failed.score, failed.scores) == (None, ())
    levels = {e["verdict"]["level"] for e in named(events, "judged") if e["phase"] == "search"} - {None}
    assert levels == {0.05 / 3}, "who failed was looked at too"


def test_a_round_in_which_all_fail_says_why_and_goes_back(tmp_path):
    equipment = equipped({(1, 1): [2.0, 1.0], (1, 2): [1.5]}, failing=lambda r: r.branch.startswith("s1r1"))
    events = run(tmp_path / "run", equipment, stages=1)
    first = named(events, "judged")[0]["verdict"]
    assert first["decision"] == "refine"
    assert first["reason"] == "s1r1c1 failed (crash: it crashed); s1r1c2 failed (crash: it crashed)"
    assert [each.candidate.id for each in equipment.generator.briefs[1].failed] == ["s1r1c1", "s1r1c2"]
    assert events[-1]["best"]["candidate"] == "s1r2c1"


def test_a_candidate_that_fails_in_its_confirmation_is_refused(tmp_path):
    equipment = equipped({(1, 1): [2.0], (1, 2): [1.0]}, failing=lambda r: r.branch == "s1r1c1-confirm-h2")
    events = run(tmp_path / "run", equipment, stages=1)
    assert [d[3] for d in decisions(events)] == ["confirm", "refine", "confirm", "accept"]
    assert "s1r1c1-confirm failed (crash): it crashed" in equipment.generator.briefs[1].refused[0].reason
    assert events[-1]["best"]["candidate"] == "s1r2c1"


@pytest.mark.parametrize("carried", [None, 2.0])
def test_where_the_control_fails_the_main_run_stands_still_and_its_clock_goes_on(tmp_path, carried):
    """The candidates of that stage are judged against nothing, so that none of them gets in."""
    weights: Weights = {(1, 1): [carried] if carried else [], (2, 1): [3.0], (2, 2): [2.5], (3, 1): [3.0]}
    equipment = equipped(weights, failing=lambda r: r.branch == "control-s2-h2")
    events = run(tmp_path / "run", equipment)
    laps = named(events, "advanced")
    assert laps[2]["rolled_back_to"] == 1
    given_up = "; the reward of s1r1c1 is given up" if carried else ""
    assert laps[2]["alarm"] == f"control-s2 failed (crash): it crashed{given_up}"
    assert laps[2]["scores"] == laps[1]["scores"]
    assert laps[2]["steps"] == 800
    assert [d for d in decisions(events) if d[0] == 2] == [(2, 1, "search", "keep")]
    third = trained(equipment)["control-s3-h1"]
    assert third.start.steps == 800
    assert third.start.signal == (weighted(carried) if carried else NATIVE)
    assert [e["candidate"] for e in named(events, "promoted")][-1] == "s3r1c1"
    assert laps[2]["candidate"] == "native", "a reward that its own control failed under is given up"


def test_a_main_run_that_cannot_begin_says_so(tmp_path):
    with pytest.raises(Exception, match=r"could not begin \(crash: it crashed\): start a new run"):
        run(tmp_path / "run", equipped({}, failing=lambda r: r.branch == "main-s0-h2"))


def test_a_lap_that_could_not_be_played_has_no_score_and_ends_nothing(tmp_path):
    equipment = equipped({(1, 1): [2.0]}, unplayable=lambda r: r.branch == "main-s1-h2")
    events = run(tmp_path / "run", equipment)
    assert [e["score"] is None for e in named(events, "advanced")] == [False, True, False, False]
    assert events[-1]["best"]["candidate"] == "s1r1c1"
    assert events[-1]["main"]["peak"] == events[-1]["main"]["final"] > 0.5


def test_where_nothing_is_accepted_the_main_run_is_the_control(tmp_path):
    equipment = equipped({(s, r): [1.0, 2.0] for s in (1, 2, 3) for r in (1, 2)}, unsound=lambda signal: True)
    finished = run(tmp_path / "run", equipment)[-1]
    assert set(trained(equipment)) == {
        f"{b}-h{h}" for b in ("main-s0", *(f"control-s{s}" for s in (1, 2, 3))) for h in (1, 2)
    }
    assert (finished["promoted"], finished["best"], finished["gain"]) == (False, None, None)
    assert (finished["main"]["search_steps"], finished["environment_steps"]) == (0, 3 * 400 * 8)
    assert len(finished["native"]["scores"]) == 8


# ---------------------------------------------------------------- arms


def test_without_a_signal_the_main_run_is_one_plain_training(tmp_path):
    equipment = Equipment()
    finished = run(tmp_path / "run", equipment, "also-sparse")[-1]
    assert equipment.generator.briefs == equipment.critic.briefs == []
    assert finished["best"] is None
    refused = equipped({(1, 1): [-1.0, -2.0], (2, 1): [-1.0]})
    assert run(tmp_path / "refused", refused)[-1]["native"] == finished["native"]


def test_one_shot_takes_the_first_signal_and_keeps_it(tmp_path):
    equipment = equipped({(stage, 1): [float(stage)] for stage in (1, 2, 3)})
    events = run(tmp_path / "run", equipment, "also-one-shot")
    assert [brief.stage for brief in equipment.generator.briefs] == [1]
    assert [e["candidate"] for e in named(events, "advanced")] == ["native", "s1r1c1", "s1r1c1", "s1r1c1"]
    assert events[-1]["gain"]["mean"] > 0
    assert "control-s1-h1" not in trained(equipment)


def test_always_accept_takes_whatever_comes_be_it_harmful(tmp_path):
    equipment = equipped({(stage, 1): [-1.0 * stage] for stage in (1, 2, 3)})
    events = run(tmp_path / "run", equipment, "also-always")
    assert [e["candidate"] for e in named(events, "promoted")] == ["s1r1c1", "s2r1c1", "s3r1c1"]
    assert [d[3] for d in decisions(events)] == ["accept"] * 3
    assert events[-1]["environment_steps"] == steps(equipment) == 2 * 3 * 400 * 8, "the main run and the plain one"


def test_where_all_is_accepted_and_nothing_can_be_trained_the_control_goes_on(tmp_path):
    equipment = equipped({(s, 1): [float(s)] for s in (1, 2, 3)}, failing=lambda r: r.branch == "s2r1c1-h2")
    events = run(tmp_path / "run", equipment, "also-always")
    assert [e["verdict"]["decision"] for e in named(events, "judged")] == ["accept", "race", "keep", "accept"]
    assert "s2r1c1 failed (crash: it crashed): the main run goes on" in named(events, "judged")[1]["verdict"]["reason"]
    assert [e["branch"] for e in named(events, "advanced")][1:] == ["s1r1c1", "control-s2", "s3r1c1"]
    assert {"control-s2-h1", "control-s2-h2"} <= set(trained(equipment))


def test_metrics_only_is_the_full_method_without_a_critic(tmp_path):
    full, metrics = equipped(BETTER_LATER), equipped(BETTER_LATER)
    one = run(tmp_path / "full", full)[-1]
    other = run(tmp_path / "metrics", metrics, "also-metrics")[-1]
    assert len(full.critic.briefs) > 0 == len(metrics.critic.briefs)
    assert one["main"] == other["main"]


# ---------------------------------------------------------------- members


def test_two_seeds_can_prove_nothing_and_the_verdict_says_so(tmp_path):
    events = run(tmp_path / "run", equipped({(1, 1): [3.0]}, noise=1e-5), stages=1, rounds=1, search_seeds=2)
    verdict = named(events, "judged")[-1]["verdict"]
    assert verdict["decision"] == "keep"
    assert "2 seeds cannot prove a gain" in verdict["reason"] or "does not exceed" in verdict["reason"]


@pytest.mark.parametrize(("seeds", "heats", "sizes"), [(5, 2, [2, 3]), (3, 8, [1, 1, 1])])
def test_members_are_shared_out_as_evenly_as_can_be(tmp_path, seeds, heats, sizes):
    equipment = equipped({(1, 1): [2.0]})
    run(tmp_path / "run", equipment, stages=1, rounds=1, search_seeds=seeds, heats=heats)
    asked = trained(equipment)
    groups = [asked[f"control-s1-h{heat}"].seeds for heat in range(1, len(sizes) + 1)]
    assert [len(group) for group in groups] == sizes
    assert sum(groups, ()) == tuple(range(seeds))


# ---------------------------------------------------------------- after a search from scratch


def test_the_winner_of_the_prelude_is_carried_from_the_first_step(tmp_path):
    equipment = Equipment(generator=ScriptedGenerator())
    events = run(tmp_path / "run", equipment, "lero+also")
    winner = named(events, "promoted")[0]["candidate"]
    assert winner.startswith("s1r")
    first, *later = named(events, "advanced")
    assert (first["stage"], first["steps"], first["candidate"]) == (1, 0, winner)
    asked = trained(equipment)
    signal = RunDirectory.open(tmp_path / "run").candidate(winner).signal
    assert asked["main-s1-h1"].steps == 0
    assert asked["control-s2-h1"].start.signal == NATIVE
    assert asked["control-s3-h1"].start.signal in (
        signal,
        *(RunDirectory.open(tmp_path / "run").candidate(e["candidate"]).signal for e in later),
    )
    assert [e["stage"] for e in later] == [2, 3, 4]
    assert later[-1]["steps"] == 1200
    assert events[-1]["environment_steps"] == steps(equipment) + sum(
        r.train.steps * len(r.seeds) - r.steps * len(r.seeds) for r in equipment.executor.trained if r.until is None
    )


def test_a_prelude_that_finds_nothing_leaves_the_main_run_native(tmp_path):
    equipment = Equipment(FakeExecutor(effect=0.0, unsound=lambda signal: True))
    events = run(tmp_path / "run", equipment, "lero+also")
    assert named(events, "promoted") == []
    assert {e["candidate"] for e in named(events, "advanced")} == {"native"}
    assert events[-1]["best"] is None
    assert "plain-h1" not in trained(equipment)
