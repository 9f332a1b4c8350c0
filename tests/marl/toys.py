"""A tiny task with ends, limits and masks, and trainings of every kind on it. Run as a program, it resumes them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from marlsmith.marl.algorithms import ALGORITHMS
from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.signals.program import Program
from marlsmith.marl.tasks import Episodes, State, TensorTask
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import ContinuousActions, DiscreteActions, Metric, StateField, TaskCard

AGENTS, SEEN, HORIZON = 2, 3, 6
ON_POLICY = ("mappo", "ippo")


class Line(TensorTask):
    """Two agents on a line walk towards a mark. It is over for good when both stand within 0.2 of it.

    The mark moves on slowly, so that no two steps of a training look alike.

    Discrete: left, stay, right, and who stands beyond an end cannot leave it further. Continuous: a step, and a
    number that does nothing. Agents see their place, the mark and the other's place, all but the last relative.
    """

    def __init__(self, continuous: bool = False) -> None:
        self.continuous = continuous
        actions = (
            ContinuousActions(meanings=(("step", "nothing"),) * AGENTS)
            if continuous
            else DiscreteActions(meanings=(("left", "stay", "right"),) * AGENTS)
        )
        self.card = TaskCard(
            name="toy/line",
            description="Two agents on a line.",
            agents=AGENTS,
            actions=actions,
            observation_size=SEEN,
            horizon=HORIZON,
            fields=(
                StateField(name="place", shape="[B, N]", unit="lengths", meaning="of each agent"),
                StateField(name="mark", shape="[B]", unit="lengths", meaning="where to go"),
            ),
            observation=(),
            metrics=(Metric(name="closeness", unit="lengths", meaning="minus the last distance, agents' mean"),),
            score="closeness",
            sparsity="none",
        )

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        drawn = torch.stack([torch.rand(environments, AGENTS + 1, generator=one) * 2 - 1 for one in generators])
        return {"place": drawn[..., :AGENTS], "mark": drawn[..., AGENTS]}

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        move = action[..., 0].clamp(-1, 1) if self.continuous else action.float() - 1
        place, mark = state["place"] + 0.3 * move, state["mark"] + 0.01
        distance = (place - mark.unsqueeze(-1)).abs()
        return {"place": place, "mark": mark}, -distance, (distance < 0.2).all(-1)

    def observe(self, state: State) -> Tensor:
        place = state["place"]
        return torch.stack((state["mark"].unsqueeze(-1) - place, place.flip(-1) - place, place), -1)

    def available(self, state: State) -> Tensor | None:
        if self.continuous:
            return None
        place = state["place"]
        return torch.stack((place > -1, torch.ones_like(place, dtype=torch.bool), place < 1), -1)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        # The state after the last step that was taken while the episode ran.
        last = episodes.alive.sum(0)
        place = episodes.state["place"].gather(0, last[None, ..., None].expand(1, *last.shape, AGENTS))[0]
        mark = episodes.state["mark"].gather(0, last[None])[0]
        return {"closeness": -(place - mark.unsqueeze(-1)).abs().mean(-1)}


ALPHA = torch.full((AGENTS,), 0.5)


def two_columns(obs: Tensor) -> Tensor:
    return torch.stack((obs[..., 0].square(), 3 * obs[..., 1] + 1), -1)


def one_column(obs: Tensor) -> Tensor:
    return obs[..., :1].sign() + 2


def differences(obs: Tensor, history: Tensor) -> Tensor:
    """How the last four observations differ: nothing of this is in the present one."""
    return history[:, 1:].transpose(1, 2).flatten(2) - 2 * history[:, :-1].transpose(1, 2).flatten(2)


def nearer(state: Any) -> Tensor:
    """Depends on the state before and after, the action and the native reward."""
    return state.prev.place.abs() - 2 * state.place.abs() + 0.1 * state.reward + 7.0


def program(enhance: Any = None, reward: Any = None, history: bool = False) -> Program:
    return Program(reward, None, enhance, history, ALPHA, "own")


SIGNALS = {
    "reward": program(reward=nearer),
    "columns": program(two_columns, nearer),
    "history": program(differences, nearer, history=True),
}


class Kind(NamedTuple):
    """What distinguishes one training from another."""

    algorithm: str
    network: str = "mlp"
    sharing: str = "shared"
    continuous: bool = False

    def __str__(self) -> str:
        return "-".join((self.algorithm, self.network, self.sharing, "continuous" if self.continuous else "discrete"))


KINDS = [
    Kind(algorithm, network, sharing, continuous)
    for algorithm in ALGORITHMS
    for network in ("mlp", "gru")
    for sharing in ("shared", "separate")
    for continuous in ((False, True) if algorithm in ON_POLICY else (False,))
]


def config(kind: Kind, **changes: Any) -> TrainConfig:
    """Rollouts of 7 steps end in the middle of an episode; 28 environment steps of each member an update."""
    small = TrainConfig(
        algorithm=kind.algorithm, network=kind.network, sharing=kind.sharing, steps=400, environments=4, rollout=7,
        hidden=8, epochs=2, minibatches=2, replay=200, batch=8, updates=2, sequence=5 if kind.network == "gru" else 1,
        mixer=4, learning_rate=1e-2,
    )  # fmt: skip
    return small.model_copy(update=changes)


def trainer(kind: Kind, signal: Program | None = None, seeds: tuple[int, ...] = (1, 2), **changes: Any) -> Trainer:
    return Trainer(Line(kind.continuous), signal, config(kind, **changes), seeds)


def advanced(made: Trainer, rollouts: int) -> Trainer:
    for _ in range(rollouts):
        made.advance()
    return made


def bits(made: Trainer) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in made.tensors()}


def resumed(data: bytes, kind: Kind, signal: Program | None) -> Trainer:
    """A training of its own from a checkpoint's bytes."""
    fresh = trainer(kind, signal)
    fresh.load(unpack(data)[0])
    return fresh


def reloaded(made: Trainer, kind: Kind) -> Trainer:
    return resumed(pack(made.tensors(), {}), kind, made.program)


@functools.cache
def _bytes(kind: Kind, signal: str | None, rollouts: int) -> bytes:
    return pack(advanced(trainer(kind, SIGNALS[signal] if signal else None), rollouts).tensors(), {})


def trained(kind: Kind, signal: str | None = None, rollouts: int = 3) -> Trainer:
    """After some rollouts; trained once for all tests, and each gets a copy."""
    return resumed(_bytes(kind, signal, rollouts), kind, SIGNALS[signal] if signal else None)


def main(directory: Path) -> None:
    """Go on for two rollouts from each KIND.SIGNAL.half, and write KIND.SIGNAL.whole."""
    torch.set_num_threads(1)
    names = {str(kind): kind for kind in KINDS}
    for half in sorted(directory.glob("*.half")):
        name, signal, _ = half.name.split(".")
        made = resumed(half.read_bytes(), names[name], SIGNALS.get(signal))
        half.with_suffix(".whole").write_bytes(pack(advanced(made, 2).tensors(), {}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
