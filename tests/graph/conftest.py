"""Lets the tests of this room, and the processes that they start, share `graph_fakes`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
