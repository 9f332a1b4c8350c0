"""The example of docs/algorithms.md is an algorithm: it learns, resumes, and takes new columns in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toys import SIGNALS, Kind, advanced, bits, reloaded, trainer, two_columns

from marlsmith.marl.algorithms import ALGORITHMS, Spaces
from marlsmith.marl.algorithms.proximal import Proximal
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.trainer import Trainer

PAGE = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text()
KIND = Kind("mean-field")


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> type[Proximal]:
    """The class as the page has it, under the name that the page gives it."""
    code, registry = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, type[Proximal]] = {}
    exec(compile(code, "docs/algorithms.md", "exec"), names)
    shown = dict(re.findall(r'"([\w-]+)": (\w+)', registry))
    assert shown == {**{name: factory.__name__ for name, factory in ALGORITHMS.items()}, "mean-field": "MeanField"}
    monkeypatch.setitem(ALGORITHMS, "mean-field", names["MeanField"])
    return names["MeanField"]


def closeness(made: Trainer) -> float:
    return float(made.task.metrics(made.evaluate(200, seed=1))["closeness"].mean())


def test_it_learns() -> None:
    """To walk to the mark, on a task that takes no seconds."""
    made = trainer(KIND, steps=2_800, hidden=16)
    before = closeness(made)
    advanced(made, 100)
    assert closeness(made) > before / 4, "a quarter of the distance at the start is left at most; it is a twelfth"


@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_it_goes_on_bit_for_bit(network: str) -> None:
    kind = Kind("mean-field", network)
    made = advanced(trainer(kind, SIGNALS["columns"]), 3)
    again = reloaded(made, kind)
    ours, theirs = bits(advanced(made, 2)), bits(advanced(again, 2))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_new_columns_change_neither_policy_nor_values(example: Callable[..., Proximal]) -> None:
    """Its value network reads two observations side by side: both get the columns, with no weight."""
    config = TrainConfig(algorithm="mean-field", hidden=8)
    made = example(Spaces(2, 3, 3), config, [torch.Generator().manual_seed(1)])
    rows = torch.randn(1, 5, 1, 2, 3, generator=torch.Generator().manual_seed(2))
    seen = torch.cat((rows, two_columns(rows)), -1)
    wide = made.resized(5, kept=3)
    for network, other, ours, theirs in (
        (made.actor, wide.actor, made.actor.prepare(rows), wide.actor.prepare(seen)),
        (made.value, wide.value, made.value_inputs(rows, rows), wide.value_inputs(seen, seen)),
    ):
        torch.testing.assert_close(network(ours)[0], other(theirs)[0], rtol=0, atol=1e-6)
