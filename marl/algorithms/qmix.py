"""QMIX (Rashid et al. 2018): the team's value is a monotone function of the agents', which the state shapes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from marlsmith.marl.algorithms.base import Spaces
from marlsmith.marl.algorithms.value_learning import ValueLearning
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.mixing import MonotonicMixer


class QMIX(ValueLearning):
    def __init__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> None:
        mixer = MonotonicMixer(spaces.agents, spaces.agents * spaces.observation, config.mixer, generators)
        super().__init__(spaces, config, generators, mixer)
