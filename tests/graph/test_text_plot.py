"""Curves in characters: what is high stands high, whatever the width, and colours are not needed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from marlsmith.graph.approving.text_plot import BETWEEN, BOTH, HEIGHT, Plot, Series


def drawn(*series: Series, width: int = 60) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    with console.capture() as said:
        console.print(Plot(series, "steps"))
    return said.get().splitlines()


RISING = Series("up", "x", "green", ((0, 0.0), (50, 0.5), (100, 1.0)))
FLAT = Series("flat", "o", "yellow", ((0, 0.0), (50, 0.0), (100, 0.0)), joined=False)


@pytest.mark.parametrize("width", [20, 60, 120, 300])
def test_points_stand_where_their_numbers_say(width: int) -> None:
    *rows, axis, steps, legend = drawn(RISING, width=width)
    assert len(rows) == HEIGHT
    assert all(len(row) <= width for row in (*rows, axis, steps))
    column = {row: line.find("x") for row, line in enumerate(rows) if "x" in line}
    assert sorted(column) == [0, HEIGHT // 2, HEIGHT - 1]
    assert column[0] > column[HEIGHT // 2] > column[HEIGHT - 1]
    assert [rows[row].split()[0] for row in (0, HEIGHT // 2, HEIGHT - 1)] == ["1", "0.5", "0"]
    assert legend.strip() == "x up"
    # Between two points every column has its dot.
    assert sum(row.count(BETWEEN) for row in rows) == column[0] - column[HEIGHT - 1] - 2


def test_two_curves_are_told_apart_without_colour() -> None:
    *rows, _, steps, legend = drawn(RISING, FLAT)
    assert legend.split() == ["x", "up", "o", "flat", BOTH, "both"]
    assert steps.split() == ["0", "100", "steps"]
    bottom = rows[-1].split("┤")[1]
    assert bottom[0] == BOTH, "they begin in one place"
    assert bottom.count("o") == 2
    assert sum(row.count("x") for row in rows) == 2


def test_chance_does_not_look_like_a_rise() -> None:
    rows = drawn(Series("a", "x", "", ((0, 0.5), (100, 0.505))))[:HEIGHT]
    assert {row for row, line in enumerate(rows) if "x" in line} <= {HEIGHT // 2 - 1, HEIGHT // 2, HEIGHT // 2 + 1}
    zero = drawn(Series("a", "x", "", ((0, 0.0), (100, 0.0))))
    assert "x" in zero[HEIGHT // 2]
    assert zero[0].split()[0] == "0.5"


def test_a_single_point_and_none() -> None:
    assert sum(line.count("x") for line in drawn(Series("a", "x", "", ((100, 3.0),)))[:HEIGHT]) == 1
    assert drawn(Series("a", "x", "", ())) == ["no learning curve was recorded"]
