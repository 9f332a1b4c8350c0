"""Frames of particle episodes by mpe2's own renderer. Only in a process of its own: pygame holds global state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from marlsmith.marl.recording import Recording, Series

PREFIX = "mpe/"
SHOWN = 360
"""Pixels of a frame's side; mpe2 draws 700."""
MARGIN = 1.1
"""Around the bodies that are farthest out."""
WIDEST = 1.5
"""Half the width of a view: everything begins within 1, and one agent that strays must not make all others specks."""
CREDIT = "drawn by mpe2's renderer"
STRAYED = "an arrow at its border stands for an agent that has left the view"
ARROW = (190, 55, 45)
SPEAKER_LISTENER = "simple_speaker_listener"
LISTENER, PALER = 1, 0.45
"""Which agent has a colour there, and how much paler than its landmark it is."""


def camera_of(recordings: Sequence[Recording]) -> float:
    """The half width of one view for films that are to be compared; whoever strays beyond WIDEST leaves it."""
    return MARGIN * min(WIDEST, max(1.0, _farthest(recordings)))


def credit(recordings: Sequence[Recording]) -> str:
    return f"{CREDIT}; {STRAYED}" if _farthest(recordings) > camera_of(recordings) else CREDIT


def frames(recording: Recording, camera: float) -> list[Image.Image]:
    """One picture for each state, [steps + 1]."""
    environment = _environment(recording)
    world = environment.world
    # mpe2 zooms anew in each frame: an invisible body in the corner holds the view still, and sizes true to scale.
    world.landmarks.append(_corner(world.landmarks[0], camera))
    environment.dynamic_rescaling, environment.original_cam_range = True, 1.0
    _colour(world, recording)
    agents, landmarks = array(recording.fields["agent_pos"]), array(recording.fields["landmark_pos"])
    said = array(recording.fields["message"]) if "message" in recording.fields else None
    drawn = []
    for step in range(recording.steps + 1):
        for agent, place in zip(world.agents, agents[step], strict=True):
            agent.state.p_pos = place.clip(-camera, camera)  # mpe2 refuses to draw what is outside
        for landmark, place in zip(world.landmarks[:-1], landmarks[step], strict=True):
            landmark.state.p_pos = place
        for index, agent in enumerate(world.agents):
            agent.state.c = np.zeros(world.dim_c) if said is None else said[step, index]
        image = Image.fromarray(environment.render()).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
        for place in agents[step]:
            if np.abs(place).max() > camera:
                _point_outwards(image, place, camera)
        drawn.append(image)
    environment.close()
    return drawn


def pixel(place: Sequence[float], camera: float) -> tuple[int, int]:
    """Where a frame shows a place: mpe2 leaves a twentieth of the picture free at each side."""
    x, y = place[0] / camera * 0.9, -place[1] / camera * 0.9
    return round(SHOWN * (1 + x) / 2), round(SHOWN * (1 + y) / 2)


def _point_outwards(image: Image.Image, place: NDArray[np.float64], camera: float) -> None:
    """At the border, towards an agent outside."""
    tip = np.asarray(pixel(place.clip(-1.1 * camera, 1.1 * camera).tolist(), camera), dtype=np.float64)
    way = place * (1, -1) / np.abs(place).max()
    way /= np.linalg.norm(way)
    across = np.asarray((-way[1], way[0]))
    corners = (tip, tip - 16 * way + 8 * across, tip - 16 * way - 8 * across)
    ImageDraw.Draw(image).polygon([tuple(corner.tolist()) for corner in corners], fill=ARROW)


def _farthest(recordings: Sequence[Recording]) -> float:
    places = [array(recording.fields[name]) for recording in recordings for name in ("agent_pos", "landmark_pos")]
    return max(float(np.abs(place).max()) for place in places)


def array(series: Series) -> NDArray[np.float64]:
    """[steps + 1, ...]"""
    return np.asarray(series.values, dtype=np.float64).reshape(-1, *series.shape)


def _environment(recording: Recording) -> Any:
    from mpe2 import simple_reference_v3, simple_speaker_listener_v4, simple_spread_v3

    name = _world_name(recording)
    if name == "simple_spread":
        made = simple_spread_v3.parallel_env(N=recording.fields["agent_pos"].shape[0], render_mode="rgb_array")
    elif name == "simple_reference":
        made = simple_reference_v3.parallel_env(render_mode="rgb_array")
    else:
        made = simple_speaker_listener_v4.parallel_env(render_mode="rgb_array")
    made.reset(seed=0)  # places and colours follow from the recording
    return made.unwrapped


def _world_name(recording: Recording) -> str:
    """Without the task's options: a sparse reward makes no other world."""
    return recording.task.partition("?")[0].removeprefix(PREFIX).removesuffix("_sparse")


def _corner(like: Any, camera: float) -> Any:
    corner = type(like)()
    corner.size, corner.color = 0.0, np.ones(3)
    corner.state.p_pos = np.full(2, camera)
    return corner


def _colour(world: Any, recording: Recording) -> None:
    """As mpe2 does: an agent has the colour of the landmark that it must reach."""
    if "goal" not in recording.fields:
        return
    for index, goal in enumerate(array(recording.fields["goal"])[0].astype(int)):
        world.agents[index].color = np.full(3, 0.25) if goal < 0 else world.landmarks[goal].color
    if _world_name(recording) == SPEAKER_LISTENER:
        world.agents[LISTENER].color = world.agents[LISTENER].color + PALER
