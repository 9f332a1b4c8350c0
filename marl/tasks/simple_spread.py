"""`mpe/simple_spread`: N agents are to cover N landmarks without colliding (mpe2's simple_spread_v3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from marlsmith.marl.tasks import mpe
from marlsmith.marl.tasks.base import Episodes, State
from marlsmith.schemas import Entity, Metric, ObservationPart, StateField, TaskCard

AGENT_RADIUS = 0.15
REACH = 0.1
LOCAL_RATIO = 0.5
MESSAGE_WIDTH = 2

DESCRIPTION = """\
{n} agents and {n} landmarks are placed at random in a square arena from -1 to 1. The agents are discs of
radius 0.15 that push themselves about with a constant force in one of four directions or not at all; their
speed falls by a quarter in every step. Together they are to cover all landmarks: each landmark should have
an agent within 0.1 of it, so the agents must spread out and no two may chase the same landmark. All agents
are alike, no landmark belongs to anyone, and nobody is told who goes where. Agents that touch bounce off
each other. The native reward of every agent in every step is half of minus the summed distance from each
landmark to its nearest agent, less half a point for each other agent that it touches."""


class SimpleSpread:
    """State fields: `agent_pos`, `agent_vel` [P, E, N, 2] and `landmark_pos` [P, E, N, 2].

    The state is float64 whatever `dtype` says of observations and rewards: a contact doubles a rounding error
    in every step, and in float32 that grew to 0.06 within 4,000 random episodes of 5 agents.
    """

    def __init__(self, agents: int = 3, dtype: torch.dtype = torch.float32) -> None:
        self.card = task_card(agents)
        self.dtype = dtype
        self._moves = mpe.move_forces(torch.float64)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        n = self.card.agents
        draws = [torch.rand(environments, 2 * n, 2, generator=g, dtype=torch.float64) for g in generators]
        points = torch.stack(draws) * 2 - 1
        return self._at_rest(points[..., :n, :], points[..., n:, :])

    def reference_reset(self, seeds: Sequence[int]) -> State:
        """mpe2's own draws for `reset(seed)`: [1, len(seeds), ...]."""
        from gymnasium.utils import seeding  # only needed here, and slow to import

        n = self.card.agents
        draws = [seeding.np_random(seed)[0].uniform(-1, +1, (2 * n, 2)) for seed in seeds]
        points = torch.stack([torch.from_numpy(draw) for draw in draws]).unsqueeze(0)
        return self._at_rest(points[..., :n, :], points[..., n:, :])

    def _at_rest(self, agents: Tensor, landmarks: Tensor) -> State:
        return {"agent_pos": agents, "agent_vel": torch.zeros_like(agents), "landmark_pos": landmarks}

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        force = self._moves[action] + mpe.contact_forces(state["agent_pos"], 2 * AGENT_RADIUS)
        position, velocity = mpe.integrate(state["agent_pos"], state["agent_vel"], force)
        landmarks = state["landmark_pos"]
        shared = -mpe.distances(landmarks, position).amin(-1).sum(-1, keepdim=True)
        individual = -touching(position).sum(-1)
        reward = (shared * (1 - LOCAL_RATIO) + individual * LOCAL_RATIO).to(self.dtype)
        terminated = torch.zeros(action.shape[:-1], dtype=torch.bool)
        return {"agent_pos": position, "agent_vel": velocity, "landmark_pos": landmarks}, reward, terminated

    def observe(self, state: State) -> Tensor:
        position, landmarks = state["agent_pos"], state["landmark_pos"]
        offsets = (landmarks.unsqueeze(-3) - position.unsqueeze(-2)).flatten(-2)
        others = mpe.relative_to_others(position)
        # simple_spread's agents are silent: their message columns are always zero.
        silence = position.new_zeros((*position.shape[:-1], MESSAGE_WIDTH * (self.card.agents - 1)))
        return torch.cat((state["agent_vel"], position, offsets, others, silence), -1).to(self.dtype)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        position = episodes.state["agent_pos"][1:]
        covered = mpe.distances(episodes.state["landmark_pos"][1:], position).amin(-1) < REACH
        contacts = touching(position).sum((-1, -2)) / 2
        return {
            "coverage": covered.any(0).float().mean(-1),
            "final_coverage": covered[-1].float().mean(-1),
            "collisions": contacts.sum(0),
            "native_return": episodes.reward.sum(0).mean(-1),
        }


def touching(position: Tensor) -> Tensor:
    """Which pairs of agents collide: bool [..., N, N], false on the diagonal."""
    close = mpe.distances(position, position) < 2 * AGENT_RADIUS
    return close & ~torch.eye(position.shape[-2], dtype=torch.bool)


def task_card(n: int) -> TaskCard:
    offsets, others, messages = 4, 4 + 2 * n, 4 + 2 * n + 2 * (n - 1)
    size = messages + MESSAGE_WIDTH * (n - 1)
    return TaskCard(
        name="mpe/simple_spread",
        description=DESCRIPTION.format(n=n),
        agents=n,
        actions=mpe.MOVE_MEANINGS,
        observation_size=size,
        horizon=25,
        fields=(
            StateField(name="agent_pos", shape="[B, N, 2]", unit="length", meaning="positions of the agents"),
            StateField(
                name="agent_vel",
                shape="[B, N, 2]",
                unit="length/s",
                meaning="velocities of the agents; a step is 0.1 s",
            ),
            StateField(
                name="landmark_pos",
                shape="[B, M, 2]",
                unit="length",
                meaning="positions of the landmarks, which never move",
            ),
        ),
        observation=(
            ObservationPart(name="velocity", start=0, stop=2, kind="velocity", of="self", meaning="own velocity"),
            ObservationPart(name="position", start=2, stop=4, kind="position", of="self", meaning="own position"),
            ObservationPart(
                name="landmark_offsets",
                start=offsets,
                stop=others,
                kind="offset",
                of="landmark",
                meaning="landmarks seen from the agent, (x, y) each, in landmark order",
            ),
            ObservationPart(
                name="agent_offsets",
                start=others,
                stop=messages,
                kind="offset",
                of="agent",
                meaning="the other agents seen from the agent, (x, y) each, in agent order without itself",
            ),
            ObservationPart(
                name="messages",
                start=messages,
                stop=size,
                kind="message",
                of="agent",
                meaning="always zero in this task",
            ),
        ),
        entities=(
            Entity(name="agent", count=n, position="agent_pos", velocity="agent_vel", radius=AGENT_RADIUS),
            Entity(name="landmark", count=n, position="landmark_pos", radius=0.05),
        ),
        target="landmark",
        reach=REACH,
        collide=2 * AGENT_RADIUS,
        metrics=(
            Metric(
                name="coverage",
                unit="share of landmarks",
                meaning="landmarks that had an agent within 0.1 at any time of the episode (LERO's reading)",
            ),
            Metric(
                name="final_coverage",
                unit="share of landmarks",
                meaning="landmarks with an agent within 0.1 after the last step",
            ),
            Metric(name="collisions", unit="pairs per episode", meaning="touching pairs, summed over the steps"),
            Metric(
                name="native_return",
                unit="per agent and episode",
                meaning="undiscounted sum of the native reward",
            ),
        ),
        score="coverage",
        sparsity="dense: every step carries distances, but shared by the team, so nobody learns who should go where",
    )
