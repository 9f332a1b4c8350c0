"""How the values of agents make the value of the team: Q_tot of Q_1 .. Q_N."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import elu

from marlsmith.marl.networks import orthogonal, require_gradients

START = 0.1
"""Gain of what the state adds to a mixer's weights at the start."""


class Mixer(Protocol):
    """Q_tot grows with each Q_i, so that each agent may pick its own best action (Rashid et al. 2018, Eq. 5)."""

    parameters: dict[str, Tensor]
    """[P, ...] by name."""

    def __call__(self, values: Tensor, joint: Tensor) -> Tensor:
        """Q_tot [P, R] for the values [P, R, N] of agents and the joint observation [P, R, J]."""
        ...


class Sum:
    """VDN's: Q_tot = sum_i Q_i (Sunehag et al. 2018, section 3)."""

    def __init__(self) -> None:
        self.parameters: dict[str, Tensor] = {}

    def __call__(self, values: Tensor, joint: Tensor) -> Tensor:
        return values.sum(-1)


class MonotonicMixer:
    """QMIX's network of two layers, whose weights hypernetworks read off the joint observation s.

    h = ELU(sum_i |W1(s)|_i Q_i + b1(s)), Q_tot = |w2(s)| . h + V(s), with V a network of one hidden layer and
    all else linear in s (Rashid et al. 2018, section 4 and its Figure 2).

    The joint observation stands in for the simulator's state, which not every task can give.
    """

    def __init__(self, agents: int, joint: int, width: int, generators: Sequence[torch.Generator]) -> None:
        self.agents = agents
        self.width = width
        # The four hypernetworks read the same numbers: side by side they are one product.
        sizes = ((agents * width, START), (width, START), (width, START), (width, 2**0.5))
        weight = torch.cat([orthogonal(joint, size, gain, 1, generators) for size, gain in sizes], -1).squeeze(1)
        bias = weight.new_zeros((len(weight), 1, weight.shape[-1]))
        # |w2| . |W1| begins near 1 for each agent: as a sum, with V beside it. Slopes far above 1 would multiply
        # every overestimate of a maximum, and values then grow without end.
        bias[..., : (agents + 1) * width] = width**-0.5
        last = orthogonal(width, 1, START, 1, generators).squeeze(1).mT.contiguous()
        self.parameters = {
            "hyper.weight": weight,
            "hyper.bias": bias,
            "value.weight": last,
            "value.bias": last.new_zeros((len(last), 1, 1)),
        }
        require_gradients(self.parameters)

    def __call__(self, values: Tensor, joint: Tensor) -> Tensor:
        total: Tensor = _Mixing.apply(values, joint, *self.parameters.values())
        return total


class _Mixing(torch.autograd.Function):
    """Q_tot and its derivatives written out: half the passes over [P, R, N, M] that autograd makes."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, joint: Tensor, weight: Tensor, bias: Tensor, last: Tensor, last_bias: Tensor
    ) -> Tensor:
        n, m = values.shape[-1], last.shape[-1]
        heads = torch.baddbmm(bias, joint, weight)
        first, second, entry, state = heads.split((n * m, m, m, m), -1)
        hidden = entry.clone()
        for agent, slopes in enumerate(first.abs().split(m, -1)):
            hidden.addcmul_(slopes, values[..., agent : agent + 1])
        hidden = elu(hidden, inplace=True)
        state = state.relu()
        ctx.save_for_backward(values, joint, heads, hidden, state, last)
        return (hidden * second.abs()).sum(-1) + torch.baddbmm(last_bias, last, state.mT).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        values, joint, heads, hidden, state, last = ctx.saved_tensors
        n, m = values.shape[-1], last.shape[-1]
        slope = gradients[0].unsqueeze(-1)
        first, second = heads[..., : n * m], heads[..., n * m : (n + 1) * m]
        # The slope of ELU is 1 above zero, and one more than the output below.
        into = slope * second.abs() * (hidden.clamp(max=0) + 1)
        of_heads = torch.empty_like(heads)
        of_values = torch.empty_like(values)
        for agent, weights in enumerate(first.split(m, -1)):
            torch.mul(into, values[..., agent : agent + 1], out=of_heads[..., agent * m : (agent + 1) * m])
            of_values[..., agent] = (into * weights.abs()).sum(-1)
        torch.mul(slope, hidden, out=of_heads[..., n * m : (n + 1) * m])
        of_heads[..., : (n + 1) * m] *= heads[..., : (n + 1) * m].sign()
        of_heads[..., (n + 1) * m : (n + 2) * m] = into
        torch.mul(slope * (state > 0), last, out=of_heads[..., (n + 2) * m :])
        return (
            of_values,
            None,  # the joint observation is data
            torch.bmm(joint.mT, of_heads),
            of_heads.sum(1, keepdim=True),
            torch.bmm(slope.mT, state),
            slope.sum(1, keepdim=True),
        )


def named(mixer: Mixer, prefix: str) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{prefix}.{name}", parameter) for name, parameter in mixer.parameters.items())
