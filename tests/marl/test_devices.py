"""Trainings on a GPU, where one is at hand; and what is said where none is."""

from __future__ import annotations

import pytest
import torch
from toys import KINDS, SIGNALS, Kind, advanced, trainer

from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.devices import checked_device, on_device
from marlsmith.schemas import UserError

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that torch can use")


def test_an_unknown_device_is_refused() -> None:
    checked_device("cpu")
    with pytest.raises(UserError, match="no device 'tpu': say cpu, cuda or cuda:NUMBER"):
        checked_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_cuda_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError, match="use --device cpu"):
        checked_device("cuda")


def test_the_cpu_leaves_the_default_device_alone() -> None:
    before = torch.get_default_device()
    with on_device("cpu"):
        assert torch.get_default_device() == before


@GPU
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_everything_lies_on_the_gpu_and_goes_on_from_a_checkpoint(kind: Kind) -> None:
    with on_device("cuda"):
        whole, half = (advanced(trainer(kind), rollouts) for rollouts in (4, 2))
        for name, tensor in half.tensors():
            assert tensor.is_cuda or name.startswith(("generator.", "steps", "term.")), name
        rest = trainer(kind)
        rest.load(unpack(pack(half.tensors(), {}))[0])
        advanced(rest, 2).require_health()
        for name, tensor in whole.tensors():
            torch.testing.assert_close(dict(rest.tensors())[name], tensor, rtol=1e-3, atol=1e-4, check_device=False)
        rest.switch(SIGNALS["columns"])
        advanced(rest, 2).require_health()
        assert rest.evaluate(4, seed=1).reward.is_cuda
