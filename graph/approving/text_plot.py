"""Learning curves in characters: legible at 80 columns, and without colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Console, ConsoleOptions
from rich.text import Text

WIDEST = 110
HEIGHT = 9
FLATTEST = 0.1
BOTH, BETWEEN = "◉", "·"


@dataclass(frozen=True)
class Series:
    """Points (x, y) in the order of x."""

    name: str
    mark: str
    style: str
    points: tuple[tuple[float, float], ...]
    joined: bool = True
    """Whether dots lead from point to point: of several that cross, one is enough for the eye."""


@dataclass(frozen=True)
class Cell:
    mark: str = " "
    style: str = ""


class Plot:
    """As wide as there is room, up to WIDEST. Points of several series in one place show as BOTH."""

    def __init__(self, series: Sequence[Series], unit: str, height: int = HEIGHT) -> None:
        self.series = [each for each in series if each.points]
        self.unit = unit
        self.height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Text]:
        if not self.series:
            yield Text("no learning curve was recorded", "dim")
            return
        xs, ys = ([point[axis] for each in self.series for point in each.points] for axis in (0, 1))
        low, high = _padded(min(ys), max(ys))
        labels = [f"{high - (high - low) * row / (self.height - 1):.3g}" for row in range(self.height)]
        margin = max(map(len, labels)) + 2
        width = max(10, min(WIDEST, options.max_width) - margin)
        for row, cells in enumerate(self._grid((min(xs), max(xs)), (low, high), width)):
            edge = labels[row] if row % 4 == 0 else ""
            line = Text.assemble((f"{edge:>{margin - 2}} {'┤' if edge else '│'}", "dim"))
            for cell in cells:
                line.append(cell.mark, cell.style)
            yield line
        yield from self._axis(min(xs), max(xs), margin, width)

    def _grid(self, x: tuple[float, float], y: tuple[float, float], width: int) -> list[list[Cell]]:
        grid = [[Cell() for _ in range(width)] for _ in range(self.height)]

        def place(point: tuple[float, float]) -> tuple[int, int]:
            return _scaled(point[0], x, width), self.height - 1 - _scaled(point[1], y, self.height)

        for each in self.series:
            for start, end in pairwise(map(place, each.points)) if each.joined else ():
                for column, row in _between(start, end):
                    if grid[row][column].mark in (" ", BETWEEN):
                        grid[row][column] = Cell(BETWEEN, each.style)
            for column, row in map(place, each.points):
                taken = grid[row][column].mark not in (" ", BETWEEN, each.mark)
                grid[row][column] = Cell(BOTH, "bold") if taken else Cell(each.mark, each.style)
        return grid

    def _axis(self, first: float, last: float, margin: int, width: int) -> Iterable[Text]:
        yield Text(" " * (margin - 1) + "└" + "─" * width, "dim")
        start, end = f"{first:,.0f}", f"{last:,.0f} {self.unit}"
        if first < last:
            start += end.rjust(width - len(start))
        yield Text(" " * margin + start, "dim")
        legend = Text(" " * margin)
        for each in self.series:
            legend.append(each.mark, each.style).append(f" {each.name}   ")
        if len(self.series) > 1:
            legend.append(BOTH, "bold").append(" both")
        yield legend


def _padded(low: float, high: float) -> tuple[float, float]:
    """Chance is not to look like a rise: what hardly moves lies in the middle of at least FLATTEST of its size."""
    room = max(FLATTEST * max(abs(low), abs(high)) - (high - low), 0.0) / 2
    return (low - room, high + room) if low < high or room else (low - 0.5, high + 0.5)


def _scaled(value: float, bounds: tuple[float, float], cells: int) -> int:
    low, high = bounds
    return 0 if low == high else round((value - low) / (high - low) * (cells - 1))


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """One cell for each column strictly between two."""
    (left, top), (right, bottom) = start, end
    for column in range(left + 1, right):
        yield column, round(top + (bottom - top) * (column - left) / (right - left))
