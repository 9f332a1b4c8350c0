"""Networks with the member axis first: P copies of one architecture, trained side by side by batched matmul.

Outputs come with their narrow axis before the rows, [P, O, ...]: a matrix product of that shape takes a fifth
of the time of one with O columns, and O (actions, values) is small.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl.config import TrainConfig


class Layers(ABC):
    """Parameters [P, C, ...] by name, C copies for each member: one for each agent, or one for all."""

    parameters: dict[str, Tensor]

    @abstractmethod
    def __call__(self, x: Tensor, memory: Tensor | None, restart: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Outputs [S, O, R, L] and memory [S, R, L, H] after each step, for R sequences of L steps, [S, R, L, F].

        S = P * C. `memory` [S, R, H] is that before the first step; `restart` bool [S, R, L] says where an
        episode begins, so that nothing is remembered from before.
        """

    def named(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        yield from ((f"{prefix}.{name}", parameter) for name, parameter in self.parameters.items())

    def stacked(self, name: str) -> Tensor:
        """[P, C, ...] -> [S, ...]."""
        return self.parameters[name].flatten(0, 1)


class MLP(Layers):
    """Two hidden layers with ReLU."""

    def __init__(self, sizes: Sequence[int], gain: float, copies: int, generators: Sequence[torch.Generator]) -> None:
        self.parameters = {}
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            last = layer == len(sizes) - 2
            weight = orthogonal(inputs, outputs, gain if last else 2**0.5, copies, generators)
            self.parameters[f"{layer}.weight"] = weight.mT.contiguous() if last else weight
            bias = (outputs, 1) if last else (1, outputs)
            self.parameters[f"{layer}.bias"] = weight.new_zeros((*weight.shape[:2], *bias))
        require_gradients(self.parameters)

    def __call__(self, x: Tensor, memory: Tensor | None, restart: Tensor | None) -> tuple[Tensor, Tensor | None]:
        rows = x.flatten(1, 2)
        out: Tensor = _MLPFunction.apply(rows, *(self.stacked(name) for name in self.parameters))
        return out.unflatten(2, x.shape[1:3]), None


class _MLPFunction(torch.autograd.Function):
    """x [S, R, F] and three layers -> [S, O, R], with the products of the backward pass in their fast shapes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w0: Tensor, b0: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        h0 = torch.baddbmm(b0, x, w0).relu_()
        h1 = torch.baddbmm(b1, h0, w1).relu_()
        ctx.save_for_backward(x, w0, w1, w2, h0, h1)
        return torch.baddbmm(b2, w2, h1.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, w0, w1, w2, h0, h1 = ctx.saved_tensors
        g2 = gradients[0].contiguous()
        g1 = _through_relu(torch.bmm(g2.mT, w2), h1)
        g0 = _through_relu(torch.bmm(g1, w1.mT), h0)
        of_x = torch.bmm(g0, w0.mT) if ctx.needs_input_grad[0] else None
        return (
            of_x,
            torch.bmm(x.mT, g0),
            g0.sum(1, keepdim=True),
            torch.bmm(h0.mT, g1),
            g1.sum(1, keepdim=True),
            torch.bmm(g2, h1),
            g2.sum(2, keepdim=True),
        )


def _through_relu(gradient: Tensor, output: Tensor) -> Tensor:
    """The gradient where ReLU let something through, in place."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)


class GRU(Layers):
    """A layer with ReLU, a gated recurrent unit (Cho et al. 2014, in the form of torch.nn.GRU), a linear layer."""

    def __init__(self, sizes: Sequence[int], gain: float, copies: int, generators: Sequence[torch.Generator]) -> None:
        inputs, width, _, outputs = sizes
        self.width = width
        enter = orthogonal(inputs, width, 2**0.5, copies, generators)
        gates = [orthogonal(width, width, 1.0, copies, generators) for _ in range(6)]
        leave = orthogonal(width, outputs, gain, copies, generators).mT.contiguous()
        lead = enter.shape[:2]
        self.parameters = {
            "enter.weight": enter,
            "enter.bias": enter.new_zeros((*lead, 1, width)),
            "gates.weight": torch.cat(gates[:3], -1),
            "gates.bias": enter.new_zeros((*lead, 1, 3 * width)),
            "memory.weight": torch.cat(gates[3:], -1),
            "memory.bias": enter.new_zeros((*lead, 1, 3 * width)),
            "leave.weight": leave,
            "leave.bias": enter.new_zeros((*lead, outputs, 1)),
        }
        require_gradients(self.parameters)

    def __call__(self, x: Tensor, memory: Tensor | None, restart: Tensor | None) -> tuple[Tensor, Tensor | None]:
        s, r, steps, _ = x.shape
        entered = torch.baddbmm(self.stacked("enter.bias"), x.flatten(1, 2), self.stacked("enter.weight")).relu()
        gates = torch.baddbmm(self.stacked("gates.bias"), entered, self.stacked("gates.weight")).view(s, r, steps, -1)
        weight, bias = self.stacked("memory.weight"), self.stacked("memory.bias")
        now = x.new_zeros(s, r, self.width) if memory is None else memory
        memories = []
        for t, entering in enumerate(gates.unbind(2)):  # one by one, each slice would get a gradient of full size
            if restart is not None:
                now = now * ~restart[:, :, t, None]
            reset_x, update_x, new_x = entering.chunk(3, -1)
            reset_h, update_h, new_h = torch.baddbmm(bias, now, weight).chunk(3, -1)
            update = torch.sigmoid(update_x + update_h)
            new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
            now = new + update * (now - new)
            memories.append(now)
        remembered = torch.stack(memories, 2)
        rows = remembered.flatten(1, 2)
        out = torch.baddbmm(self.stacked("leave.bias"), self.stacked("leave.weight"), rows.mT)
        return out.unflatten(2, (r, steps)), remembered


class AgentNetwork:
    """What each agent computes from its own observation.

    Shared weights see the agent's number one-hot behind the observation; separate ones need no number. Layout
    of all inputs: P members, U sequences, L steps, N agents, [P, U, L, N, ...].
    """

    def __init__(
        self,
        agents: int,
        inputs: int,
        outputs: int,
        gain: float,
        config: TrainConfig,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.agents = agents
        self.members = len(generators)
        self.recurrent = config.network == "gru"
        self.width = config.hidden
        self.separate = config.sharing == "separate" and agents > 1
        self.identified = not self.separate and agents > 1
        features = inputs + agents if self.identified else inputs
        sizes = (features, config.hidden, config.hidden, outputs)
        copies = agents if self.separate else 1
        layers = GRU if self.recurrent else MLP
        self.layers: Layers = layers(sizes, gain, copies, generators)
        self.identity = torch.eye(agents)

    def prepare(self, observation: Tensor) -> Tensor:
        """What the network reads, [..., N, F], of observations [..., N, D]."""
        if not self.identified:
            return observation
        return torch.cat((observation, self.identity.expand(*observation.shape[:-1], self.agents)), -1)

    def __call__(
        self, prepared: Tensor, memory: Tensor | None = None, restart: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs [P, O, U, L, N], and memory [P, U, L, N, H] after each step, for prepared [P, U, L, N, F].

        `memory` [P, U, N, H] is that before the first step (None: nothing), `restart` bool [P, U, L].
        """
        p, u, length, n, _ = prepared.shape
        if not self.recurrent:
            if not self.separate:
                out, _ = self.layers(prepared.flatten(2, 3), None, None)
                return out.unflatten(3, (length, n)), None
            out, _ = self.layers(prepared.permute(0, 3, 1, 2, 4).flatten(0, 1), None, None)
            return out.unflatten(0, (p, n)).permute(0, 2, 3, 4, 1), None
        x = prepared.permute(0, 3, 1, 2, 4)  # [P, N, U, L, F]
        before = None if memory is None else memory.transpose(1, 2)
        begins = None if restart is None else restart.unsqueeze(1).expand(p, n, u, length)
        first, last = (0, 1) if self.separate else (1, 2)  # agents are copies, or more rows of one copy
        out, after = self.layers(
            x.flatten(first, last),
            None if before is None else before.flatten(first, last),
            None if begins is None else begins.flatten(first, last),
        )
        assert after is not None, "a GRU remembers"
        if self.separate:
            shaped = out.unflatten(0, (p, n)).permute(0, 2, 3, 4, 1)
            return shaped, after.unflatten(0, (p, n)).permute(0, 2, 3, 1, 4)
        return out.unflatten(2, (n, u)).permute(0, 1, 3, 4, 2), after.unflatten(1, (n, u)).permute(0, 2, 3, 1, 4)

    def fresh_memory(self, sequences: int) -> Tensor | None:
        """[P, U, N, H]: nothing is remembered yet."""
        return torch.zeros(self.members, sequences, self.agents, self.width) if self.recurrent else None

    def named(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        yield from self.layers.named(prefix)

    def parameters(self) -> list[Tensor]:
        return list(self.layers.parameters.values())


def orthogonal(inputs: int, outputs: int, gain: float, copies: int, generators: Sequence[torch.Generator]) -> Tensor:
    """Orthogonal start [P, C, in, out], each member from its own generator (Saxe et al. 2014)."""
    members = []
    for generator in generators:
        for _ in range(copies):
            weight = torch.empty(outputs, inputs)
            torch.nn.init.orthogonal_(weight, gain, generator=generator)
            members.append(weight.T)
    return torch.stack(members).unflatten(0, (len(generators), copies)).contiguous()


def require_gradients(parameters: dict[str, Tensor]) -> None:
    for parameter in parameters.values():
        parameter.requires_grad_()
