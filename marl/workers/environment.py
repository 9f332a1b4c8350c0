"""The environment variables of a worker: an allowlist, so that no key that the orchestrator was told gets in."""

from __future__ import annotations

import os
from pathlib import Path

LOCALE = ("LANG", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES")
"""Handed on as they are."""

# Memory of a batch's size is wanted again at once: giving it back costs thousands of page faults an update.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}


def environment(home: Path) -> dict[str, str]:
    """Of the fork server and its workers."""
    return {
        **{name: os.environ[name] for name in LOCALE if name in os.environ},
        "PATH": os.defpath,
        "USER": "marlsmith",
        "HOME": str(home),
        "TMPDIR": str(home),
        "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"),
        "OMP_NUM_THREADS": "1",
        **KEEP_MEMORY,
    }


ALLOWED = frozenset({*LOCALE, *environment(Path())})
