"""MAPPO (Yu et al. 2022): a value network over the joint observation.

It has one output per agent: the hybrid reward differs between agents (LERO, Eq. 1), and one pass over the
joint observation serves them all.
"""

from __future__ import annotations

from torch import Tensor

from marlsmith.marl.algorithms.proximal import Proximal
from marlsmith.marl.networks import AgentNetwork


class MAPPO(Proximal):
    def value_network(self) -> AgentNetwork:
        joint = self.spaces.observation * self.spaces.agents
        return AgentNetwork(1, joint, self.spaces.agents, 1.0, self.config, self.generators)

    def value_inputs(self, observation: Tensor, prepared: Tensor) -> Tensor:
        return observation.flatten(-2).unsqueeze(-2)

    def values_of(self, out: Tensor) -> Tensor:
        """[P, N, U, L, 1] -> [P, U, L, N]."""
        return out.squeeze(-1).movedim(1, -1)
