"""Lets the tests of this room share their own runs, and the doubles of the graph's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from marlsmith.results.past import PastRun

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "graph")]


@pytest.fixture(scope="session")
def searched_run(tmp_path_factory: pytest.TempPathFactory) -> PastRun:
    """A finished search of two rounds; whoever writes in it takes a copy, as of the others."""
    from page_runs import searched

    return searched(tmp_path_factory.mktemp("runs") / "searched")


@pytest.fixture(scope="session")
def adapted_run(tmp_path_factory: pytest.TempPathFactory) -> PastRun:
    """A finished main run, into which one candidate was promoted."""
    from page_runs import adapted

    return adapted(tmp_path_factory.mktemp("runs") / "adapted")


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> PastRun:
    """A finished search in which all words from outside would be markup."""
    from page_runs import hostile

    return hostile(tmp_path_factory.mktemp("runs") / "<b>hostile")
