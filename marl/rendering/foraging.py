"""Frames of level-based foraging, drawn here: lbforaging's own renderer knows windows alone, which need a display."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering.particles import array

PREFIX = "lbf/"
SIDE = 360
CAPTION = 22
CREDIT = "drawn by marlsmith, not by lbforaging"
PAPER, LINES, INK = (255, 255, 255), (205, 205, 205), (40, 40, 40)
AGENT, FOOD = (45, 95, 170), (190, 55, 45)


def frames(recording: Recording) -> list[Image.Image]:
    """One picture for each state, [steps + 1]: agents are blue squares and foods red discs, with their levels."""
    size = int(recording.task.removeprefix(PREFIX).partition("x")[0])
    return [_frame(recording, step, size) for step in range(recording.steps + 1)]


def pixel(row: float, column: float, size: int) -> tuple[int, int]:
    """The middle of a cell."""
    return round((column + 0.5) * SIDE / size), round((row + 0.5) * SIDE / size)


def _frame(recording: Recording, step: int, size: int) -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE + CAPTION), PAPER)
    draw = ImageDraw.Draw(image)
    for line in range(size + 1):
        at = min(round(line * SIDE / size), SIDE - 1)
        draw.line((at, 0, at, SIDE - 1), LINES)
        draw.line((0, at, SIDE - 1, at), LINES)
    half = 0.36 * SIDE / size
    for kind in ("food", "agent"):
        places = array(recording.fields[f"{kind}_pos"])[step]
        levels = array(recording.fields[f"{kind}_level"])[step]
        for (row, column), level in zip(places.tolist(), levels.tolist(), strict=True):
            if level > 0:  # food that was eaten has none
                x, y = pixel(row, column, size)
                box = (x - half, y - half, x + half, y + half)
                shape = draw.ellipse if kind == "food" else draw.rectangle
                shape(box, fill=FOOD if kind == "food" else AGENT)
                draw.text((x, y), f"{level:.0f}", PAPER, font=ImageFont.load_default(1.3 * half), anchor="mm")
    caption = f"step {step} of {recording.steps}  ·  {CREDIT}"
    draw.text((4, SIDE + CAPTION / 2), caption, INK, font=ImageFont.load_default(12), anchor="lm")
    return image
