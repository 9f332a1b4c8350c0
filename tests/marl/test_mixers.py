"""Q_tot grows with every agent's value, so that the team's best action is each agent's own."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import elu

from marlsmith.marl.mixing import MonotonicMixer, Sum

P, R, J = 2, 6, 7


def mixer_of(seed: int, agents: int, width: int, scale: float) -> tuple[MonotonicMixer, torch.Generator]:
    """With random parameters of any sign and size, not only those of the start."""
    mixer = MonotonicMixer(agents, J, width, [torch.Generator().manual_seed(seed + p) for p in range(P)])
    draws = torch.Generator().manual_seed(seed)
    for parameter in mixer.parameters.values():
        parameter.data = scale * torch.randn(parameter.shape, generator=draws)
    return mixer, draws


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    agents=st.integers(1, 5),
    width=st.integers(1, 9),
    scale=st.sampled_from([0.1, 1.0, 9.0]),
)
def test_qmix_is_monotone_in_every_agents_value(seed: int, agents: int, width: int, scale: float) -> None:
    mixer, draws = mixer_of(seed, agents, width, scale)
    values = (scale * torch.randn(P, R, agents, generator=draws)).requires_grad_()
    joint = torch.randn(P, R, J, generator=draws)
    total = mixer(values, joint)
    assert total.shape == (P, R)
    (slope,) = torch.autograd.grad(total.sum(), values)
    assert (slope >= 0).all()
    for agent in range(agents):
        more = values.detach().clone()
        more[..., agent] += torch.rand(P, R, generator=draws) * 5
        rounding = 1e-5 * (1 + total.abs())
        assert (mixer(more, joint) >= total - rounding).all()


def test_qmix_is_its_formula() -> None:
    mixer, draws = mixer_of(3, 2, 4, 1.0)
    values, joint = torch.randn(P, R, 2, generator=draws), torch.randn(P, R, J, generator=draws)
    total = mixer(values, joint)
    weight, bias, last, last_bias = mixer.parameters.values()
    for p in range(P):
        for r in range(R):
            heads = joint[p, r] @ weight[p] + bias[p, 0]
            first, second, entry, state = heads[:8].view(2, 4), heads[8:12], heads[12:16], heads[16:]
            hidden = elu(values[p, r] @ first.abs() + entry)
            expected = hidden @ second.abs() + last[p, 0] @ state.relu() + last_bias[p, 0, 0]
            torch.testing.assert_close(total[p, r], expected)


def test_qmix_has_the_derivatives_of_its_formula() -> None:
    mixer, draws = mixer_of(4, 3, 4, 1.0)
    joint = torch.randn(P, R, J, generator=draws).double()
    values = torch.randn(P, R, 3, generator=draws).double().requires_grad_()
    names = list(mixer.parameters)
    start = [mixer.parameters[name].detach().double().requires_grad_() for name in names]

    def total(values: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        mixer.parameters = dict(zip(names, parameters, strict=True))
        return mixer(values, joint)

    assert torch.autograd.gradcheck(total, (values, *start))


def test_the_members_of_a_mixer_never_mix() -> None:
    mixer, draws = mixer_of(5, 3, 4, 1.0)
    values, joint = torch.randn(P, R, 3, generator=draws), torch.randn(P, R, J, generator=draws)
    found = torch.autograd.grad(mixer(values, joint)[0].sum(), list(mixer.parameters.values()))
    assert all((gradient[1] == 0).all() and (gradient[0] != 0).any() for gradient in found)


def test_a_member_starts_from_its_own_seed() -> None:
    together = MonotonicMixer(3, J, 4, [torch.Generator().manual_seed(seed) for seed in (1, 2)])
    alone = MonotonicMixer(3, J, 4, [torch.Generator().manual_seed(2)])
    for name, parameter in alone.parameters.items():
        assert torch.equal(parameter[0], together.parameters[name][1])


def test_vdn_is_the_sum() -> None:
    values = torch.tensor([[[1.0, 2.0, -5.0]]])
    assert Sum()(values, torch.zeros(1, 1, J)).tolist() == [[-2.0]]


def test_qmix_begins_near_the_sum() -> None:
    """With larger slopes, overestimated values grew without end on simple_spread."""
    mixer = MonotonicMixer(3, J, 32, [torch.Generator().manual_seed(seed) for seed in (1, 2)])
    draws = torch.Generator().manual_seed(0)
    values = (0.1 * torch.randn(P, R, 3, generator=draws)).requires_grad_()
    (slope,) = torch.autograd.grad(mixer(values, torch.randn(P, R, J, generator=draws)).sum(), values)
    assert float(slope.min()) > 0.5
    assert float(slope.max()) < 2
