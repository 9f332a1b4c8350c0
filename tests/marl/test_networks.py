"""Stacked networks are many independent networks, their gradients are exact; the normaliser is its definition."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from references import outputs, weights
from torch import Tensor

from marlsmith.marl.config import TrainConfig
from marlsmith.marl.networks import AgentNetwork, orthogonal
from marlsmith.marl.normaliser import ValueNormaliser
from marlsmith.marl.optimiser import StackedAdam

AGENTS, SEQUENCES, STEPS, INPUTS, OUTPUTS, WIDTH = 3, 4, 5, 6, 2, 8


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def network(kind: str, sharing: str, seeds: tuple[int, ...] = (1, 2), agents: int = AGENTS) -> AgentNetwork:
    """Biases start at zero: random ones, so that nothing is hidden behind that."""
    config = TrainConfig(network=kind, sharing=sharing, hidden=WIDTH)
    made = AgentNetwork(agents, INPUTS, OUTPUTS, 1.0, config, generators(*seeds))
    for p, seed in enumerate(seeds):
        draws = torch.Generator().manual_seed(100 + seed)
        for name, parameter in made.named("net"):
            if name.endswith("bias"):
                parameter.detach()[p] = 0.5 * torch.randn(parameter.shape[1:], generator=draws)
    return made


def seen(members: int = 2, agents: int = AGENTS, dtype: torch.dtype = torch.float32) -> Tensor:
    shape = (members, SEQUENCES, STEPS, agents, INPUTS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def remembered(members: int = 2, agents: int = AGENTS) -> Tensor:
    return torch.randn(members, SEQUENCES, agents, WIDTH, generator=torch.Generator().manual_seed(1))


def restarts(members: int = 2) -> Tensor:
    return torch.rand(members, SEQUENCES, STEPS, generator=torch.Generator().manual_seed(2)) < 0.3


def run(made: AgentNetwork, x: Tensor, **also: Any) -> tuple[Tensor, Tensor | None]:
    with torch.no_grad():
        return made(made.prepare(x), **also)


def recalled(kind: str) -> dict[str, Tensor]:
    """A memory from before, and episodes that begin inside the sequences; feed-forward ones have neither."""
    return {"memory": remembered(), "restart": restarts()} if kind == "gru" else {}


BOTH = pytest.mark.parametrize("kind", ["mlp", "gru"])
SHARINGS = pytest.mark.parametrize("sharing", ["shared", "separate"])


@BOTH
@SHARINGS
def test_a_stack_is_separate_networks(kind: str, sharing: str) -> None:
    """Each agent's outputs and memory are what plain matrices (and torch's own GRU cell) make of its sequence."""
    made, x = network(kind, sharing), seen()
    also = recalled(kind)
    found, memory = run(made, x, **also)
    assert found.shape == (2, OUTPUTS, SEQUENCES, STEPS, AGENTS)
    for p in range(2):
        for n in range(AGENTS):
            own = weights(made.named("net"), "net", p, n if sharing == "separate" else 0)
            for u in range(SEQUENCES):
                row = x[p, u, :, n]
                if sharing == "shared":
                    row = torch.cat((row, torch.eye(AGENTS)[n].expand(STEPS, AGENTS)), -1)
                before = (also["memory"][p, u, n], also["restart"][p, u]) if also else ()
                out, after = outputs(own, row, *before)
                torch.testing.assert_close(found[p, :, u, :, n].T, out.detach())
                if kind == "gru":
                    assert memory is not None
                    assert after is not None
                    torch.testing.assert_close(memory[p, u, :, n], after.detach())
    assert (memory is None) == (kind == "mlp")


@BOTH
@SHARINGS
def test_the_gradient_is_exact(kind: str, sharing: str) -> None:
    """Of all parameters and inputs, against finite differences along random directions in double precision."""
    made = network(kind, sharing)
    for parameter in made.parameters():
        parameter.data = parameter.data.double()
    x = seen(dtype=torch.float64)[:, :2, :3].requires_grad_()
    also = {name: value[:, :2] for name, value in recalled(kind).items()}
    if also:
        also["memory"], also["restart"] = also["memory"].double(), also["restart"][..., :3]
    variables = (x, *made.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: made(made.prepare(x), **also)[0], variables, fast_mode=True)


@SHARINGS
def test_the_gradient_of_a_feed_forward_network_is_autograds(sharing: str) -> None:
    """In single precision and through a loss in which every output matters differently."""
    made, x = network("mlp", sharing), seen()
    pull = torch.randn(2, OUTPUTS, SEQUENCES, STEPS, AGENTS, generator=torch.Generator().manual_seed(3))
    found = torch.autograd.grad((made(made.prepare(x))[0].tanh() * pull).sum(), made.parameters())
    names = [name.removeprefix("net.") for name, _ in made.named("net")]
    for p in range(2):
        for copy in range(AGENTS if sharing == "separate" else 1):
            own = weights(made.named("net"), "net", p, copy)
            loss = torch.zeros(())
            for n in [copy] if sharing == "separate" else range(AGENTS):
                rows = x[p, :, :, n].flatten(0, 1)
                if sharing == "shared":
                    rows = torch.cat((rows, torch.eye(AGENTS)[n].expand(len(rows), AGENTS)), -1)
                loss = loss + (outputs(own, rows)[0].tanh() * pull[p, ..., n].flatten(1).T).sum()
            expected = torch.autograd.grad(loss, [own[name] for name in names])
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one[p, copy], other, rtol=1e-4, atol=1e-5)


def test_a_gru_equals_torchs_over_sequences_with_restarts() -> None:
    """torch.nn.GRU with the same weights, begun anew wherever an episode begins."""
    made, x, begins = network("gru", "shared", agents=1), seen(agents=1), restarts()
    begins[..., 0] = False
    memory = remembered(agents=1)
    found, after = run(made, x, memory=memory, restart=begins)
    for p in range(2):
        own = {name: value.detach() for name, value in weights(made.named("net"), "net", p, 0).items()}
        reference = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        with torch.no_grad():
            for ours, theirs in (("gates", "ih"), ("memory", "hh")):
                getattr(reference, f"weight_{theirs}_l0").copy_(own[f"{ours}.weight"].T)
                getattr(reference, f"bias_{theirs}_l0").copy_(own[f"{ours}.bias"][0])
        for u in range(SEQUENCES):
            entered = (x[p, u, :, 0] @ own["enter.weight"] + own["enter.bias"]).relu()
            starts = [0, *torch.nonzero(begins[p, u]).flatten().tolist(), STEPS]
            now, pieces = memory[p, u].unsqueeze(0), []
            for start, stop in itertools.pairwise(starts):
                with torch.no_grad():
                    pieces.append(reference(entered[None, start:stop], now)[0][0])
                now = torch.zeros_like(now)
            expected = torch.cat(pieces)
            assert after is not None
            torch.testing.assert_close(after[p, u, :, 0], expected)
            out = expected @ own["leave.weight"].T + own["leave.bias"].T
            torch.testing.assert_close(found[p, :, u, :, 0].T, out)


@SHARINGS
def test_a_sequence_at_once_equals_step_by_step(sharing: str) -> None:
    made, x, begins = network("gru", sharing), seen(), restarts()
    now = remembered()
    found, after = run(made, x, memory=now, restart=begins)
    assert after is not None
    for t in range(STEPS):
        out, memory = run(made, x[:, :, t : t + 1], memory=now * ~begins[:, :, t, None, None])
        assert memory is not None
        now = memory[:, :, 0]
        torch.testing.assert_close(found[:, :, :, t], out[:, :, :, 0])
        torch.testing.assert_close(after[:, :, t], now)


@SHARINGS
def test_nothing_remembered_is_a_memory_of_zeros(sharing: str) -> None:
    made, x = network("gru", sharing), seen()
    fresh = made.fresh_memory(SEQUENCES)
    assert fresh is not None
    assert fresh.shape == (2, SEQUENCES, AGENTS, WIDTH)
    for one, other in zip(run(made, x), run(made, x, memory=fresh), strict=True):
        assert one is not None
        assert torch.equal(one, other)
    assert network("mlp", sharing).fresh_memory(SEQUENCES) is None


@BOTH
@SHARINGS
def test_an_output_depends_on_its_own_member_sequence_and_agent_alone(kind: str, sharing: str) -> None:
    made, x = network(kind, sharing), seen()
    before = run(made, x)[0]
    x[1, 2, 3, 1] += 1.0
    changed = (run(made, x)[0] != before).any(1)
    expected = torch.zeros_like(changed)
    expected[1, 2, 3:, 1] = True
    if kind == "mlp":
        expected[1, 2, 4:, 1] = False
    assert torch.equal(changed, expected)


@BOTH
def test_separate_networks_do_not_mix_agents(kind: str) -> None:
    """Another weight of agent 1 changes agent 1 of that member and nobody else; a shared one changes all."""
    for sharing, touched in (("separate", [False, True, False]), ("shared", [True, True, True])):
        made, x = network(kind, sharing), seen()
        before = run(made, x)[0]
        with torch.no_grad():
            for parameter in made.parameters():
                parameter[1, 1 if sharing == "separate" else 0] *= 1.5
        changed = (run(made, x)[0] != before).flatten(1, 3)
        assert not bool(changed[0].any())
        assert changed[1].any(0).tolist() == touched


@BOTH
def test_shared_networks_know_the_agents_number(kind: str) -> None:
    """Agents that see the same act differently under shared weights; a lone agent needs no number."""
    made = network(kind, "shared")
    x = seen()[..., :1, :].expand(2, SEQUENCES, STEPS, AGENTS, INPUTS)
    out = run(made, x)[0]
    assert float((out[..., 0] - out[..., 1]).abs().max()) > 1e-3
    assert made.prepare(x).shape[-1] == INPUTS + AGENTS
    assert torch.equal(made.prepare(x)[..., INPUTS:], torch.eye(AGENTS).expand(*x.shape[:-1], AGENTS))
    assert network(kind, "shared", agents=1).prepare(x[..., :1, :]).shape[-1] == INPUTS


@BOTH
@SHARINGS
def test_a_member_is_what_it_would_be_alone(kind: str, sharing: str) -> None:
    both, alone, x = network(kind, sharing), network(kind, sharing, (2,)), seen()
    for (name, together), (_, single) in zip(both.named("net"), alone.named("net"), strict=True):
        assert torch.equal(together[1:], single), name
        if name.endswith("weight"):
            assert not torch.equal(together[0], together[1])
    torch.testing.assert_close(run(both, x)[0][1:], run(alone, x[1:])[0])


def test_the_start_is_orthogonal() -> None:
    made = orthogonal(8, 8, 2**0.5, 2, generators(3))
    assert made.shape == (1, 2, 8, 8)
    for copy in made[0]:
        torch.testing.assert_close(copy.T @ copy, 2 * torch.eye(8), atol=1e-5, rtol=0)
    assert not torch.equal(made[0, 0], made[0, 1])
    narrow = orthogonal(8, 4, 0.01, 1, generators(3))[0, 0]
    torch.testing.assert_close(narrow.T @ narrow, 1e-4 * torch.eye(4), atol=1e-7, rtol=0)


@BOTH
@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_the_last_layer_starts_with_its_gain_and_biases_at_zero(kind: str, gain: float) -> None:
    config = TrainConfig(network=kind, hidden=WIDTH)
    made = dict(AgentNetwork(AGENTS, INPUTS, OUTPUTS, gain, config, generators(1)).named("net"))
    last = made["net.2.weight" if kind == "mlp" else "net.leave.weight"][0, 0]
    torch.testing.assert_close(last @ last.T, gain**2 * torch.eye(OUTPUTS), atol=1e-5, rtol=0)
    assert all(not bool(value.any()) for name, value in made.items() if name.endswith("bias"))


def test_adam_equals_torchs_for_each_member() -> None:
    """Three steps on random gradients, one member's so large that it is clipped."""
    draws = torch.Generator().manual_seed(0)
    start = [torch.randn(2, 3, 4, generator=draws), torch.randn(2, 1, 4, generator=draws)]
    stacked = [tensor.clone().requires_grad_() for tensor in start]
    optimiser = StackedAdam([stacked], epsilon=1e-5, max_gradient_norm=10.0)
    alone = [[tensor[member].clone().requires_grad_() for tensor in start] for member in range(2)]
    references = [torch.optim.Adam(parameters, lr=0.01, eps=1e-5) for parameters in alone]
    for _ in range(3):
        gradients = [torch.randn(tensor.shape, generator=draws) for tensor in start]
        for gradient in gradients:
            gradient[1] *= 100
        optimiser.step(sum((p * g).sum() for p, g in zip(stacked, gradients, strict=True)), 0.01)
        for member, reference in enumerate(references):
            for parameter, gradient in zip(alone[member], gradients, strict=True):
                parameter.grad = gradient[member].clone()
            torch.nn.utils.clip_grad_norm_(alone[member], 10.0)
            reference.step()
    for number, tensor in enumerate(stacked):
        for member in range(2):
            torch.testing.assert_close(tensor[member], alone[member][number], atol=1e-6, rtol=1e-5)


def test_each_network_is_clipped_by_its_own_norm() -> None:
    small, large = torch.zeros(1, 1, 4, requires_grad=True), torch.zeros(1, 1, 4, requires_grad=True)
    optimiser = StackedAdam([[small], [large]], epsilon=1e-5, max_gradient_norm=10.0)
    norms = optimiser.step(small.sum() + 100 * large.sum(), 0.01)
    assert norms.tolist() == [[2.0, 200.0]]
    # After one step the mean is a tenth of the clipped gradient: ones, and a vector of length ten.
    torch.testing.assert_close(optimiser.mean[0, :4], torch.full((4,), 0.1))
    torch.testing.assert_close(optimiser.mean[0, 4:].norm(), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_the_normaliser_is_debiased_and_its_own_inverse() -> None:
    normaliser = ValueNormaliser.fresh(2, decay=0.9)
    values = torch.tensor([[1.0, 3.0], [100.0, 300.0]])
    assert torch.equal(normaliser.denormalise(values), values)
    normaliser.update(values)
    mean, deviation = normaliser.moments()
    torch.testing.assert_close(mean, torch.tensor([2.0, 200.0]))
    torch.testing.assert_close(deviation, torch.tensor([1.0, 100.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(normaliser.denormalise(normaliser.normalise(values)), values)
    torch.testing.assert_close(normaliser.normalise(values)[0], normaliser.normalise(values)[1], atol=1e-4, rtol=0)


def test_the_normaliser_weighs_batches_as_it_says() -> None:
    """Averages by decay, without the start's bias: weights .9 * .1 and .1 over their sum; absent rows count nothing."""
    normaliser = ValueNormaliser.fresh(1, decay=0.9)
    normaliser.update(torch.tensor([[2.0, 4.0]]))
    normaliser.update(torch.tensor([[10.0, 999.0]]), torch.tensor([[1.0, 0.0]]))
    mean, deviation = normaliser.moments()
    expected = (0.09 * 3 + 0.1 * 10) / 0.19
    square = (0.09 * 10 + 0.1 * 100) / 0.19
    assert float(mean) == pytest.approx(expected, rel=1e-5)
    assert float(deviation) == pytest.approx((square - expected**2) ** 0.5, rel=1e-4)


def test_a_frozen_group_stays_and_the_others_move_as_ever() -> None:
    """Neither its values nor its momentum: it goes on afterwards from where it stood."""
    start = [torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    both = {}
    for frozen in (None, 0):
        one, other = (tensor.clone().requires_grad_() for tensor in start)
        optimiser = StackedAdam([[one], [other]], epsilon=1e-5, max_gradient_norm=10.0)
        optimiser.step((one.square().sum() + other.pow(3).sum()), 0.01)
        held = {name: tensor.clone() for name, tensor in optimiser.tensors()}, one.detach().clone()
        optimiser.step((one.square().sum() + other.pow(3).sum()), 0.01, frozen=frozen)
        both[frozen] = other.detach().clone()
        now = dict(optimiser.tensors())
        same = [torch.equal(one, held[1])]
        same += [torch.equal(now[f"adam.{kind}.0"], held[0][f"adam.{kind}.0"]) for kind in ("mean", "square")]
        assert same == [frozen == 0] * 3
    assert torch.equal(both[None], both[0])


def test_what_enters_late_moves_as_if_it_were_new() -> None:
    """Adam's bias correction counts for each parameter: after 1,000 updates of others, the first step is the rate."""
    old, late = torch.zeros(1, 1, 3, requires_grad=True), torch.zeros(1, 1, 2, requires_grad=True)
    optimiser = StackedAdam([[old], [late]], epsilon=1e-8, max_gradient_norm=10.0)
    for _ in range(1000):
        optimiser.step(old.sum() + late.sum(), 0.01, frozen=1)
    assert not bool(late.any())
    optimiser.step(old.sum() + late.sum(), 0.01)
    torch.testing.assert_close(late.detach(), torch.full((1, 1, 2), -0.01))


def test_the_normaliser_finds_a_small_deviation_beside_a_large_mean() -> None:
    normaliser = ValueNormaliser.fresh(1, decay=0.9)
    draws = torch.Generator().manual_seed(0)
    for _ in range(200):
        normaliser.update(10_000 + torch.randn(1, 500, generator=draws))
    assert float(normaliser.moments()[1]) == pytest.approx(1.0, abs=0.05)
