"""What the page says of a run, before it is a page."""

from __future__ import annotations

import shutil
from statistics import fmean

import pytest
from graph_fakes import (
    Equipment,
    FakeExecutor,
    ScriptedGenerator,
    ScriptedValidator,
    make_main_run,
    proposal,
    weight_of,
)
from page_runs import CurvedExecutor, adapted, asked, rewritten, searched, waiting

from marlsmith.graph.naming import confirm_branch
from marlsmith.graph.run import start
from marlsmith.results.page import lineage
from marlsmith.results.page.account import account, score_name
from marlsmith.results.page.decisions import Decision
from marlsmith.results.page.lineage import drawing, family
from marlsmith.results.page.parts import Allowance
from marlsmith.results.page.pictures import learning, terms
from marlsmith.results.past import PastRun
from marlsmith.schemas import EndpointError, Review, UserError, paired_scores

MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "which?"}]


@pytest.fixture
def run(searched_run: PastRun) -> PastRun:
    return searched_run


@pytest.fixture
def main_run(adapted_run: PastRun) -> PastRun:
    return adapted_run


def copied(run: PastRun, tmp_path) -> PastRun:
    shutil.copytree(run.path, tmp_path / "run")
    return PastRun.open(tmp_path / "run")


def decisions(run: PastRun) -> list[Decision]:
    return [each for chapter in account(run).chapters for each in chapter.decisions]


# ---------------------------------------------------------------- the answer


def test_the_answer_names_both_scores_their_intervals_and_the_seeds(run):
    found, finished = account(run).answer, run.require_finished()
    native, best = finished["native"], finished["best"]
    assert [standing.scores for standing in found.standings] == [tuple(native["scores"]), tuple(best["scores"])]
    for standing in (native, best):
        low, high = standing["interval"]
        assert f"{standing['score']:.3f} [{low:.3f}, {high:.3f}]" in found.sentence
    assert found.sentence.startswith(f"{best['candidate']} reaches coverage ")
    assert found.sentence.endswith(" on 5 fresh seeds.")
    assert found.why == f"Promoted: {finished['reason']}."
    assert found.gain.startswith(f"{finished['gain']['mean']:+.3f}, 95% interval [")
    assert (found.tone, found.cautions) == ("good", ())
    assert dict(found.files) == {"signal": "main/signal.py", "policy": "main/checkpoint.safetensors"}


def test_a_signal_that_did_not_hold_is_not_praised(tmp_path):
    found = account(searched(tmp_path / "run", Equipment(CurvedExecutor(effect=0.0)), rounds=1)).answer
    assert found.why.startswith("Not promoted: ")
    assert found.tone == "caution"
    assert any("holds 0" in caution for caution in found.cautions)
    assert [name for name, _ in found.files] == ["best"]


def test_scores_of_the_search_are_said_to_flatter(tmp_path):
    failing = lambda request: request.branch.endswith("-confirm")  # noqa: E731
    found = account(searched(tmp_path / "run", Equipment(FakeExecutor(failing=failing)), rounds=1)).answer
    assert "on 4 seeds of the search" in found.sentence
    assert "These are the seeds that chose the best, which they flatter." in found.cautions


def test_a_run_in_which_all_failed_says_so_and_draws_nothing(tmp_path):
    run = searched(tmp_path / "run", Equipment(FakeExecutor(failing=lambda request: True)), rounds=1)
    found = account(run)
    assert found.answer.sentence.startswith("There is no answer: ")
    assert found.answer.standings == ()
    assert {kin.standing for kin in found.family} == {"failed"}
    assert all("it crashed" in kin.came for kin in found.family)
    assert (found.score, found.terms) == ("score", None)
    assert learning(run, found.family, found.score) == ()
    assert terms(run, found.family) == ""


def test_an_adapted_run_is_compared_with_the_training_without_a_signal(main_run):
    found = account(main_run)
    best = main_run.require_finished()["best"]["candidate"]
    assert found.answer.sentence.startswith(f"The main run under {best} reaches coverage ")
    assert "the same training without a signal" in found.answer.sentence
    assert [kin.id for kin in found.family if kin.standing == "promoted"] == [best]
    costs, main = dict(found.costs), main_run.require_finished()["main"]
    assert costs["of them the main run"] == f"{main['main_steps']:,}"
    assert costs["of them beside it"] == f"{main['search_steps']:,}", "one split on the page, and in the story"
    parts = [int(value.replace(",", "")) for name, value in found.costs if name.startswith("of them")]
    assert sum(parts) == main_run.require_finished()["environment_steps"]
    assert costs["environment steps"] == f"{sum(parts):,}"


def test_the_gain_beside_a_score_is_that_of_the_search(main_run):
    best = main_run.require_finished()["best"]["candidate"]
    search, confirmed = (
        next(row["gain"] for event in main_run.of("judged") for row in event["compared"]
             if event["phase"] == phase and event["verdict"]["decision"] != "race" and row["candidate"] == best)
        for phase in ("search", "confirm")
    )  # fmt: skip
    assert search != confirmed
    assert next(kin.gain for kin in family(main_run) if kin.id == best) == search


def test_an_adapted_run_without_a_promotion_is_the_plain_training(tmp_path):
    found = account(adapted(tmp_path / "run", {(1, 1): [-1.0]}, stages=1)).answer
    assert found.sentence.startswith("No signal earned its way in: the main run is the plain training")
    assert found.why.startswith("Not promoted: ")
    assert found.stages == ()


def test_of_several_stages_without_a_promotion_each_says_why(tmp_path):
    run = adapted(tmp_path / "run", {(1, 1): [-1.0], (2, 1): [-2.0]})
    reasons = [event["verdict"]["reason"] for event in run.of("judged") if event["verdict"]["decision"] == "keep"]
    assert len(set(reasons)) == 2
    assert account(run).answer.stages == (f"stage 1: {reasons[0]}", f"stage 2: {reasons[1]}")


def test_a_promotion_beside_an_interval_that_holds_zero_is_explained(run, tmp_path):
    def narrow(event):
        return event | {"gain": {"mean": 0.1, "interval": [-0.01, 0.21]}} if event["event"] == "finished" else event

    (caution,) = account(rewritten(copied(run, tmp_path), narrow)).answer.cautions
    assert "holds 0" in caution
    assert "its one-sided bound on fresh seeds decides" in caution


def test_a_prelude_has_fresh_seeds_and_a_main_run_its_members(tmp_path):
    list(start(make_main_run("lero+also", stages=1, rounds=1), Equipment(CurvedExecutor()), tmp_path / "run"))
    run = PastRun.open(tmp_path / "run")
    fresh = run.of("stage_started")[0]["confirm_seeds"]
    said = dict(account(run).trust)["seeds of the comparison"]
    assert said == f"{', '.join(map(str, fresh))}; the same members, on fresh random numbers and episodes"
    assert "Confirmation on fresh seeds" in [chapter.title for chapter in account(run).chapters]


# ---------------------------------------------------------------- a run that has not ended


def test_a_run_that_waits_says_for_what_and_how_to_answer(tmp_path):
    run = waiting(tmp_path / "run")
    found = account(run)
    assert found.notice is not None
    assert found.notice.words.startswith("This run waits for a person: is s1r1c")
    assert found.notice.command.startswith(f"marlsmith approve {run.path} --yes")
    assert found.answer.sentence.startswith("There is no answer yet. So far the best is s1r1c")
    assert "which they flatter" in found.answer.cautions[0]


def test_a_paused_run_says_why(tmp_path):
    broken = ScriptedGenerator({(2, 0): EndpointError("nobody answers")})
    with pytest.raises(EndpointError):
        searched(tmp_path / "run", Equipment(CurvedExecutor(), broken))
    found = account(PastRun.open(tmp_path / "run"))
    assert found.notice is not None
    assert found.notice.words == "This run is paused: nobody answers"
    assert found.notice.command == f"marlsmith resume {tmp_path / 'run'}"


@pytest.mark.parametrize("events", [0, 1, 9, 14])
def test_a_run_under_way_is_told_as_far_as_it_is(run, tmp_path, events):
    cut = copied(run, tmp_path)
    lines = (cut.path / "events.jsonl").read_text().splitlines(keepends=True)
    (cut.path / "events.jsonl").write_text("".join(lines[:events]))
    found = account(PastRun.open(cut.path))
    assert found.notice is not None
    assert "has not ended" in found.notice.words
    begun = [event for event in PastRun.open(cut.path).events if event["event"] == "proposal"]
    assert len(found.family) == len(begun)


def test_a_training_that_has_begun_is_listed_as_not_ended(run, tmp_path):
    cut = rewritten(
        copied(run, tmp_path), lambda event: None if event["event"] in ("tool_result", "finished") else event
    )
    *_, last = account(cut).chapters
    assert last.title == "Not ended"
    assert "control-s1" in last.decisions[0].words


# ---------------------------------------------------------------- decisions


def test_every_decision_stands_in_its_order(run):
    found = account(run)
    assert [chapter.title for chapter in found.chapters] == [
        "Round 1 of 2",
        "Round 2 of 2",
        "Confirmation on fresh seeds",
    ]
    whos = [each.who for each in found.chapters[1].decisions]
    assert whos == ["critic", *["generator"] * 3, *["validator"] * 3, "tool", "judge"]
    assert [each.who for each in found.chapters[2].decisions] == ["tool", "validator", "judge", "judge"]
    told = {row[0] for each in decisions(run) for table in each.tables for row in table.rows}
    assert told >= set(run.evaluations), "every training has its row"


def test_an_event_of_another_version_is_passed_over(run, tmp_path):
    lines = (run.path / "events.jsonl").read_text().splitlines(keepends=True)
    foreign = copied(run, tmp_path)
    strange = ['{"event": "close"}\n', '{"event": "flush"}\n', '{"event": "code"}\n']
    (foreign.path / "events.jsonl").write_text("".join(lines[:4] + strange + lines[4:]))
    assert decisions(PastRun.open(foreign.path)) == decisions(run)


def test_a_diagnosis_cites_its_evidence(run):
    event = run.of("diagnosis")[0]["diagnosis"]
    (diagnosis,) = [each for each in decisions(run) if each.who == "critic"]
    cited = event["findings"][0]["evidence"][0]
    assert diagnosis.points[0].cited == ((cited["key"], f"{cited['value']:.4g}"),)


def test_refusals_repairs_and_failures_are_told_with_their_reasons(tmp_path):
    script = {
        (1, 0): [proposal(1.0), proposal(9.0), proposal(8.0)],
        (1, 1): [
            proposal(2.0, "s1r1c2").model_copy(update={"kind": "repair"}),
            proposal(7.0, "s1r1c3").model_copy(update={"kind": "repair"}),
        ],
    }
    executor = CurvedExecutor(unsound=lambda signal: weight_of(signal) > 5)
    run = searched(tmp_path / "run", Equipment(executor, ScriptedGenerator(script)), rounds=1)
    for slot, place in ((2, 1), (3, 2)):  # in a repair pass slots are counted among the rejected
        asked(run, "generator", f"s1r1a1/{place}", MESSAGES, f"mends {slot}")
    found = decisions(run)
    refused = [each for each in found if each.tone == "bad"]
    assert [each.subject for each in refused] == ["s1r1c2", "s1r1c3", "s1r1c3-fix1"]
    assert refused[0].points[0].words == "not a number"
    assert any(each.words == "is asked to mend s1r1c2 and s1r1c3 (repair 1 of 1)" for each in found)
    repaired = {each.subject: each for each in found if each.anchor}
    assert repaired["s1r1c2-fix1"].exchanges[0].said[-1].text.text == "mends 2"
    assert repaired["s1r1c3-fix1"].exchanges[0].said[-1].text.text == "mends 3"
    kin = {each.id: each for each in family(run)}
    assert (kin["s1r1c3"].standing, kin["s1r1c3"].came) == ("refused", "refused by the checks: not a number")


def test_a_veto_is_told(tmp_path):
    veto = ScriptedValidator(second=Review(approve=False, reasons=("it stands still",)))
    run = searched(tmp_path / "run", Equipment(CurvedExecutor(), validator=veto), rounds=1)
    (review,) = [each for each in decisions(run) if "promotion" in each.words and each.who == "validator"]
    assert (review.words, review.tone, review.points[0].words) == ("vetoes the promotion", "bad", "it stands still")


def test_code_is_shown_whole_and_against_the_parent(run):
    by_id = {each.subject: each for each in decisions(run) if each.anchor}
    first, second = by_id["s1r1c1"], by_id["s1r2c1"]
    assert [folded.title for folded in first.folded] == ["code, 1 line"]
    parent = second.words.split("from ")[1].split(",")[0]
    assert [folded.title for folded in second.folded] == ["code, 1 line", f"changes to {parent}"]
    signs = dict(second.folded[1].lines)
    assert signs["+"] + "\n" == run.code("s1r2c1")
    assert signs["-"] + "\n" == run.code(parent)


def test_a_new_design_in_an_adapted_run_is_set_against_what_the_main_run_carries(main_run):
    promoted = main_run.of("promoted")[0]["candidate"]
    (later,) = [each for each in decisions(main_run) if each.subject == "s2r1c1" and each.anchor]
    assert later.folded[1].title == f"changes to {promoted}"


def test_lost_code_is_said_to_be_lost(run, tmp_path):
    cut = copied(run, tmp_path)
    (cut.path / "candidates" / "s1r1c1.py").unlink()
    (found,) = [each for each in decisions(cut) if each.anchor == "candidate-s1r1c1"]
    assert "missing" in found.folded[0].note


# ---------------------------------------------------------------- what was asked and answered


def test_prompts_and_replies_stand_with_what_came_of_them(run, tmp_path):
    filled = copied(run, tmp_path)
    for role, place in (
        ("critic", "s1r2"), ("generator", "s1r1a0/2"), ("validator", "s1r1c3/check"), ("validator", "s9/nowhere"),
    ):  # fmt: skip
        asked(filled, role, place, MESSAGES, f"answer at {place}")
    found = account(filled)
    by_place = {
        exchange.place: (each, exchange)
        for chapter in found.chapters
        for each in chapter.decisions
        for exchange in each.exchanges
    }
    assert {place: each.subject or each.who for place, (each, _) in by_place.items()} == {
        "s1r2": "critic", "s1r1a0/2": "s1r1c2", "s1r1c3/check": "s1r1c3",
    }  # fmt: skip
    exchange = by_place["s1r1a0/2"][1]
    assert [said.who for said in exchange.said] == ["always told", "asked", "answered"]
    assert exchange.said[1].text.text == "which?"
    assert exchange.said[2].text.text == "answer at s1r1a0/2"
    assert exchange.cost == "2.5 s; 1,200 tokens asked, 34 answered; money 0.0125"
    assert [each.place for each in found.left] == ["s9/nowhere"], "what no decision came of is not lost"
    assert [text.text for _, text in found.told] == ["be brief"], "and what is always told stands there once"
    assert found.by_role is not None
    assert ("generator", "small-1", "1", "0", "1,234", "2.5", "0.0125") in found.by_role.rows


def test_a_question_asked_again_tells_only_what_is_new(run, tmp_path):
    filled = copied(run, tmp_path)
    asked(filled, "critic", "s1r2", MESSAGES, "first")
    again = [*MESSAGES, {"role": "assistant", "content": "first"}, {"role": "user", "content": "that is no JSON"}]
    asked(filled, "critic", "s1r2", again, "second")
    (found,) = [each for each in decisions(filled) if each.who == "critic"]
    said = [[part.text.text for part in exchange.said] for exchange in found.exchanges]
    assert said == [["be brief", "which?", "first"], ["that is no JSON", "second"]]


def test_what_does_not_fit_is_left_out_and_said_to_be():
    allowance = Allowance(left=100)
    kept, left = allowance.text("a", "x" * 90, "a.py"), allowance.text("b", "<" * 20, "b.py")
    assert (kept.text, kept.note) == ("x" * 90, "")
    assert (left.text, left.note) == ("", "Left out, so that the page stays small: b.py has it.")
    assert allowance.refused == 1


# ---------------------------------------------------------------- the family


def test_the_family_has_scores_gains_and_what_came_of_each(run):
    kin = {each.id: each for each in family(run)}
    control = run.evaluations["control-s1"]
    best = run.require_finished()["best"]["candidate"]
    for id, each in kin.items():
        assert each.score == run.evaluations[id].score
        pairs = paired_scores(control, run.evaluations[id])
        assert len(pairs) == 4
        assert each.gain == pytest.approx(fmean(score - native for score, native in pairs))
    assert kin[best].standing == "promoted"
    again = run.evaluations[confirm_branch(best)].score
    assert kin[best].came == f"promoted, confirmed at {again:.3f}"
    assert kin[best].short == f"{kin[best].score:.3f}→{again:.3f}"
    assert set(kin) == {row[0] for row in lineage.table(family(run)).rows}


def test_who_passed_the_gate_and_was_behind_in_the_confirmation_was_not_refused_by_the_gate(main_run):
    (event,) = [event for event in main_run.of("judged") if event["phase"] == "confirm"]
    rows, kin = {row["candidate"]: row for row in event["compared"]}, {each.id: each for each in family(main_run)}
    first, second = kin["s1r1c1"], kin["s1r1c2"]
    assert first.came.startswith(f"promoted, confirmed at {rows['s1r1c1']['score']:.3f}, gain +")
    said = "passes the gate; in the confirmation gained too, behind s1r1c1, at "
    assert second.came.startswith(f"{said}{rows['s1r1c2']['score']:.3f}, gain +")
    assert (first.standing, second.standing) == ("promoted", "kept")
    assert kin["s1r1c3"].came == "refused by the gate"
    (table,) = [
        table for each in decisions(main_run) for table in each.tables
        if ("s1r1c2", "gained too, behind s1r1c1") in {(row[0], row[-1].partition(":")[0]) for row in table.rows}
    ]  # fmt: skip
    assert table.caption.startswith("Against the control")


def test_in_the_drawing_children_lie_below_their_parents_and_nothing_overlaps(run):
    drawn = drawing(family(run))
    places = {box.kin.id: box for box in drawn.boxes}
    assert set(places) == {each.id for each in family(run)}
    for box in drawn.boxes:
        assert all(places[parent].y < box.y for parent in box.kin.parents)
        assert box.x + lineage.WIDTH <= drawn.width
        assert box.y + lineage.HEIGHT <= drawn.height
        near = [b for b in drawn.boxes if abs(b.x - box.x) < lineage.WIDTH and abs(b.y - box.y) < lineage.HEIGHT]
        assert near == [box]
    parents = sum(len(box.kin.parents) for box in drawn.boxes)
    assert len(drawn.lines) == parents > 0


def test_three_candidates_fit_on_a_phone(run):
    assert drawing(family(run)[:3]).width <= 360 - 2 * 20  # the page's margins


def test_the_way_to_what_was_promoted_is_marked(run):
    kin = family(run)
    best = next(each for each in kin if each.standing == "promoted")
    chosen = [path for path, marked in drawing(kin).lines if marked]
    assert len(chosen) == len(best.parents)


# ---------------------------------------------------------------- old and damaged runs


def test_a_run_without_scores_by_seed_has_its_curves(run, tmp_path):
    def forget(event):
        for point in event.get("evaluation", {}).get("curve", ()):
            del point["scores"]
        return event

    old = rewritten(copied(run, tmp_path), forget)
    assert [picture.title for picture in learning(old, family(old), "coverage")] == ["On fresh seeds", "In the search"]
    assert account(old).answer == account(run).answer


def test_a_candidate_that_is_none_is_damage(run, tmp_path):
    secret = tmp_path / "secret"
    shutil.copy(run.path / "candidates" / "s1r1c1.json", secret.with_suffix(".json"))
    secret.with_suffix(".py").write_text("secret")

    def point_elsewhere(event):
        return event | {"candidate": "../../secret"} if event.get("candidate") == "s1r1c1" else event

    with pytest.raises(UserError, match="damaged"):
        account(rewritten(copied(run, tmp_path), point_elsewhere))


def test_the_score_is_called_by_its_metric(run):
    assert score_name(run) == "coverage"


def test_where_several_metrics_are_the_score_the_task_says_which(run, tmp_path):
    def nothing(event):
        if found := event.get("evaluation"):
            found["metrics"] = {"success": found["score"], "final_success": found["score"]}
        return event

    alike = copied(run, tmp_path)
    assert score_name(rewritten(alike, nothing)) == "score", "nobody knows this task any more"
    file = alike.path / "run.toml"
    file.write_text(file.read_text().replace('task = "points"', 'task = "mpe/simple_spread_sparse"'))
    assert score_name(PastRun.open(alike.path)) == "success"
