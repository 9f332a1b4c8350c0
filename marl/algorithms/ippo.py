"""IPPO (de Witt et al. 2020): every agent learns by itself, its value network sees what its policy sees."""

from __future__ import annotations

from torch import Tensor

from marlsmith.marl.algorithms.proximal import Proximal
from marlsmith.marl.networks import AgentNetwork


class IPPO(Proximal):
    def value_network(self) -> AgentNetwork:
        return AgentNetwork(self.spaces.agents, self.spaces.observation, 1, 1.0, self.config, self.generators)

    def value_inputs(self, observation: Tensor, prepared: Tensor) -> Tensor:
        return prepared

    def values_of(self, out: Tensor) -> Tensor:
        """[P, 1, U, L, N] -> [P, U, L, N]."""
        return out.squeeze(1)
