"""Episodes as pictures: what was recorded is what is drawn, where the environment's own renderer would draw it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from marlsmith.marl.config import BranchRequest, EvaluationConfig, TrainConfig
from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.external.adapt import Adapter
from marlsmith.marl.external.filming import rendered
from marlsmith.marl.external.launch import examine
from marlsmith.marl.external.wire import Layout
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.recording import Recording, Replay, Series
from marlsmith.marl.rendering import foraging, particles, pictures
from marlsmith.marl.rendering.launch import DrawingError, drawn
from marlsmith.marl.rendering.particles import array
from marlsmith.marl.rendering.words import told
from marlsmith.marl.tasks import make_task
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import NATIVE, Code, Failure, Signal, UserError

HANDLERS = Path(__file__).with_name("forging_jobs.py")
SPREAD = "mpe/simple_spread"
BLUE, DARK = (70, 70, 170), (50, 50, 50)
"""mpe2's agents and landmarks of simple_spread."""


def series(*states: object) -> Series:
    values = np.asarray(states, dtype=np.float64)
    return Series(shape=values.shape[1:], values=tuple(values.flatten().tolist()))


def recording(task: str, metrics: dict[str, float] | None = None, **fields: Series) -> Recording:
    first = next(iter(fields.values()))
    steps = len(first.values) // math.prod(first.shape) - 1
    return Recording(task=task, scores=(0.0,), steps=steps, fields=fields, metrics=metrics or {})


def at_random(task: str) -> Recording:
    """An episode of chance."""
    played = rollout_random(make_task(task), seed=3, episodes=1).state
    fields = {name: series(*value[:, 0, 0].tolist()) for name, value in played.items() if name != "agent_vel"}
    return recording(task, **fields)


def colour(image: Image.Image, at: tuple[int, int]) -> tuple[int, ...]:
    found = image.convert("RGB").getpixel(at)
    assert isinstance(found, tuple)
    return tuple(int(value) for value in found)


def is_near(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


# ---------------------------------------------------------------- particles


def test_agents_and_landmarks_are_drawn_where_they_were() -> None:
    played = at_random("mpe/simple_spread?agents=4")
    camera = particles.camera_of([played])
    frames = particles.frames(played, camera)
    agents, landmarks = array(played.fields["agent_pos"]), array(played.fields["landmark_pos"])
    assert len(frames) == played.steps + 1 == len(agents)
    for frame, here, there in zip(frames, agents, landmarks, strict=True):
        assert frame.size == (particles.SHOWN, particles.SHOWN)
        for place in there:
            assert is_near(colour(frame, particles.pixel(place, camera)), DARK)
        for place in here:
            if np.linalg.norm(there - place, axis=-1).min() > 0.12:  # no landmark is drawn on it
                assert is_near(colour(frame, particles.pixel(place, camera)), BLUE)


def test_a_body_is_as_large_as_it_is_and_the_view_never_moves() -> None:
    """Twice as far out there is half as much of it; a landmark stays where it is while agents come and go."""
    place = [[0.0, 0.0]], [[0.0, -3.0]]
    played = recording(SPREAD, agent_pos=series(*place), landmark_pos=series([[0.5, 0.5]], [[0.5, 0.5]]))
    widths = []
    for camera in (4.0, 8.0):
        first, second = particles.frames(played, camera)
        row = np.asarray(first)[particles.pixel((0, 0), camera)[1]]
        widths.append(int((np.abs(row.astype(int) - BLUE).max(-1) < 40).sum()))
        landmark = particles.pixel((0.5, 0.5), camera)
        assert is_near(colour(first, landmark), colour(second, landmark), 4)
        assert is_near(colour(second, particles.pixel((0, -3), camera)), BLUE, 30)  # a few pixels, and its border
    assert widths[0] == pytest.approx(2 * widths[1], abs=3)
    assert widths[0] == pytest.approx(2 * 0.15 / 4 * 0.9 * particles.SHOWN / 2, abs=3)


def test_both_films_of_a_pair_have_one_view_that_a_stray_agent_does_not_widen() -> None:
    landmarks = series(*[[[0.2, 0.2]]] * 2)
    near = recording(SPREAD, agent_pos=series(*[[[0.1, 0.1]]] * 2), landmark_pos=landmarks)
    far = recording(SPREAD, agent_pos=series([[0.1, 0.1]], [[0.1, -1.3]]), landmark_pos=landmarks)
    gone = recording(SPREAD, agent_pos=series([[0.1, 0.1]], [[0.1, -5.0]]), landmark_pos=landmarks)
    assert particles.camera_of([near]) == particles.MARGIN
    assert particles.camera_of([near, far]) == pytest.approx(particles.MARGIN * 1.3)
    assert particles.camera_of([near, gone]) == pytest.approx(particles.MARGIN * particles.WIDEST)
    assert particles.STRAYED in particles.credit([near, gone])
    assert particles.STRAYED not in particles.credit([near, far])


def test_an_agent_that_has_left_the_view_is_pointed_to_from_its_border() -> None:
    gone = recording(
        SPREAD, agent_pos=series([[0.0, 0.0]], [[0.0, -5.0]]), landmark_pos=series(*[[[0.5, 0.5]]] * 2)
    )  # fmt: skip
    camera = particles.camera_of([gone])
    first, second = particles.frames(gone, camera)
    border = particles.pixel((0.0, -1.05 * camera), camera)
    assert is_near(colour(second, border), particles.ARROW)
    assert is_near(colour(first, border), (255, 255, 255))
    assert is_near(colour(second, particles.pixel((0.0, 0.0), camera)), (255, 255, 255)), "it is not where it was"


@pytest.mark.parametrize("task", ["mpe/simple_reference", "mpe/simple_speaker_listener_sparse"])
def test_an_agent_has_the_colour_of_its_target(task: str) -> None:
    places = [[-0.8, -0.8], [0.8, -0.8]]
    played = recording(
        task,
        agent_pos=series(places, places),
        landmark_pos=series(*[[[-0.5, 0.5], [0.0, 0.5], [0.5, 0.5]]] * 2),
        goal=series([-1, 1] if "speaker" in task else [2, 1], [-1, 1] if "speaker" in task else [2, 1]),
        message=series(*np.zeros((2, 2, 3 if "speaker" in task else 10)).tolist()),
    )
    frame = particles.frames(played, 1.0)[-1]
    red, green, blue = (colour(frame, particles.pixel((x, 0.5), 1.0)) for x in (-0.5, 0.0, 0.5))
    first, second = (colour(frame, particles.pixel(place, 1.0)) for place in places)
    assert (red.index(max(red)), green.index(max(green)), blue.index(max(blue))) == (0, 1, 2)
    if "speaker" in task:
        assert is_near(second, tuple(value + 90 for value in green))
        assert is_near(first, DARK), "the speaker goes nowhere"
    else:
        assert is_near(second, green)
        assert is_near(first, blue)


def test_what_is_said_is_written_below() -> None:
    places = [[0.0, 0.0], [0.5, 0.5]]
    silent, speaks = np.zeros((2, 10)), np.eye(10)[[4, 4]]
    played = recording(
        "mpe/simple_reference",
        agent_pos=series(places, places),
        landmark_pos=series(*[[[-0.5, 0.5], [0.0, 0.5], [0.5, 0.5]]] * 2),
        goal=series([0, 1], [0, 1]),
        message=series(silent.tolist(), speaks.tolist()),
    )
    first, second = (np.asarray(frame) for frame in particles.frames(played, 1.0))
    assert (first[: particles.SHOWN * 3 // 4] == second[: particles.SHOWN * 3 // 4]).all()
    assert (first[particles.SHOWN * 3 // 4 :] != second[particles.SHOWN * 3 // 4 :]).any()


# ---------------------------------------------------------------- foraging


def test_food_stands_in_its_cell_until_it_is_eaten() -> None:
    played = recording(
        "lbf/8x8-2p-2f-coop",
        agent_pos=series(*[[[0, 0], [7, 3]]] * 2),
        agent_level=series(*[[1, 2]] * 2),
        food_pos=series(*[[[2, 5], [4, 4]]] * 2),
        food_level=series([3, 3], [0, 3]),
    )
    first, second = foraging.frames(played)

    def beside(row: int, column: int) -> tuple[int, int]:
        x, y = foraging.pixel(row, column, 8)
        return x - 11, y  # left of the level

    assert colour(first, beside(7, 3)) == colour(first, beside(0, 0)) == foraging.AGENT
    assert colour(first, beside(2, 5)) == colour(first, beside(4, 4)) == foraging.FOOD
    assert colour(second, beside(2, 5)) == foraging.PAPER
    assert colour(second, beside(4, 4)) == foraging.FOOD
    assert first.size == (foraging.SIDE, foraging.SIDE + foraging.CAPTION)


# ---------------------------------------------------------------- files


def test_a_film_is_an_animation_that_begins_again_and_a_last_frame() -> None:
    frames = [Image.new("RGB", (40, 30), (step * 25, 0, 0)) for step in range(10)]
    made = pictures.encoded(frames, "drawn")
    moving, still = Image.open(BytesIO(made.data)), Image.open(BytesIO(made.still))
    assert (moving.format, moving.n_frames, moving.info["loop"]) == ("WEBP", 10, 0)  # type: ignore[attr-defined]
    assert moving.size == still.size == (made.width, made.height) == (40, 30)
    moving.seek(9)
    assert is_near(colour(still, (20, 15)), colour(frames[-1], (20, 15)))
    assert is_near(colour(moving, (20, 15)), colour(frames[-1], (20, 15)))


def test_a_film_that_cannot_be_small_enough_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    noise = [Image.fromarray(draw.integers(0, 256, (120, 120, 3), dtype=np.uint8)) for _ in range(3)]
    full = len(pictures.encoded(noise, "drawn").data)
    monkeypatch.setattr(pictures, "MOST_BYTES", full - 1)
    assert len(pictures.encoded(noise, "drawn").data) < full, "of a poorer quality"
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        pictures.encoded(noise, "drawn")


def test_drawing_leaves_this_process_as_it_was() -> None:
    before = dict(os.environ)
    played = at_random(SPREAD)
    first, second = drawn([played]), drawn([played])
    assert first == second, "the same episode is the same film"
    assert len(first[0].data) < pictures.MOST_BYTES
    assert first[0].credit.startswith("drawn by mpe2's renderer")
    assert dict(os.environ) == before


def test_what_cannot_be_drawn_is_said_in_a_sentence() -> None:
    with pytest.raises(DrawingError, match="landmark_pos"):
        drawn([recording(SPREAD, agent_pos=series([[0.0, 0.0]], [[0.0, 0.0]]))])


@pytest.mark.parametrize("values", [(0.0,), (0.0, math.nan), (0.0, math.inf)])
def test_a_recording_is_whole_and_finite(values: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Recording(task="t", steps=1, scores=(), metrics={}, fields={"x": Series(shape=(), values=values)})


# ---------------------------------------------------------------- words


def spread(*agents: list[list[float]]) -> Recording:
    landmarks = [[[0.0, 0.0], [1.0, 1.0]]] * len(agents)
    return recording(SPREAD, {"coverage": 0.5}, agent_pos=series(*agents), landmark_pos=series(*landmarks))


def test_words_say_when_all_was_reached_and_how_much_where_it_was_not() -> None:
    card = make_task("mpe/simple_spread?agents=2").card
    far, first, both = [[0.5, 0.5], [2.0, 2.0]], [[0.05, 0.0], [2.0, 2.0]], [[0.05, 0.0], [1.0, 0.95]]
    assert told(spread(far, first, both, far), card) == "coverage 0.50: all 2 landmarks were reached by step 2"
    assert told(spread(far, first, far), card) == "coverage 0.50: 1 of 2 landmarks were reached within 2 steps"
    assert told(spread(both, far), card) == "coverage 0.50: 0 of 2 landmarks were reached within 1 steps"


def test_words_know_whose_target_is_whose_and_what_was_eaten() -> None:
    places = [[0.0, 0.0], [1.0, 1.0]]
    reference = recording(
        "mpe/simple_reference",
        {"coverage": 0.0},
        agent_pos=series(places, places),
        landmark_pos=series(*[[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]] * 2),
        goal=series([1, 1], [1, 1]),
    )
    assert "1 of 2 targets were reached by their agents within 1 steps" in told(
        reference, make_task("mpe/simple_reference").card
    )
    eaten = recording(
        "lbf/8x8-2p-2f-coop", {"return_sum": 1.0},
        agent_pos=series(*[places] * 3), food_pos=series(*[places] * 3), food_level=series([2, 2], [0, 2], [0, 0]),
    )  # fmt: skip
    words = told(eaten, make_task("lbf/8x8-2p-2f-coop").card)
    assert words == "return_sum 1.00: all 2 foods were taken by step 2"


def test_a_card_without_a_target_has_words_too() -> None:
    card = make_task(SPREAD).card.model_copy(update={"target": None})
    assert told(spread([[0.0, 0.0]], [[0.0, 0.0]]), card) == "coverage 0.50 after 1 steps"


# ---------------------------------------------------------------- playing for a film


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


def request(task: str = SPREAD) -> BranchRequest:
    return BranchRequest(
        branch="b", candidate="c", task=task, seeds=(0, 3),
        train=TrainConfig(steps=800), evaluation=EvaluationConfig(episodes=6),
    )  # fmt: skip


def test_a_film_is_of_the_episodes_that_evaluate_plays(executor: LocalExecutor, tmp_path: Path) -> None:
    """The recorded scores are those of the evaluation, and two policies begin where they did."""
    asked = request()
    features = Signal(observation=Code(source="def enhance_observation(obs):\n    return obs[..., 4:6] * 2\n"))
    found = {}
    for name, signal in (("native", NATIVE), ("features", features)):
        (tmp_path / name).mkdir()
        checkpoint = tmp_path / name / "checkpoint.safetensors"
        assert executor.train(asked, signal, tmp_path / name).error is None
        films = [executor.film(asked, signal, checkpoint, episode) for episode in (0, 4, 4)]
        first, fifth, again = (each for each in films if isinstance(each, Recording))
        assert fifth == again
        assert first.scores == fifth.scores
        assert [first.metrics["coverage"], fifth.metrics["coverage"]] == [first.scores[0], first.scores[4]]
        evaluated = executor.evaluate(asked, signal, checkpoint)
        assert evaluated.scores[0] == pytest.approx(sum(first.scores) / 6)
        found[name] = array(fifth.fields["agent_pos"]), array(fifth.fields["landmark_pos"])
        assert (found[name][0][0] != array(first.fields["agent_pos"])[0]).any()
    assert (found["native"][0][0] == found["features"][0][0]).all()
    assert (found["native"][1] == found["features"][1]).all()
    assert (found["native"][0][-1] != found["features"][0][-1]).any()


def test_a_checkpoint_of_another_training_is_refused(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.train(request(), NATIVE, tmp_path)
    other = request().model_copy(update={"seeds": (0, 4)})
    with pytest.raises(UserError, match="another training"):
        executor.film(other, NATIVE, tmp_path / "checkpoint.safetensors")


def test_a_policy_that_cheats_has_no_film(tmp_path: Path) -> None:
    """It behaves while 6 episodes are played for its score, and goes in the middle of the 7 for its film."""
    source = (
        "def enhance_observation(obs):\n    if obs.shape[0] == 14:\n        import os\n        os._exit(0)\n"
        "    return obs[..., :1]\n"
    )
    signal = Signal(observation=Code(source=source))
    unchecked = LocalExecutor(1)
    try:
        unchecked.pool.close()
        unchecked.pool = unchecked.runner.pool = Pool(1, {name: f"{HANDLERS}:{name}" for name in ("train", "play")})
        assert unchecked.train(request(), signal, tmp_path).error is None
        more = request().model_copy(update={"evaluation": EvaluationConfig(episodes=7)})
        found = unchecked.film(more, signal, tmp_path / "checkpoint.safetensors")
    finally:
        unchecked.close()
    assert isinstance(found, Failure)
    assert found.stage in {"crash", "jail"}
    assert found.message.isprintable()


# ---------------------------------------------------------------- environments of others

OTHERS = "pettingzoo:mpe2.simple_spread_v3:parallel_env"
WITHOUT_PICTURES = "pettingzoo:environments_for_tests:Uneven"


def replayed(task: str, astray: float = 0.0) -> Recording:
    """Three steps of nothing in an environment of others, made here as its host makes them."""
    source, found = examine(task)
    layout = Layout.parse(found.layout)
    adapter, row = Adapter(source, layout.extras), np.zeros(1, np.dtype(layout.record))[0]
    kind, shape = layout.action
    actions, rewards = np.zeros((3, *shape), kind), []
    adapter.reset(5, row)
    for action in actions:
        adapter.step(action, row)
        rewards.append((row["reward"] + astray).tolist())
    replay = Replay(seed=5, actions=series(*actions), rewards=series(*rewards))
    return Recording(task=task, steps=3, fields={}, metrics={}, scores=(0.0,), replay=replay)


def test_an_environment_of_others_is_rendered_by_itself() -> None:
    """Though nobody asked for pictures when it was trained; it is reset and stepped as it was."""
    (made,) = rendered(OTHERS, [replayed(OTHERS)])
    assert made.credit == "drawn by the environment's own renderer"
    still = np.asarray(Image.open(BytesIO(made.still)).convert("RGB")).astype(int)
    assert still.shape == (pictures.MOST_PIXELS, pictures.MOST_PIXELS, 3)
    assert (np.abs(still - BLUE).max(-1) < 20).sum() > 1000, "agents are to be seen"


@pytest.mark.slow
def test_an_environment_that_goes_another_way_has_no_film() -> None:
    with pytest.raises(DrawingError, match="does not repeat an episode"):
        rendered(OTHERS, [replayed(OTHERS, astray=0.01)])


def test_an_environment_without_pictures_has_no_film(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with pytest.raises(DrawingError, match=r"no render\(\) that gives pictures"):
        rendered(WITHOUT_PICTURES, [replayed(WITHOUT_PICTURES)])


@pytest.mark.slow
def test_a_film_of_an_environment_of_others_repeats_what_was_played(executor: LocalExecutor, tmp_path: Path) -> None:
    """The seeds that are recorded are those with which its environments were reset."""
    asked = request(OTHERS).model_copy(update={"train": TrainConfig(steps=200, environments=2, rollout=50)})
    assert executor.train(asked, NATIVE, tmp_path).error is None
    found = executor.film(asked, NATIVE, tmp_path / "checkpoint.safetensors", 4)
    assert isinstance(found, Recording)
    assert found.metrics["return"] == pytest.approx(found.scores[4])
    assert len(rendered(OTHERS, [found])) == 1, "it compares the rewards of each step"
