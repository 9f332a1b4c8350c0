"""`python -m marlsmith.marl.rendering.drawer`: recordings as JSON on stdin, their pictures as JSON on stdout."""

from __future__ import annotations

import sys

from marlsmith.marl.rendering.launch import PICTURES, RECORDINGS
from marlsmith.marl.rendering.pictures import draw

if __name__ == "__main__":
    sys.stdout.buffer.write(PICTURES.dump_json(draw(RECORDINGS.validate_json(sys.stdin.buffer.read()))))
