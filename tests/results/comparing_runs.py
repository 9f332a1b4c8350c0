"""Runs by hand, with numbers that a test can reckon with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from marlsmith.agents.settings import ModelSettings, RoleSettings
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import (
    Advanced,
    CandidateStanding,
    Finished,
    Gain,
    LapStanding,
    MainRunStory,
    Phase,
    Standing,
    ToolResult,
)
from marlsmith.marl.config import TrainConfig
from marlsmith.results.past import PastRun
from marlsmith.schemas import CurvePoint, Evaluation, Record, plain

STEPS = 800
MODEL = RoleSettings(generators=("good",), models={"good": ModelSettings(model="m", base_url="http://localhost/v1")})


def standing(scores: Sequence[float], candidate: str | None = None) -> Any:
    about = {"score": sum(scores) / len(scores), "scores": tuple(scores), "interval": (min(scores), max(scores))}
    if candidate is None:
        return Standing(**about, metrics={})
    return CandidateStanding(**about, metrics={}, candidate=candidate)


def evaluation(branch: str, candidate: str, scores: Sequence[float], first: int = 0, known: bool = True) -> Evaluation:
    """Its curve has two points: half of what it comes to, then all of it."""
    mean = sum(scores) / len(scores)
    curve = tuple(
        CurvePoint(
            steps=steps,
            score=mean * share,
            native_return=-1.0,
            shaped_return=2.0,
            scores=tuple(score * share for score in scores) if known else (),
        )
        for steps, share in ((STEPS // 2, 0.5), (STEPS, 1.0))
    )
    return Evaluation(
        candidate=candidate,
        branch=branch,
        seeds=tuple(range(first, first + len(scores))),
        steps=STEPS,
        score=mean,
        scores=tuple(scores),
        interval=(min(scores), max(scores)),
        curve=curve,
    )


def from_scratch(
    path: Path,
    best: Sequence[float] = (0.9, 1.0),
    native: Sequence[float] = (0.2, 0.4),
    *,
    promoted: bool = True,
    phase: Phase = "confirm",
    known: bool = True,
    tokens: int = 0,
    ended: bool = True,
    **settings: Any,
) -> PastRun:
    """A search of one round with one candidate, that is confirmed on two fresh seeds."""
    found = [
        evaluation("control-s1", "native", (0.1, 0.3), known=known),
        evaluation("s1r1c1", "s1r1c1", (0.8, 0.6), known=known),
        evaluation("control-s1-confirm", "native", native, first=100, known=known),
        evaluation("s1r1c1-confirm", "s1r1c1", best, first=100, known=known),
    ]
    gains = [score - other for score, other in zip(best, native, strict=True)]
    finished = Finished(
        run=str(path),
        native=standing(native),
        best=standing(best, "s1r1c1"),
        gain=Gain(mean=sum(gains) / len(gains), interval=(min(gains), max(gains))),
        phase=phase,
        promoted=promoted,
        reason="by hand",
        environment_steps=8 * STEPS,
    )
    return _written(path, _settings(**settings), [*map(_result, found), *([finished] if ended else [])], tokens)


def adapted(path: Path, laps: Sequence[Sequence[float]], plain_scores: Sequence[float], **settings: Any) -> PastRun:
    """A main run of two members in two heats, promoted in its first stage."""
    events: list[Record] = []
    for stage, scores in enumerate(laps):
        if stage:
            heats = [(scores[0],), (scores[1],)]
            events += [
                _result(evaluation(f"control-s{stage}-h{heat}", "control", each, first=heat - 1))
                for heat, each in enumerate(heats, start=1)
            ]
        events.append(
            Advanced(
                stage=stage,
                steps=stage * STEPS,
                branch=f"main-s{stage}",
                candidate="s1r1c1" if stage else "native",
                score=sum(scores) / 2,
                scores=tuple(scores),
                interval=(min(scores), max(scores)),
                metrics={},
                alarm=None,
                rolled_back_to=None,
            )
        )
    events += [
        _result(evaluation(f"plain-h{heat}", "native", (score,), first=heat - 1))
        for heat, score in enumerate(plain_scores, start=1)
    ]
    main_steps, search_steps = 2 * STEPS * (len(laps) - 1), 2 * STEPS
    story = MainRunStory(
        laps=(LapStanding(stage=0, steps=0, candidate="native", score=0.0, interval=None, rolled_back_to=None),),
        peak=1.0, final=1.0, area=0.5, competence=None, pairs=0, dropped=0, audited=0, missed=0, steps_saved=0,
        main_steps=main_steps, search_steps=search_steps,
    )  # fmt: skip
    events.append(
        Finished(
            run=str(path),
            native=standing(plain_scores),
            best=standing(laps[-1], "s1r1c1"),
            gain=Gain(mean=0.1, interval=(0.0, 0.2)),
            phase="confirm",
            promoted=True,
            reason="by hand",
            environment_steps=main_steps + search_steps,
            main=story,
        )
    )
    return _written(path, _settings(method_name="llm-also", **settings), events)


def _result(found: Evaluation) -> Record:
    return ToolResult(tool="train_branch", branch=found.branch, candidate=found.candidate, evaluation=found)


def _settings(method_name: str = "lero", scope: str = "own", **settings: Any) -> RunSettings:
    method = method_from(method_name, {"scope": scope})
    said = {
        "task": "mpe/simple_spread",
        "method_name": method_name,
        "method": method,
        "train": TrainConfig(steps=STEPS),
    }
    return RunSettings.model_validate(said | settings)


def _written(path: Path, settings: RunSettings, events: Sequence[Record], tokens: int = 0) -> PastRun:
    directory = RunDirectory.create(path, settings, "")
    for event in _timed(events, settings, path, tokens):
        directory.append_event(event)
    return PastRun.open(path)


def _timed(events: Sequence[Record], settings: RunSettings, path: Path, tokens: int) -> Iterator[dict[str, Any]]:
    started = {"event": "run_started", "run": str(path), "resumed": False, "settings": plain(settings), "jail": None}
    members = list(range(2))
    stage = {"event": "stage_started", "stage": 1, "stages": 1, "rounds": 1, "rests": None}
    spent = {"tokens": tokens, "money": tokens / 1000 if tokens else None}
    yield started | {"seconds": 0.0, "tokens": 0, "money": None}
    yield stage | {"search_seeds": members, "confirm_seeds": members, "seconds": 0.0, "tokens": 0, "money": None}
    for number, event in enumerate(events, start=1):
        yield plain(event) | {"seconds": 10.0 * number} | spent
