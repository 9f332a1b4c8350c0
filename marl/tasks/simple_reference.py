"""`mpe/simple_reference`: two agents, each of whom knows only where the other must go (mpe2's simple_reference_v3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from marlsmith.marl.tasks import mpe
from marlsmith.marl.tasks.base import Episodes, State
from marlsmith.schemas import DiscreteActions, Metric, ObservationPart, StateField, TaskCard

AGENTS, LANDMARKS, WORDS = 2, 3, 10
LOCAL_RATIO = 0.5

WORLD = """\
Two agents and three landmarks are placed at random in a square arena from -1 to 1. Each agent must come
within 0.1 of one landmark of its own, but sees only which landmark is the OTHER agent's target, never its own
(both may have the same): so each must tell the other where to go. In every step an agent pushes itself with a
constant force in one of four directions or not at all, and says one of ten words, which the other agent hears
in its next observation. Words have no meaning but the one that the agents learn to give them. Speed falls by a
quarter in every step; agents and landmarks pass through each other."""

REWARD = """\
The native reward of an agent in every step is minus half the distance of the other agent from that other
agent's target, minus half the mean of both agents' distances from their own targets."""


class SimpleReference(mpe.TargetTask):
    """State: `agent_pos`, `agent_vel` [P, E, 2, 2], `landmark_pos` [P, E, 3, 2], `message` [P, E, 2, 10], `goal`.

    `goal` int64 [P, E, 2] is the landmark that an agent must reach itself: what its partner sees. Everything
    else is float64 whatever `dtype` says of observations and rewards.
    """

    world = WORLD
    success = "each agent is within 0.1 of its own target"

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.card = task_card()
        self.dtype = dtype
        self._moves = mpe.move_forces(torch.float64)
        self._words = torch.eye(WORDS, dtype=torch.float64)
        self._colours = torch.full((LANDMARKS, LANDMARKS), 0.25, dtype=torch.float64).fill_diagonal_(0.75)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        points = mpe.uniform_points(generators, environments, AGENTS + LANDMARKS)
        goals = [torch.randint(LANDMARKS, (environments, AGENTS), generator=g) for g in generators]
        return self._at_rest(points, torch.stack(goals))

    def reference_reset(self, seeds: Sequence[int]) -> State:
        """mpe2's own draws for `reset(seed)`: [1, len(seeds), ...]."""
        points, told = mpe.reference_draws(seeds, AGENTS + LANDMARKS, AGENTS)
        return self._at_rest(points, told.flip(-1))  # mpe2 draws what agent 0 sees first: where agent 1 must go

    def _at_rest(self, points: Tensor, goal: Tensor) -> State:
        agents, landmarks = points.split((AGENTS, LANDMARKS), -2)
        return {
            "agent_pos": agents,
            "agent_vel": torch.zeros_like(agents),
            "landmark_pos": landmarks,
            "message": points.new_zeros(*goal.shape, WORDS),
            "goal": goal,
        }

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        following = {
            **state,
            "agent_pos": mpe.moved(state["agent_pos"], state["agent_vel"]),
            "agent_vel": mpe.pushed(state["agent_vel"], self._moves[action % len(mpe.MOVES)]),
            "message": self._words[action // len(mpe.MOVES)],
        }
        distance = self._to_go(following)
        shared = distance.mean(-1, keepdim=True)
        reward = -(shared * (1 - LOCAL_RATIO) + distance.flip(-1) * LOCAL_RATIO)
        return following, reward.to(self.dtype), torch.zeros(action.shape[:-1], dtype=torch.bool)

    def observe(self, state: State) -> Tensor:
        seen = mpe.offsets(state["landmark_pos"], state["agent_pos"])
        told = self._colours[state["goal"].flip(-1)]
        return torch.cat((state["agent_vel"], seen, told, state["message"].flip(-2)), -1).to(self.dtype)

    def reached(self, state: State) -> Tensor:
        return self._to_go(state) < mpe.REACH

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        now = mpe.after(episodes)
        visited = mpe.distances(now["landmark_pos"], now["agent_pos"]).amin(-1) < mpe.REACH
        return {
            **super().metrics(episodes),
            "landmark_coverage": mpe.ever(visited, episodes.alive).float().mean(-1),
        }

    def _to_go(self, state: State) -> Tensor:
        """Distance of each agent from its own target, [..., 2]."""
        target = mpe.own_target(state["landmark_pos"], state["goal"])
        return (state["agent_pos"] - target).square().sum(-1).sqrt()


def task_card() -> TaskCard:
    meanings = tuple(f"say word {word}, {move}" for word in range(WORDS) for move in mpe.MOVE_MEANINGS)
    return TaskCard(
        name="mpe/simple_reference",
        description=f"{WORLD}\n{REWARD}",
        agents=AGENTS,
        actions=DiscreteActions(meanings=(meanings,) * AGENTS),
        observation_size=21,
        horizon=mpe.HORIZON,
        fields=(
            *mpe.PLACES,
            StateField(
                name="message",
                shape="[B, N, 10]",
                unit="none",
                meaning="the word that each agent said in the last step, one-hot; zeros at the start",
            ),
            StateField(
                name="goal",
                shape="[B, N] int64",
                unit="none",
                meaning="index of the landmark that the agent itself must reach; only the other agent observes it",
            ),
        ),
        observation=(
            ObservationPart(name="velocity", start=0, stop=2, kind="velocity", of="self", meaning="own velocity"),
            mpe.landmark_offsets(2, LANDMARKS),
            ObservationPart(
                name="partner_goal",
                start=8,
                stop=11,
                kind="goal",
                of="agent",
                meaning="which landmark the OTHER agent must reach: 0.75 at its index, 0.25 elsewhere",
            ),
            ObservationPart(
                name="message",
                start=11,
                stop=21,
                kind="message",
                of="agent",
                meaning="the word that the other agent said in the last step, one-hot; zeros at the start",
            ),
        ),
        entities=mpe.bodies(AGENTS, 0.05, LANDMARKS, 0.05),
        target="landmark",
        goal="goal",
        reach=mpe.REACH,
        metrics=(
            Metric(
                name="coverage",
                unit="share of agents",
                meaning="agents that came within 0.1 of their own target at any time of the episode",
                best=1.0,
            ),
            Metric(
                name="final_coverage",
                unit="share of agents",
                meaning="agents within 0.1 of their own target after the last step",
                best=1.0,
            ),
            Metric(
                name="landmark_coverage",
                unit="share of landmarks",
                meaning="of all three landmarks, those that had any agent within 0.1 at any time of the episode",
                best=1.0,
            ),
            mpe.NATIVE_RETURN,
        ),
        score="coverage",
        sparsity="dense: every step carries distances, but half of an agent's reward is about where the other one "
        "stands, and without a common language nobody knows its own target",
    )
