"""Particle tasks whose reward says nothing but that the whole team has succeeded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from marlsmith.marl.tasks import mpe
from marlsmith.marl.tasks.base import Episodes, State, TensorTask
from marlsmith.marl.tasks.simple_reference import SimpleReference
from marlsmith.marl.tasks.simple_speaker_listener import SimpleSpeakerListener
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.schemas import Metric, TaskCard

SUCCESS = (
    Metric(
        name="success",
        unit="share of episodes",
        meaning="1 where the whole team succeeded at once at any time of the episode, else 0",
        best=1.0,
    ),
    Metric(
        name="final_success",
        unit="share of episodes",
        meaning="1 where the whole team succeeds after the last step, else 0",
        best=1.0,
    ),
)


class Sparse(TensorTask):
    """The world of `dense`, with reward 1 for every agent in each step after which the team succeeds, else 0."""

    def __init__(self, dense: mpe.TargetTask, sparsity: str) -> None:
        self.dense = dense
        self.card = sparse_card(dense, sparsity)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        return self.dense.reset(generators, environments)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        following, reward, terminated = self.dense.step(state, action)
        success = self.dense.succeeded(following).unsqueeze(-1).expand(reward.shape)
        return following, success.to(reward.dtype), terminated

    def observe(self, state: State) -> Tensor:
        return self.dense.observe(state)

    def available(self, state: State) -> Tensor | None:
        return self.dense.available(state)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        succeeded = self.dense.succeeded(mpe.after(episodes))
        return {
            **self.dense.metrics(episodes),
            "success": mpe.ever(succeeded, episodes.alive).float(),
            "final_success": mpe.at_end(succeeded, episodes.alive).float(),
        }


def sparse_card(dense: mpe.TargetTask, sparsity: str) -> TaskCard:
    name, mark, options = dense.card.name.partition("?")
    reward = (
        f"The native reward of every agent is 1 in each step at whose end {dense.success},\nand 0 in all other steps."
    )
    changes = {
        "name": f"{name}_sparse{mark}{options}",
        "description": f"{dense.world}\n{reward}",
        "metrics": (*dense.card.metrics, *SUCCESS),
        "score": "success",
        "sparsity": sparsity,
    }
    return TaskCard(**{**dict(dense.card), **changes})


# Rates: 100,000 episodes of a uniformly random policy.


def simple_spread_sparse(agents: int = 3) -> Sparse:
    return Sparse(
        SimpleSpread(agents),
        "sparse: the reward is 0 until all landmarks are covered at once; with 3 agents a random policy sees that in "
        "0.007% of its episodes",
    )


def simple_reference_sparse() -> Sparse:
    return Sparse(
        SimpleReference(),
        "sparse: the reward is 0 until both agents are at their targets at once; a random policy sees that in 0.06% of "
        "its episodes",
    )


def simple_speaker_listener_sparse() -> Sparse:
    return Sparse(
        SimpleSpeakerListener(),
        "sparse, but not rare: the reward is 0 until the listener is at its target, and a random policy sees that in "
        "4.9% of its episodes, so that chance alone finds it",
    )
