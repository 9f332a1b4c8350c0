"""The film of a run: one episode, two policies, made once, and a note for whatever is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.methods import Method, RunSettings, method_from
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.state import Phase
from marlsmith.graph.telling.trace import CandidateStanding, Finished, Standing
from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.recording import Recording, Series
from marlsmith.marl.rendering.pictures import Pictures
from marlsmith.results.page import film as filming
from marlsmith.results.page.film import EPISODES, Film, film
from marlsmith.results.past import PastRun
from marlsmith.schemas import NATIVE, Candidate, Code, Evaluation, Failure, Signal, UserError

TASK = "mpe/simple_spread"
SIGNAL = Signal(observation=Code(source="def enhance_observation(obs):\n    return obs[..., 4:6] * 2\n"))
SEARCH, FRESH = (0, 1), (100, 101)


def settings(method: Method | None = None, task: str = TASK) -> RunSettings:
    return RunSettings(
        task=task,
        method=method or Method(search_seeds=2, confirm_seeds=2),
        train=TrainConfig(steps=800),
        evaluation=EvaluationConfig(episodes=5, seed=4711),
    )


def call(branch: str, candidate: str, seeds: tuple[int, ...]) -> dict[str, Any]:
    arguments = {"candidate": candidate, "seeds": list(seeds), "steps": 800, "algorithm": "mappo"}
    return {"event": "tool_call", "branch": branch, "arguments": arguments}


def finished(best: str | None = "s1r1c1", phase: Phase = "confirm", promoted: bool = True) -> dict[str, Any]:
    native = Standing(score=0.2, scores=(0.2,), interval=None, metrics={})
    told = Finished(
        run="run", native=native, best=CandidateStanding(**dict(native), candidate=best) if best is not None else None,
        gain=None, phase=phase, promoted=promoted, reason="so it is", environment_steps=0,
    )  # fmt: skip
    return told.model_dump(mode="json")


SEARCHED = [
    call("control-s1", "native", SEARCH),
    call("s1r1c1", "s1r1c1", SEARCH),
    call("s1r1c2", "s1r1c2", SEARCH),
    call("control-s1-confirm", "native", FRESH),
    call("s1r1c1-confirm", "s1r1c1", FRESH),
]


def past(path: Path, *events: dict[str, Any], of: RunSettings | None = None, checkpoints: bool = True) -> PastRun:
    """A run that tells these events, with a file where each network would be."""
    directory = RunDirectory.create(path, of or settings(), "f")
    candidate = Candidate(
        id="s1r1c1", signal=SIGNAL, kind="new", parents=(), rationale="", author="offline", stage=1, round=1
    )
    directory.write_batch("s1r1-a0", [candidate], ["# code"], None)
    for event in events:
        directory.append_event(event)
        if event["event"] == "tool_call" and checkpoints:
            (directory.branch(event["branch"]) / "checkpoint.safetensors").write_bytes(b"")
    return PastRun.open(path)


def recording(scores: tuple[float, ...], end: float) -> Recording:
    here = tuple(float(value) for value in range(6))
    return Recording(
        task=TASK,
        steps=1,
        scores=scores,
        metrics={"coverage": end},
        fields={
            "agent_pos": Series(shape=(3, 2), values=(*here, *(value / 10 for value in here))),
            "landmark_pos": Series(shape=(3, 2), values=(*here, *here)),
        },
    )


@dataclass
class Stage:
    """An executor that plays nothing: by candidate, what it says of it."""

    says: dict[str, Recording | Failure | Exception]
    played: list[tuple[BranchRequest, Signal, Path, int]] = field(default_factory=list)
    closed: int = 0

    def film(self, request: BranchRequest, signal: Signal, checkpoint: Path, episode: int = 0) -> Recording | Failure:
        self.played.append((request, signal, checkpoint, episode))
        said = self.says[request.candidate]
        if isinstance(said, Exception):
            raise said
        return said

    def close(self) -> None:
        self.closed += 1

    def __call__(self, settings: RunSettings) -> Any:
        return self


@pytest.fixture
def stage() -> Stage:
    return Stage({"native": recording((0.0, 0.4, 0.2), 0.2), "s1r1c1": recording((1.0, 0.2, 0.8), 0.8)})


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[list[Recording]]:
    """What was drawn, without drawing it."""
    asked: list[list[Recording]] = []
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "WEBP")

    def drawn(recordings: list[Recording]) -> list[Pictures]:
        asked.append(recordings)
        still = file.getvalue()
        return [Pictures.model_construct(data=still, still=still, width=8, height=8, credit="drawn")] * len(recordings)

    monkeypatch.setattr(filming, "drawn", drawn)
    return asked


def test_the_pair_that_was_compared_plays_the_same_episode(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = past(tmp_path / "run", *SEARCHED, finished())
    made = film(run, None, stage)
    assert made.before is not None
    assert made.after is not None
    native, best = (request for request, *_ in stage.played[:2])
    assert [request.branch for request in (native, best)] == ["control-s1-confirm", "s1r1c1-confirm"]
    assert native.seeds == best.seeds == FRESH
    assert native.evaluation == best.evaluation
    assert native.evaluation.episodes == EPISODES
    assert native.evaluation.seed != run.settings.evaluation.seed, "the episodes that decided are not shown"
    assert [signal for _, signal, *_ in stage.played[:2]] == [NATIVE, SIGNAL]
    assert all(path.parent.name == request.branch for request, _, path, _ in stage.played)
    assert stage.closed == 1
    assert drawings == [[stage.says["native"], stage.says["s1r1c1"]]]


def test_the_most_typical_episode_is_shown(stage: Stage, drawings: list[list[Recording]], tmp_path: Path) -> None:
    """Means 0.2 and 0.67: the third comes nearest to both, and is asked for."""
    made = film(past(tmp_path / "run", *SEARCHED, finished()), None, stage)
    assert [episode for *_, episode in stage.played] == [0, 0, 2, 2]
    assert "mean scores are 0.20 before and 0.67 after" in made.note
    assert made.before is not None
    assert made.before.alt.startswith("Before, the policy trained with the native task: coverage 0.20: ")


def test_without_a_confirmation_the_search_is_shown(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    film(past(tmp_path / "run", *SEARCHED[:3], finished(phase="search", promoted=False)), None, stage)
    assert [request.branch for request, *_ in stage.played[:2]] == ["control-s1", "s1r1c1"]


def test_where_all_failed_the_native_policy_is_shown_alone(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    made = film(past(tmp_path / "run", SEARCHED[0], finished(None, promoted=False)), None, stage)
    assert (made.before is None, made.after is None) == (False, True)
    assert "no other policy" in made.note


def test_networks_that_are_gone_are_said_to_be_gone(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = past(tmp_path / "run", *SEARCHED, finished())
    (run.path / "branches/control-s1-confirm/checkpoint.safetensors").unlink()
    made = film(run, None, stage)
    assert made.before is None
    assert made.after is not None
    assert "native task's policy has no networks left" in made.note
    bare = past(tmp_path / "bare", *SEARCHED, finished(), checkpoints=False)
    assert film(bare, None, stage) == Film(
        None, None, "No networks are left in the run's directory, so there is nothing to film."
    )


def test_a_second_report_needs_no_worker_and_no_renderer(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = past(tmp_path / "run", *SEARCHED, finished())
    first = film(run, None, stage)

    def nobody(settings: RunSettings) -> Any:
        raise AssertionError("a worker was asked for")

    assert film(run, None, nobody) == first
    assert len(drawings) == 1
    files = {file.name for file in (run.path / "main").iterdir()}
    assert files == {"film.json", *(f"film-{name}.webp" for name in ("before", "after", "before-still", "after-still"))}


@pytest.mark.parametrize("file", ["film.json", "film-after.webp", "film-before-still.webp"])
def test_a_kept_film_that_is_none_is_made_again(
    file: str, stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    """Whatever stands there, what goes into a page is a small picture."""
    run = past(tmp_path / "run", *SEARCHED, finished())
    first = film(run, None, stage)
    (run.path / "main" / file).write_bytes(b"<script>alert(1)</script>")
    assert film(run, None, stage) == first
    assert len(drawings) == 2
    assert (run.path / "main" / file).read_bytes()[:1] != b"<"


def test_a_run_that_cannot_be_written_into_has_a_film_all_the_same(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = past(tmp_path / "run", *SEARCHED, finished())
    (run.path / "main").rmdir()
    assert film(run, None, stage).after is not None


def test_a_run_under_way_is_not_disturbed(stage: Stage, tmp_path: Path) -> None:
    made = film(past(tmp_path / "run", *SEARCHED), None, stage)
    assert (made.before, made.after) == (None, None)
    assert "has not ended" in made.note
    assert stage.played == []


def test_a_policy_that_misbehaves_is_a_note_and_no_picture(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    stage.says["s1r1c1"] = Failure(stage="crash", message="it \x1b[31mexited")
    run = past(tmp_path / "run", *SEARCHED, finished())
    made = film(run, None, stage)
    assert made.after is None
    assert made.before is not None
    assert "could not be filmed (crash: it " in made.note
    assert made.note.isprintable()
    assert not (run.path / "main/film.json").exists(), "another time it may behave"
    assert stage.closed == 1


def test_a_jail_that_does_not_hold_is_a_note(stage: Stage, tmp_path: Path) -> None:
    stage.says["native"] = UserError("the jail does not hold")
    made = film(past(tmp_path / "run", *SEARCHED, finished()), None, stage)
    assert made == Film(None, None, "There is no film: the jail does not hold.")
    assert stage.closed == 1


@pytest.mark.parametrize("broken", [{"branch": "../../elsewhere"}, {"arguments": {}}])
def test_a_run_that_says_strange_things_has_a_note(
    broken: dict[str, Any], stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = past(tmp_path / "run", {**SEARCHED[0], **broken}, finished(None), checkpoints=False)
    made = film(run, None, stage)
    assert made == Film(
        None, None, "There is no film: the run does not say what it trained, or says it in another way."
    )
    assert stage.played == []


# ---------------------------------------------------------------- an adapted main run


def adapted(path: Path, candidate: str, *events: dict[str, Any]) -> PastRun:
    method = method_from("llm-also", {"stages": 2, "search_seeds": 8, "fade": 0.5})
    advanced = [{"event": "advanced", "stage": stage} for stage in (0, 1)]
    run = past(path, *advanced, *events, of=settings(method))
    signal = NATIVE if candidate == "native" else SIGNAL
    evaluation = Evaluation(candidate=candidate, branch="main-s1", seeds=(0,), steps=0, score=0.0)
    lap = Lap(
        stage=1, branch="b", candidate=candidate, signal=signal, trained=signal, steps=800,
        checkpoints=("main/main-s1-h1.safetensors",), evaluation=evaluation,
    )  # fmt: skip
    run.directory.write_lap("main-s1", lap)
    (run.path / "main/main-s1-h1.safetensors").write_bytes(b"")
    return run


def test_an_adapted_main_run_is_shown_beside_its_plain_training(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    run = adapted(tmp_path / "run", "s1r1c1", call("plain-h1", "native", (0,)), finished())
    made = film(run, None, stage)
    assert made.before is not None
    assert made.after is not None
    plain, main = (request for request, *_ in stage.played[:2])
    assert plain.seeds == main.seeds == (0, 1, 2, 3), "the first heat's"
    assert plain.train == main.train
    assert plain.train.fade == 0.5
    assert [path.relative_to(run.path).as_posix() for _, _, path, _ in stage.played[:2]] == [
        "branches/plain-h1/checkpoint.safetensors",
        "main/main-s1-h1.safetensors",
    ]
    assert stage.played[1][1] == SIGNAL


def test_where_nothing_was_promoted_the_main_run_is_the_plain_training(
    stage: Stage, drawings: list[list[Recording]], tmp_path: Path
) -> None:
    made = film(adapted(tmp_path / "run", "native", finished(None, promoted=False)), None, stage)
    assert made.before is not None
    assert "main run, which is the plain training" in made.before.alt
    assert made.after is None


# ---------------------------------------------------------------- for real


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PastRun, Callable[[RunSettings], Any]]]:
    """A run whose networks were trained, if only for a moment, and the executor that trained them."""
    run = past(tmp_path_factory.mktemp("film") / "run", *SEARCHED[3:], finished(), checkpoints=False)
    executor = LocalExecutor(1)
    for branch, candidate, signal in (
        ("control-s1-confirm", "native", NATIVE),
        ("s1r1c1-confirm", "s1r1c1", SIGNAL),
    ):
        request = BranchRequest(
            branch=branch, candidate=candidate, task=TASK, seeds=FRESH,
            train=TrainConfig(steps=800), evaluation=EvaluationConfig(episodes=2),
        )  # fmt: skip
        assert executor.train(request, signal, run.directory.branch(branch)).error is None

    class Open:
        film = staticmethod(executor.film)

        def close(self) -> None:
            """It is needed once more."""

    yield run, lambda settings: Open()
    executor.close()


def test_the_film_of_a_run_moves_from_one_start_and_is_the_same_each_time(
    trained: tuple[PastRun, Callable[[RunSettings], Any]],
) -> None:
    run, engage = trained
    said: list[str] = []
    made = film(run, said.append, engage)
    assert made.before is not None
    assert made.after is not None
    moving = [Image.open(BytesIO(shot.data)) for shot in (made.before, made.after)]
    starts = [image.convert("RGB").tobytes() for image in moving]
    assert starts[0] == starts[1]
    for image, shot in zip(moving, (made.before, made.after), strict=True):
        assert image.n_frames > 5  # type: ignore[attr-defined]
        assert image.size == (shot.width, shot.height)
        assert len(shot.data) < 400_000
    assert made.before.still != made.after.still
    assert said == [f"playing {EPISODES} episodes with each policy", "drawing the film"]
    (run.path / "main/film.json").unlink()
    assert film(run, None, engage) == made
