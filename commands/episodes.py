"""Which episodes decide: the same ones for every command on this machine, and known to nobody else.

Code that knew the seed could rebuild what the task hides from the policy. So the seed is drawn once, kept where
no worker can read it, and told to the simulator alone. A run keeps its own in run.toml.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

SEED_BITS = 62


def evaluation_seed() -> int:
    """Drawn at the first call on this machine; where it cannot be kept, anew in each process."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    file = Path(home) / "marlsmith" / "evaluation-seed"
    drawn = secrets.randbits(SEED_BITS)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write_whole(file, str(drawn))
    with contextlib.suppress(OSError, ValueError):
        if 0 <= (kept := int(file.read_text())) < 1 << SEED_BITS:
            return kept
    return drawn


def _write_whole(file: Path, text: str) -> None:
    """For its owner alone. Raises FileExistsError where somebody else was quicker."""
    descriptor, part = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
        os.link(part, file)
    finally:
        Path(part).unlink()
