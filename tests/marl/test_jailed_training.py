"""The jail changes no number: a training in it equals the same training outside, bit for bit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marlsmith.marl import jobs
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.tasks import make_task
from marlsmith.marl.workers.contract import Limits
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import plain

TASK = "mpe/simple_spread"
LIMITS = Limits(wall_seconds=120, stall_seconds=60, memory_bytes=4 << 30, cpu_seconds=240)
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


def order(algorithm: str, steps: int, **settings: Any) -> dict[str, Any]:
    """What a training worker is asked: the README's signal under two seeds."""
    found = re.search(r"```python\n(# signal\.py.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    config = train_config(make_task(TASK).card, algorithm, {"steps": steps, **settings})
    request = BranchRequest(branch="b", candidate="c", task=TASK, seeds=(0, 1), train=config)
    asked = request.model_dump(mode="json", exclude={"evaluation"})
    return {"request": asked, "signal": plain(read_signal("signal.py", found[1]))}


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("mappo", {}),
        *(
            pytest.param(algorithm, settings, marks=pytest.mark.slow)
            for algorithm, settings in [
                ("mappo", {"network": "gru"}),
                ("ippo", {}),
                ("vdn", {}),
                ("qmix", {}),
                ("qmix", {"network": "gru", "sequence": 10}),
            ]
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("network", "mlp"),
)
def test_training_inside_equals_outside(pool: Pool, algorithm: str, settings: dict[str, Any]) -> None:
    arguments = order(algorithm, 2000, **settings)
    inside = pool.run("train", arguments, LIMITS)
    value, checkpoint = jobs.train(arguments, lambda progress: None)
    assert checkpoint is not None
    assert inside.tensors == checkpoint
    assert inside.value == value
    assert len(value["curve"]) >= 2
