"""Films of environments of others: a fresh one is reset with the same seed, given the same actions, and rendered."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from marlsmith.marl.external.launch import examine
from marlsmith.marl.external.source import Found, Source
from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering.launch import SECONDS, pictures_of
from marlsmith.marl.rendering.pictures import Pictures


class Reel(BaseModel):
    """What the process that renders is told."""

    source: Source
    found: Found
    recordings: list[Recording]


def rendered(task: str, recordings: Sequence[Recording]) -> list[Pictures]:
    """By the environment's own `render()`, in a process of its own. Raises DrawingError, and UserError as `examine`."""
    source, found = examine(task)
    reel = Reel(source=source, found=found, recordings=list(recordings))
    told = reel.model_dump_json(by_alias=True).encode()
    return pictures_of("marlsmith.marl.external.renderer", told, SECONDS + len(recordings) * source.probe_seconds)
