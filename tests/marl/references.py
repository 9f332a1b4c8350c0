"""Networks written out for one member and one agent, on plain matrices and torch's own cell."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def weights(named: Iterable[tuple[str, Tensor]], prefix: str, member: int, copy: int) -> dict[str, Tensor]:
    """One copy of a network's parameters, as leaves of their own, from tensors [P, C, ...] by name."""
    return {
        name.removeprefix(f"{prefix}."): tensor[member, copy].detach().clone().requires_grad_()
        for name, tensor in named
        if name.startswith(f"{prefix}.") and name.endswith((".weight", ".bias"))
    }


def outputs(
    own: dict[str, Tensor], x: Tensor, memory: Tensor | None = None, restart: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Outputs [L, O] for one sequence [L, F], and the memory [L, H] after each step of it."""
    if "0.weight" in own:
        hidden = (x @ own["0.weight"] + own["0.bias"]).clamp(min=0)
        hidden = (hidden @ own["1.weight"] + own["1.bias"]).clamp(min=0)
        return hidden @ own["2.weight"].T + own["2.bias"].T, None
    width = own["enter.weight"].shape[1]
    now = x.new_zeros(1, width) if memory is None else memory.view(1, width)
    entered = (x @ own["enter.weight"] + own["enter.bias"]).clamp(min=0)
    after = []
    for t in range(len(x)):
        if restart is not None and bool(restart[t]):
            now = torch.zeros_like(now)
        gates = (own["gates.weight"].T, own["memory.weight"].T, own["gates.bias"][0], own["memory.bias"][0])
        now = torch.gru_cell(entered[t : t + 1], now, *gates)
        after.append(now)
    remembered = torch.cat(after)
    return remembered @ own["leave.weight"].T + own["leave.bias"].T, remembered
