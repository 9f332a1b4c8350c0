"""Modules beside these tests (references.py, toys.py) can be imported by name, also by a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
