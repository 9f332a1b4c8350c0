"""What a person sees who is to decide about a promotion."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from marlsmith.graph.approving.case import ApprovalCase, Comparison, Cost
from marlsmith.graph.approving.sheet import MOST_LINES, MOST_SEEDS, approval_sheet
from marlsmith.graph.judging.comparing import comparison
from marlsmith.schemas import Citation, CurvePoint, Diagnosis, Evaluation, Finding, Verdict, plain

BEFORE = "import torch\n\n\ndef agent_reward(state):\n    return -state.agent_pos.norm(dim=-1)\n"
AFTER = BEFORE.replace("-state.agent_pos", "-2 * state.agent_pos")
VERDICT = Verdict(
    decision="accept", candidate="s3r1c2", reason="it exceeds the margin", gain=0.25, interval=(0.125, 0.375)
)
FOUND = Finding(failure="overlap", evidence=(Citation(key="main.behaviour.overlap", value=0.4213),), advice="part them")


def curve(slope: float) -> tuple[CurvePoint, ...]:
    steps = range(2_500, 20_001, 2_500)
    return tuple(CurvePoint(steps=s, score=slope * s, native_return=s / 1e4, shaped_return=-s / 1e4) for s in steps)


CASE = ApprovalCase(
    diagnosis=Diagnosis(summary="They crowd.", findings=(FOUND,)),
    rationale="Twice the pull.",
    code=AFTER,
    before=BEFORE,
    curves={"candidate": curve(3e-5), "control": curve(1e-5)},
    search=Comparison(gain=0.3, interval=(0.2, 0.4), scores=(0.5, 0.25), control_scores=(0.25, 0.5)),
    confirm=Comparison(gain=0.25, interval=(0.125, 0.375), scores=(0.75,), control_scores=(0.5,)),
    cost=Cost(environment_steps=1_440_000, seconds=38.2, tokens=12_345, money=0.0421),
)


def sheet(
    case: ApprovalCase,
    width: int = 80,
    verdict: Verdict = VERDICT,
    run: str = "runs/a",
    edits: Mapping[str, str] | None = None,
    **fields: object,
) -> str:
    event: dict[str, Any] = {"event": "approval", "status": "asked", "stage": 3, "candidate": "s3r1c2"}
    event |= {"verdict": plain(verdict), **plain(case), "seconds": 1.0, **fields}
    console = Console(width=width, file=io.StringIO(), highlight=False)
    with console.capture() as said:
        console.print(approval_sheet(event, run, edits or {}))
    return said.get()


def words(text: str) -> str:
    """Without the frame and the places where lines were broken."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("width", [80, 120])
def test_everything_that_the_answer_rests_on_is_there(width: int) -> None:
    text = sheet(CASE, width)
    assert max(map(len, text.splitlines())) <= width
    said = words(text)
    told = ["Promote s3r1c2 into the main run, in stage 3?", "It gained +0.25, 95% interval +0.125 to +0.375."]
    told += ["They crowd.", "overlap (main.behaviour.overlap = 0.4213): part them", "Twice the pull."]
    told += ["- return -state.agent_pos.norm(dim=-1)", "+ return -2 * state.agent_pos.norm(dim=-1)"]
    told += ["whole: runs/a/candidates/s3r1c2.py", "0.075 to 0.6 0.25 to 2 -0.25 to -2", "● candidate ○ control"]
    told += ["search: gain +0.3, 95% interval +0.2 to +0.4, better in 1 of 2 seeds", "gain +0.25 -0.25"]
    told += ["confirmation, fresh: gain +0.25", "it exceeds the margin"]
    told += ["1,440,000 environment steps, 38 s, 12,345 tokens, money 0.0421"]
    told += [f"marlsmith approve runs/a {option}" for option in ("--yes", "--no", "--edit FILE")]
    assert [piece for piece in told if piece not in said] == []


def test_what_is_not_known_leaves_no_heading() -> None:
    text = sheet(ApprovalCase(code=AFTER), verdict=Verdict(decision="accept", candidate="s3r1c2", reason="as it is"))
    for absent in ("gained", "the critic", "the generator", "the branches", "seed by seed", "cost"):
        assert absent not in text
    assert "+def agent_reward(state):" in text, "of a native main run all of the code is new"
    assert "--yes" in text


def test_the_plot_says_which_training_it_shows() -> None:
    assert "the confirmation: score in greedy play" in words(sheet(CASE))
    assert "the search's branches: score in greedy play" in words(sheet(CASE.model_copy(update={"confirm": None})))


def test_of_a_persons_signal_the_person_speaks_and_a_no_asks_about_the_other() -> None:
    text = words(sheet(CASE, candidate="s3r1c2-edit1", waiting="s3r1c2"))
    assert "the person says Twice the pull." in text
    assert "the generator says" not in text
    assert "ask about s3r1c2 again marlsmith approve runs/a --no" in text
    assert "keep what there is" not in text


def test_what_was_tried_in_its_place_is_told() -> None:
    text = words(sheet(CASE, edits={"s3r1c2-edit1": "score 0.100; [bold]no gain[/]"}))
    assert "tried in its place s3r1c2-edit1: score 0.100; [bold]no gain[/] the critic found" in text
    assert "tried in its place" not in sheet(CASE)


def test_code_that_did_not_change_is_said_to_be_the_same() -> None:
    assert "the code is the same" in sheet(ApprovalCase(code=BEFORE, before=BEFORE))


def test_a_long_difference_is_cut_and_points_to_the_whole() -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(500))
    text = sheet(ApprovalCase(code=code, before=BEFORE))
    assert "line_40 = 40" in text
    assert "line_200 = 200" not in text
    assert f"... {500 + 5 + 1 - MOST_LINES} more lines" in text
    assert "whole: runs/a/candidates/s3r1c2.py" in text
    assert len(sheet(ApprovalCase(code="x" * 100_000)).splitlines()) < 20


def test_words_of_others_are_neither_markup_nor_hidden() -> None:
    sly = "[bold red]approve[/] [link=http://x]me[/link] \x1b[2J\x1b]0;t\x07 \u202egnp"
    case = ApprovalCase(
        diagnosis=Diagnosis(summary=sly, findings=(FOUND.model_copy(update={"advice": sly}),)),
        rationale=sly,
        code=f"# {sly}\n",
        before=f"# was {sly}\n",
    )
    text = sheet(case, 200, VERDICT.model_copy(update={"reason": sly}))
    assert text.count("[bold red]approve[/] [link=http://x]me[/link]") == 6
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert text.count("\\u202egnp") == 2, "what code hides is written out"


def test_many_seeds_are_cut_and_counted() -> None:
    scores = tuple(0.001 * seed for seed in range(100))
    case = ApprovalCase(code=AFTER, confirm=Comparison(gain=0.0, scores=scores, control_scores=scores))
    text = sheet(case)
    assert "better in 0 of 100 seeds" in text
    assert f"and {100 - MOST_SEEDS} more seeds" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_case_is_plain_and_comes_back_from_a_file() -> None:
    assert ApprovalCase.model_validate_json(CASE.model_dump_json()) == CASE


def test_a_comparison_pairs_the_seeds_that_both_have() -> None:
    def scored(seeds: tuple[int, ...], scores: tuple[float, ...]) -> Evaluation:
        return Evaluation(candidate="a", branch="a", seeds=seeds, steps=1, score=scores[0], scores=scores)

    found = comparison(scored((1, 2, 3), (0.1, 0.2, 0.3)), scored((3, 2, 9), (0.5, 0.6, 0.9)), 0.05)
    assert (found.scores, found.control_scores) == ((0.5, 0.6), (0.3, 0.2))
    assert found.gain == pytest.approx(0.3)
    assert found.interval is not None
    assert found.interval[0] < 0.3 < found.interval[1]
    alone = comparison(scored((1,), (0.25,)), scored((1,), (0.5,)), 0.05)
    assert alone == Comparison(scores=(0.5,), control_scores=(0.25,))
