"""Physics of the multi-agent particle environments, equal to mpe2's step by step (order included).

Constants and order: mpe2 1.1, `_mpe_utils/core.py` and `simple_env.py`. Lengths are in world units (the
arena spans -1..1), times in seconds, masses are 1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from marlsmith.marl.tasks.base import Episodes, State, TensorTask
from marlsmith.schemas import Entity, Metric, ObservationPart, StateField

TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3
SENSITIVITY = 5.0
HORIZON = 25
REACH = 0.1
"""Distance at which a landmark counts as reached (mpe2's `CAPTURE_RADIUS`)."""

MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
MOVE_MEANINGS = ("stay", "push left (-x)", "push right (+x)", "push down (-y)", "push up (+y)")

# ---------------------------------------------------------------- motion and contact


def move_forces(dtype: torch.dtype) -> Tensor:
    """Force of each discrete move, [5, 2]."""
    return torch.tensor(MOVES, dtype=dtype) * SENSITIVITY


def moved(position: Tensor, velocity: Tensor) -> Tensor:
    """Positions after a step: by the velocity before it, so that an action shows one step later."""
    return position + velocity * TIME_STEP


def pushed(velocity: Tensor, force: Tensor) -> Tensor:
    """Velocities after a step: damping, then the force."""
    return velocity * (1 - DAMPING) + force * TIME_STEP


def contact_forces(delta: Tensor, distance: Tensor, diameter: float) -> Tensor:
    """Soft repulsion of two equal discs on the first, [K, 2, B], for its offsets from the second and their lengths.

    f = 100 * delta / d * k * log(1 + exp(-(d - diameter) / k)), k = 1e-3 (mpe2 `get_collision_force`).
    """
    excess = (diameter - distance) / CONTACT_MARGIN
    penetration = torch.logaddexp(excess.new_zeros(()), excess) * CONTACT_MARGIN
    return delta * (CONTACT_FORCE * penetration / distance).unsqueeze(-2)


# ---------------------------------------------------------------- geometry


def bodies_first(points: Tensor) -> Tensor:
    """Points [..., M, 2] of all environments as [M, 2, B]: what picks and compares bodies then runs along B."""
    return points.flatten(0, -3).permute(1, 2, 0).contiguous()


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean lengths [..., B] of vectors [..., 2, B]."""
    return vectors.square().sum(-2).sqrt()


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances [..., N, M] between points [..., N, 2] and [..., M, 2]."""
    return (a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1).sqrt()


def offsets(landmarks: Tensor, position: Tensor) -> Tensor:
    """Landmarks [..., M, 2] as each agent at [..., N, 2] sees them, in their order: [..., N, M * 2]."""
    return (landmarks.unsqueeze(-3) - position.unsqueeze(-2)).flatten(-2)


def own_target(landmarks: Tensor, goal: Tensor) -> Tensor:
    """The landmark [..., N, 2] that each agent must reach, of landmarks [..., M, 2] by index [..., N].

    Where the index is -1, for none, it is the first landmark: not to be used.
    """
    return landmarks.gather(-2, goal.clamp(min=0).unsqueeze(-1).expand(*goal.shape, 2))


# ---------------------------------------------------------------- draws


def uniform_points(generators: Sequence[torch.Generator], environments: int, points: int) -> Tensor:
    """Points of the arena, float64 [P, E, points, 2]; member p draws from generators[p] alone."""
    draws = [torch.rand(environments, points, 2, generator=g, dtype=torch.float64) for g in generators]
    return torch.stack(draws) * 2 - 1


def reference_draws(seeds: Sequence[int], points: int, goals: int = 0) -> tuple[Tensor, Tensor]:
    """What mpe2 draws in `reset(seed)`: points float64 [1, S, points, 2], and before them goals int64 [1, S, goals]."""
    from gymnasium.utils import seeding  # only needed here, and slow to import

    chosen, placed = [], []
    for seed in seeds:
        draws = seeding.np_random(seed)[0]
        chosen.append([int(draws.integers(3)) for _ in range(goals)])
        placed.append(draws.uniform(-1, +1, (points, 2)).tolist())
    return torch.tensor([placed], dtype=torch.float64), torch.tensor([chosen], dtype=torch.int64)


# ---------------------------------------------------------------- the tasks' common part

NATIVE_RETURN = Metric(
    name="native_return", unit="per agent and episode", meaning="undiscounted sum of the native reward"
)

PLACES = (
    StateField(name="agent_pos", shape="[B, N, 2]", unit="length", meaning="positions of the agents"),
    StateField(
        name="agent_vel", shape="[B, N, 2]", unit="length/s", meaning="velocities of the agents; a step is 0.1 s"
    ),
    StateField(
        name="landmark_pos",
        shape="[B, M, 2]",
        unit="length",
        meaning="positions of the landmarks, which never move",
    ),
)


def landmark_offsets(start: int, landmarks: int, agents: tuple[int, ...] | None = None) -> ObservationPart:
    """Columns of what `offsets` gives."""
    return ObservationPart(
        name="landmark_offsets",
        start=start,
        stop=start + 2 * landmarks,
        kind="offset",
        of="landmark",
        meaning="landmarks seen from the agent, (x, y) each, in landmark order",
        agents=agents,
    )


def bodies(agents: int, agent_radius: float, landmarks: int, landmark_radius: float) -> tuple[Entity, Entity]:
    """What there is in every one of these worlds."""
    return (
        Entity(name="agent", count=agents, position="agent_pos", velocity="agent_vel", radius=agent_radius),
        Entity(name="landmark", count=landmarks, position="landmark_pos", radius=landmark_radius),
    )


class TargetTask(TensorTask):
    """A particle task whose team is to reach something, with the metrics that all of them share."""

    world: str
    """The card's description up to the reward."""
    success: str
    """When the team has succeeded, as half a sentence."""

    @abstractmethod
    def reached(self, state: State) -> Tensor:
        """What `coverage` is the share of, bool [..., K]: all of them at once is the team's success."""

    def succeeded(self, state: State) -> Tensor:
        """Where the team succeeds, bool [...]."""
        return self.reached(state).all(-1)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        reached = self.reached(after(episodes))
        return {
            "coverage": ever(reached, episodes.alive).float().mean(-1),
            "final_coverage": at_end(reached, episodes.alive).float().mean(-1),
            "native_return": episodes.reward.sum(0).mean(-1),
        }


def after(episodes: Episodes) -> State:
    """The states that the steps led to, [T, P, E, ...]; state t counts where alive[t]."""
    return {name: value[1:] for name, value in episodes.state.items()}


def ever(flags: Tensor, alive: Tensor) -> Tensor:
    """Whether bool [T, P, E, ...] was true after any step of the episode: [P, E, ...]."""
    return (flags & alive.view(*alive.shape, *(1,) * (flags.dim() - 3))).any(0)


def at_end(flags: Tensor, alive: Tensor) -> Tensor:
    """Bool [T, P, E, ...] after the last step of the episode: [P, E, ...]."""
    last = (alive.sum(0) - 1).view(1, *alive.shape[1:], *(1,) * (flags.dim() - 3))
    return flags.gather(0, last.expand(1, *flags.shape[1:]))[0]
