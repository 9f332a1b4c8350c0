# task: mpe/simple_spread  scope: own
"""Signal proposed by a model."""

import typing as t
from typing import TYPE_CHECKING, NamedTuple

import torch

Reward = t.Union[torch.Tensor, t.Dict[str, torch.Tensor]]


def agent_reward(state) -> Reward:
    squares = (state.agent_pos.unsqueeze(2) - state.landmark_pos.unsqueeze(1)).square()
    dist = squares.sum(-1).sqrt()
    del squares
    return {"near": -dist.amin(dim=-1)}


if __name__ == "__main__":
    print("ok")
