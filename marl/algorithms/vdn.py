"""VDN (Sunehag et al. 2018): the team's value is the sum of the agents'."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from marlsmith.marl.algorithms.base import Spaces
from marlsmith.marl.algorithms.value_learning import ValueLearning
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.mixing import Sum


class VDN(ValueLearning):
    def __init__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__(spaces, config, generators, Sum())
