"""`mpe/simple_spread`: N agents are to cover N landmarks without colliding (mpe2's simple_spread_v3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from marlsmith.marl.tasks import mpe
from marlsmith.marl.tasks.base import Episodes, State
from marlsmith.schemas import DiscreteActions, Metric, ObservationPart, TaskCard, UserError

AGENT_RADIUS = 0.15
LOCAL_RATIO = 0.5
MESSAGE_WIDTH = 2
MOST_AGENTS = 20

WORLD = """\
Agents and landmarks, {n} of each, are placed at random in a square arena from -1 to 1. The agents are discs of
radius 0.15 that push themselves about with a constant force in one of four directions or not at all; their
speed falls by a quarter in every step. Together they are to cover all landmarks: each landmark should have
an agent within 0.1 of it, so the agents must spread out and no two may chase the same landmark. All agents
are alike, no landmark belongs to anyone, and nobody is told who goes where. Agents that touch bounce off
each other."""

REWARD = """\
The native reward of every agent in every step is half of minus the summed distance from each landmark to
its nearest agent, less half a point for each other agent that it touches."""


class SimpleSpread(mpe.TargetTask):
    """State fields: `agent_pos`, `agent_vel` [P, E, N, 2] and `landmark_pos` [P, E, N, 2].

    The state is float64 whatever `dtype` says of observations and rewards: a contact doubles a rounding error
    in every step, and in float32 that grew to 0.06 within 4,000 random episodes of 5 agents.
    """

    success = "each landmark has an agent within 0.1 of it"

    def __init__(self, agents: int = 3, dtype: torch.dtype = torch.float32) -> None:
        if not 1 <= agents <= MOST_AGENTS:
            raise UserError(f"simple_spread takes from 1 to {MOST_AGENTS} agents, not {agents}.")
        self.world = WORLD.format(n=agents)
        self.card = task_card(agents, f"{self.world}\n{REWARD}")
        self.dtype = dtype
        self._moves = mpe.move_forces(torch.float64)
        first, second = torch.triu_indices(agents, agents, 1)
        # Pairs among the bodies of `step`: first the agents as they were, then as they are after the move.
        self._first, self._second = torch.cat((first, first + agents)), torch.cat((second, second + agents))
        member = torch.eye(agents, dtype=torch.float64)
        self._reaction = torch.kron(member[first] - member[second], torch.eye(2, dtype=torch.float64))
        self._blame = -LOCAL_RATIO * (member[first] + member[second])
        self._seen = observation_matrix(agents)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        return self._at_rest(mpe.uniform_points(generators, environments, 2 * self.card.agents))

    def reference_reset(self, seeds: Sequence[int]) -> State:
        """mpe2's own draws for `reset(seed)`: [1, len(seeds), ...]."""
        return self._at_rest(mpe.reference_draws(seeds, 2 * self.card.agents)[0])

    def _at_rest(self, points: Tensor) -> State:
        agents, landmarks = points.split(self.card.agents, -2)
        return {"agent_pos": agents, "agent_vel": torch.zeros_like(agents), "landmark_pos": landmarks}

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        n, pairs = self.card.agents, len(self._blame)
        before, landmarks = state["agent_pos"], state["landmark_pos"]
        position = mpe.moved(before, state["agent_vel"])
        bodies = mpe.bodies_first(torch.cat((before, position, landmarks), -2))
        apart = bodies.index_select(0, self._first) - bodies.index_select(0, self._second)
        distance = mpe.lengths(apart)

        contact = mpe.contact_forces(apart[:pairs], distance[:pairs], 2 * AGENT_RADIUS)
        received = torch.mm(contact.flatten(0, 1).t(), self._reaction).view(position.shape)
        velocity = mpe.pushed(state["agent_vel"], self._moves[action] + received)

        # Squares before the root: the nearest agent is the same, and there are fewer roots.
        squares = (bodies[2 * n :] - bodies[n : 2 * n].unsqueeze(1)).square().sum(-2)
        shared = squares.amin(0).sqrt().sum(0) * -(1 - LOCAL_RATIO)
        touches = (distance[pairs:] < 2 * AGENT_RADIUS).to(shared.dtype)
        reward = torch.addmm(shared.unsqueeze(-1), touches.t(), self._blame).view(action.shape)

        terminated = torch.zeros(action.shape[:-1], dtype=torch.bool)
        following = {"agent_pos": position, "agent_vel": velocity, "landmark_pos": landmarks}
        return following, reward.to(self.dtype), terminated

    def observe(self, state: State) -> Tensor:
        whole = torch.cat((state["agent_vel"], state["agent_pos"], state["landmark_pos"]), -2)
        seen = torch.mm(whole.reshape(-1, len(self._seen)), self._seen).to(self.dtype)
        return seen.view(*whole.shape[:-2], self.card.agents, self.card.observation_size)

    def reached(self, state: State) -> Tensor:
        return mpe.distances(state["landmark_pos"], state["agent_pos"]).amin(-1) < mpe.REACH

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        contacts = touching(episodes.state["agent_pos"][1:]).sum((-1, -2)) / 2
        return {**super().metrics(episodes), "collisions": (contacts * episodes.alive).sum(0)}


def touching(position: Tensor) -> Tensor:
    """Which pairs of agents collide: bool [..., N, N], false on the diagonal."""
    close = mpe.distances(position, position) < 2 * AGENT_RADIUS
    return close & ~torch.eye(position.shape[-2], dtype=torch.bool)


def observation_matrix(n: int) -> Tensor:
    """All observations as one linear map of the state, float64 [6 n, n D].

    Rows: velocities, positions and landmarks, (x, y) each; columns: agents, then the columns of the card.
    Entries are 0, 1 and -1 with at most two in a column, so that the product is exact but for one rounding.
    """
    velocity, position, landmark = torch.eye(3 * n, dtype=torch.float64).split(n, 1)
    views = []
    for i in range(n):
        own = position[:, i : i + 1]
        others = torch.cat((position[:, :i], position[:, i + 1 :]), 1)
        # simple_spread's agents are silent: their message columns are always zero.
        silence = torch.zeros_like(others)
        views += [velocity[:, i : i + 1], own, landmark - own, others - own, silence]
    return torch.kron(torch.cat(views, 1), torch.eye(2, dtype=torch.float64))


def task_card(n: int, description: str) -> TaskCard:
    landmarks, others, messages = 4, 4 + 2 * n, 4 + 2 * n + 2 * (n - 1)
    size = messages + MESSAGE_WIDTH * (n - 1)
    of_others = (
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
    )
    return TaskCard(
        name="mpe/simple_spread" if n == 3 else f"mpe/simple_spread?agents={n}",
        description=description,
        agents=n,
        actions=DiscreteActions(meanings=(mpe.MOVE_MEANINGS,) * n),
        observation_size=size,
        horizon=mpe.HORIZON,
        fields=mpe.PLACES,
        observation=(
            ObservationPart(name="velocity", start=0, stop=2, kind="velocity", of="self", meaning="own velocity"),
            ObservationPart(name="position", start=2, stop=4, kind="position", of="self", meaning="own position"),
            mpe.landmark_offsets(landmarks, n),
            *(of_others if n > 1 else ()),
        ),
        entities=mpe.bodies(n, AGENT_RADIUS, n, 0.05),
        target="landmark",
        reach=mpe.REACH,
        collide=2 * AGENT_RADIUS if n > 1 else None,
        metrics=(
            Metric(
                name="coverage",
                unit="share of landmarks",
                meaning="landmarks that had an agent within 0.1 at any time of the episode (LERO's reading)",
                best=1.0,
            ),
            Metric(
                name="final_coverage",
                unit="share of landmarks",
                meaning="landmarks with an agent within 0.1 after the last step",
                best=1.0,
            ),
            Metric(name="collisions", unit="pairs per episode", meaning="touching pairs, summed over the steps"),
            mpe.NATIVE_RETURN,
        ),
        score="coverage",
        sparsity="dense: every step carries distances, but shared by the team, so nobody learns who should go where",
    )
