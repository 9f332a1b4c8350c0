"""Everything that workers will do, once and small, where files can still be opened.

Torch and numpy import parts of themselves at the first use of this or that function. A worker cannot.
"""

from __future__ import annotations

import importlib
from typing import Any

from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.workers.jobs import Report

LATE_IMPORTS = (
    "numpy.ctypeslib",
    "numpy.linalg",
    "numpy.ma",
    "numpy.random",
    "torch.distributions",
    "torch.nn.functional",
    "torch.utils._device",
)
TRAININGS = (
    TrainConfig(algorithm="mappo", steps=2, environments=1, rollout=2, epochs=1, minibatches=1, hidden=4),
    TrainConfig(algorithm="ippo", steps=2, environments=1, rollout=2, epochs=1, minibatches=1, hidden=4, network="gru"),
    TrainConfig(algorithm="qmix", steps=4, environments=1, rollout=2, updates=1, batch=1, hidden=4, mixer=4),
)


def warm_up(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    for name in LATE_IMPORTS:
        importlib.import_module(name)
    task = make_task("mpe/simple_spread")
    for config in TRAININGS:
        trainer = Trainer(task, None, config, (0,))
        while not trainer.finished:
            trainer.advance()
        trainer.evaluate(1, 0)
        unpack(pack(trainer.tensors(), {}))
    return {}, None
