"""Drawn episodes as files: an animated WebP, and its last frame for those who want nothing to move."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image
from pydantic import Base64Bytes, Field

from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering import foraging, particles
from marlsmith.schemas import Record

MILLISECONDS, LAST = 100, 2000
"""Of a frame, and of the last one."""
MOST_BYTES = 400_000
QUALITIES = (80, 60, 40, 20)
"""Tried in this order until the animation is small enough."""
MIME = "image/webp"


class Pictures(Record):
    data: Base64Bytes = Field(max_length=MOST_BYTES * 4, description="an animated WebP")
    still: Base64Bytes = Field(max_length=MOST_BYTES * 4, description="its last frame, WebP")
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    credit: str = Field(description="whose drawing it is")


MOST_FRAMES, MOST_PIXELS = 150, 480
"""Of a film, and of its longer side."""


def can_draw(task: str) -> bool:
    return task.startswith((particles.PREFIX, foraging.PREFIX))


def draw(recordings: Sequence[Recording]) -> list[Pictures]:
    """Episodes of one task, in one view."""
    if recordings[0].task.startswith(foraging.PREFIX):
        return [encoded(foraging.frames(recording), foraging.CREDIT) for recording in recordings]
    camera = particles.camera_of(recordings)
    credit = particles.credit(recordings)
    return [encoded(particles.frames(recording, camera), credit) for recording in recordings]


def encoded(frames: Sequence[Image.Image], credit: str) -> Pictures:
    """Raises ValueError where even the poorest quality is too large. Of a long episode some states are left out."""
    if len(frames) > MOST_FRAMES:
        frames = [frames[(len(frames) - 1) * place // (MOST_FRAMES - 1)] for place in range(MOST_FRAMES)]
    for quality in QUALITIES:
        data = BytesIO()
        durations = [MILLISECONDS] * (len(frames) - 1) + [LAST]
        frames[0].save(
            data, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=quality, method=4
        )
        if data.tell() <= MOST_BYTES:
            break
    else:
        raise ValueError(f"the film has more than {MOST_BYTES:,} bytes")
    still = BytesIO()
    frames[-1].save(still, "WEBP", quality=quality, method=4)
    width, height = frames[0].size
    return Pictures.model_construct(
        data=data.getvalue(), still=still.getvalue(), width=width, height=height, credit=credit
    )
