"""`mpe/simple_speaker_listener`: one knows the target, the other can move (mpe2's simple_speaker_listener_v4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from marlsmith.marl.tasks import mpe
from marlsmith.marl.tasks.base import State
from marlsmith.schemas import DiscreteActions, Metric, ObservationPart, StateField, TaskCard

SPEAKER, LISTENER = 0, 1
AGENTS, LANDMARKS, WORDS = 2, 3, 3
OBSERVATION_SIZE = 11

WORLD = """\
A speaker, a listener and three landmarks are placed at random in a square arena from -1 to 1. The listener
must come within 0.1 of one of the landmarks, but only the speaker (agent 0) sees which one. The speaker cannot
move; in every step it says one of three words, which the listener (agent 1) hears in its next observation. The
listener is silent, and pushes itself with a constant force in one of four directions or not at all; its speed
falls by a quarter in every step. Words have no meaning but the one that the two learn to give them. Bodies
pass through each other."""

REWARD = """\
The native reward of both agents in every step is minus the squared distance of the listener from its target."""


class SimpleSpeakerListener(mpe.TargetTask):
    """State: `agent_pos`, `agent_vel` [P, E, 2, 2], `landmark_pos` [P, E, 3, 2], `message` [P, E, 2, 3], `goal`.

    Agent 0 is the speaker, agent 1 the listener. `goal` int64 [P, E, 2] is the listener's landmark, and -1
    for the speaker, which has none.
    Everything else is float64 whatever `dtype` says of observations and rewards.
    """

    world = WORLD
    success = "the listener is within 0.1 of its target"

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.card = task_card()
        self.dtype = dtype
        self._moves = mpe.move_forces(torch.float64)
        self._words = torch.eye(WORDS, dtype=torch.float64)
        self._colours = torch.full((LANDMARKS, LANDMARKS), 0.15, dtype=torch.float64).fill_diagonal_(0.65)
        own = torch.tensor([len(meanings) for meanings in self.card.actions.meanings])
        self._available = torch.arange(self.card.actions.size) < own.unsqueeze(-1)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        points = mpe.uniform_points(generators, environments, AGENTS + LANDMARKS)
        goals = [torch.randint(LANDMARKS, (environments, 1), generator=g) for g in generators]
        return self._at_rest(points, torch.stack(goals))

    def reference_reset(self, seeds: Sequence[int]) -> State:
        """mpe2's own draws for `reset(seed)`: [1, len(seeds), ...]."""
        return self._at_rest(*mpe.reference_draws(seeds, AGENTS + LANDMARKS, 1))

    def _at_rest(self, points: Tensor, goal: Tensor) -> State:
        agents, landmarks = points.split((AGENTS, LANDMARKS), -2)
        return {
            "agent_pos": agents,
            "agent_vel": torch.zeros_like(agents),
            "landmark_pos": landmarks,
            "message": points.new_zeros(*agents.shape[:-1], WORDS),
            "goal": torch.cat((torch.full_like(goal, -1), goal), -1),
        }

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        word = self._words[action[..., SPEAKER]]
        push = self._moves[action[..., LISTENER]]
        following = {
            **state,
            "agent_pos": mpe.moved(state["agent_pos"], state["agent_vel"]),
            # The speaker is never pushed, so its velocity stays zero.
            "agent_vel": mpe.pushed(state["agent_vel"], torch.stack((torch.zeros_like(push), push), -2)),
            "message": torch.stack((word, torch.zeros_like(word)), -2),
        }
        reward = -self._way(following).square().sum(-1, keepdim=True).expand(action.shape)
        return following, reward.to(self.dtype), torch.zeros(action.shape[:-1], dtype=torch.bool)

    def observe(self, state: State) -> Tensor:
        told = self._colours[state["goal"][..., LISTENER]]
        seen = mpe.offsets(state["landmark_pos"], state["agent_pos"])[..., LISTENER, :]
        heard = torch.cat((state["agent_vel"][..., LISTENER, :], seen, state["message"][..., SPEAKER, :]), -1)
        return torch.stack((pad(told, (0, OBSERVATION_SIZE - LANDMARKS)), heard), -2).to(self.dtype)

    def available(self, state: State) -> Tensor:
        return self._available.expand(*state["goal"].shape, -1)

    def reached(self, state: State) -> Tensor:
        return self._way(state).square().sum(-1, keepdim=True).sqrt() < mpe.REACH

    def _way(self, state: State) -> Tensor:
        """From the listener's target to the listener, [..., 2]."""
        target = mpe.own_target(state["landmark_pos"], state["goal"])
        return (state["agent_pos"] - target)[..., LISTENER, :]


def task_card() -> TaskCard:
    return TaskCard(
        name="mpe/simple_speaker_listener",
        description=f"{WORLD}\n{REWARD}",
        agents=AGENTS,
        actions=DiscreteActions(meanings=(tuple(f"say word {word}" for word in range(WORDS)), mpe.MOVE_MEANINGS)),
        observation_size=OBSERVATION_SIZE,
        horizon=mpe.HORIZON,
        fields=(
            *mpe.PLACES,
            StateField(
                name="message",
                shape="[B, N, 3]",
                unit="none",
                meaning="the word that the speaker said in the last step, one-hot; zeros at the start and for the "
                "listener",
            ),
            StateField(
                name="goal",
                shape="[B, N] int64",
                unit="none",
                meaning="index of the landmark that the listener must reach, which only the speaker observes; -1 for "
                "the speaker, which has no goal",
            ),
        ),
        observation=(
            ObservationPart(
                name="listener_goal",
                start=0,
                stop=3,
                kind="goal",
                of="agent",
                meaning="which landmark the listener must reach: 0.65 at its index, 0.15 elsewhere",
                agents=(SPEAKER,),
            ),
            ObservationPart(
                name="velocity",
                start=0,
                stop=2,
                kind="velocity",
                of="self",
                meaning="own velocity",
                agents=(LISTENER,),
            ),
            mpe.landmark_offsets(2, LANDMARKS, (LISTENER,)),
            ObservationPart(
                name="message",
                start=8,
                stop=11,
                kind="message",
                of="agent",
                meaning="the word that the speaker said in the last step, one-hot; zeros at the start",
                agents=(LISTENER,),
            ),
        ),
        entities=mpe.bodies(AGENTS, 0.075, LANDMARKS, 0.04),
        target="landmark",
        goal="goal",
        reach=mpe.REACH,
        metrics=(
            Metric(
                name="coverage",
                unit="share of episodes",
                meaning="1 where the listener came within 0.1 of its target at any time of the episode, else 0",
                best=1.0,
            ),
            Metric(
                name="final_coverage",
                unit="share of episodes",
                meaning="1 where the listener is within 0.1 of its target after the last step, else 0",
                best=1.0,
            ),
            mpe.NATIVE_RETURN,
        ),
        score="coverage",
        sparsity="dense: every step carries the listener's distance, but the speaker earns by what its words make "
        "the listener do, and they mean nothing at first",
    )
