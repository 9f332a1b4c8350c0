"""Drawing in a process of its own, which leaves neither pygame nor its environment variables behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering.pictures import Pictures
from marlsmith.schemas import printable

SECONDS = 60.0
QUIET = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
RECORDINGS = TypeAdapter(list[Recording])
PICTURES = TypeAdapter(list[Pictures])


class DrawingError(Exception):
    """There are no pictures, and why."""


def drawn(recordings: Sequence[Recording]) -> list[Pictures]:
    """Films of episodes of one task, in one view. Raises DrawingError."""
    return pictures_of("marlsmith.marl.rendering.drawer", RECORDINGS.dump_json(list(recordings)), SECONDS)


def pictures_of(module: str, told: bytes, seconds: float) -> list[Pictures]:
    """What a module makes of its stdin. Raises DrawingError."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **QUIET, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        answer, log = process.communicate(told, seconds)
    except subprocess.TimeoutExpired:
        raise DrawingError(f"drawing took more than {seconds:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever an environment has started
        process.wait()
    if process.returncode:
        last = [line for line in log.decode(errors="replace").splitlines() if line.strip()][-1:]
        raise DrawingError(printable("; ".join(("drawing failed", *last)), 300))
    try:
        return PICTURES.validate_json(answer)
    except ValidationError:
        raise DrawingError("drawing failed: what came is no film") from None
