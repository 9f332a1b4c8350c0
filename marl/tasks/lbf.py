"""`lbf/...`: level-based foraging, equal to lbforaging 2.0.0's `ForagingEnv` step by step.

Agents on a grid collect food together: a food is eaten when the levels of the adjacent agents that load it add
up to its own. The seven tasks are those of EPyMARL's benchmark (Papoudakis et al. 2021, "Benchmarking
Multi-Agent Deep Reinforcement Learning Algorithms in Cooperative Tasks"; names and ids as in epymarl's README),
with the parameters under which lbforaging registers `Foraging-*-v3`: agent levels 1 to 2, food levels 1 to the
sum of the three lowest agent levels (exactly that sum where cooperation is forced), normalised reward, no
penalty, 50 steps. lbforaging 2.0.0 registers at most four foods; the tasks with five have the same parameters.

What the reference does and one may not expect, all of it kept:
- An action that is not possible counts as NONE; nothing is masked (nor does EPyMARL mask here).
- Agents that want the same cell all stay, also when one of them stands there. Yet two agents may swap cells,
  and one may enter the cell of an agent whose own move failed: then both stand in one cell.
- Foods are never so near to each other that an agent could be adjacent to two. Hence it does not matter in which
  order the loads of a step are worked off, which the reference leaves to the order of a Python set.
- With a limited sight, food is seen in the square of that many cells to each side. Agents are seen in a square
  of the same size that begins where the first begins: within `sight` rows or columns of the upper or left
  border it does not shrink as the first does, but reaches farther down or to the right.

A reset draws from the distribution of a newly made reference environment. A reference environment that is reset
again keeps the new agents off the cells where those of the episode before stood last, which is not done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from marlsmith.marl.tasks.base import Episodes, State, TensorTask
from marlsmith.schemas import DiscreteActions, Entity, Metric, ObservationPart, StateField, TaskCard

ACTIONS = ("stay", "north (row - 1)", "south (row + 1)", "west (column - 1)", "east (column + 1)", "load")
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (0.0, 0.0))
LOAD = 5
HORIZON = 50
HIGHEST_AGENT_LEVEL = 2
COUNTED_LEVELS = 3
"""So many of the lowest agent levels make up the highest food level."""


class Setting(NamedTuple):
    """What the tasks differ in."""

    id: str
    """Under which lbforaging registers it, or would."""
    size: int
    """Rows, and columns."""
    agents: int
    foods: int
    sight: int
    cooperation: bool
    """Every food needs the `COUNTED_LEVELS` weakest agents together, or as many as there are."""
    chance: str
    """Share of episodes in which uniformly random agents eat anything, measured over 100,000."""

    @property
    def sees_all(self) -> bool:
        return self.sight >= self.size


SETTINGS = {
    "8x8-2p-2f-coop": Setting("Foraging-8x8-2p-2f-coop-v3", 8, 2, 2, 8, True, "0.8%"),
    "8x8-2p-2f-2s-coop": Setting("Foraging-2s-8x8-2p-2f-coop-v3", 8, 2, 2, 2, True, "0.8%"),
    "10x10-3p-3f": Setting("Foraging-10x10-3p-3f-v3", 10, 3, 3, 10, False, "40%"),
    "10x10-3p-3f-2s": Setting("Foraging-2s-10x10-3p-3f-v3", 10, 3, 3, 2, False, "40%"),
    "15x15-3p-5f": Setting("Foraging-15x15-3p-5f-v3", 15, 3, 5, 15, False, "33%"),
    "15x15-4p-3f": Setting("Foraging-15x15-4p-3f-v3", 15, 4, 3, 15, False, "29%"),
    "15x15-4p-5f": Setting("Foraging-15x15-4p-5f-v3", 15, 4, 5, 15, False, "45%"),
}

DESCRIPTION = """\
{agents} agents and {foods} foods stand on a grid of {size} x {size} cells. Every agent has a level of 1 or 2.
Every food has a level too: {levels}.
An agent walks one cell north, south, west or east in a step, stays, or loads: then it tries to eat the food in
one of the four cells next to it. The food is eaten when the levels of all agents that load it in the same step
add up to its level or more, so agents must meet at a food and load together. Food blocks the way, and so do the
borders; agents that want the same cell all stay where they are. Nobody is told who goes where.
{sight}
The native reward comes only when food is eaten: those who loaded it share its level in proportion to their own
levels, as a share of the level of all food of the episode; all food eaten gives the team 1 in sum. The episode
ends then, or after {horizon} steps."""


class LevelBasedForaging(TensorTask):
    """State fields, all float32: `agent_pos` [P, E, N, 2] and `food_pos` [P, E, M, 2] (row and column),
    `agent_level` [P, E, N], `food_level` [P, E, M] (0 once eaten), `food_total` [P, E] (levels at the start).

    Foods are numbered in reading order: by row, then by column.
    """

    def __init__(self, name: str) -> None:
        self.setting = setting = SETTINGS[name]
        self.card = task_card(name, setting)
        self._moves = torch.tensor(MOVES)
        self._views = view_matrix(setting)
        # Which inner cells an agent in any cell leaves open to foods, and which a food in an inner cell does: 1 or 0.
        grid, inner = torch.arange(setting.size), torch.arange(1, setting.size - 1)
        cells, inner_cells = torch.cartesian_prod(grid, grid), torch.cartesian_prod(inner, inner)
        self._open_beside_agent = (cells.unsqueeze(1) != inner_cells).any(-1).to(torch.uint8)
        rows, columns = (inner_cells.unsqueeze(1) - inner_cells).abs().unbind(-1)
        around, in_line = rows.maximum(columns) <= 1, (rows * columns == 0) & (rows + columns <= 2)
        self._open_beside_food = (~(around | in_line)).to(torch.uint8)

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        """The reference places one body after another in a random cell, drawn again until the body fits.

        Here each is drawn at once from the cells in which it fits, which gives the same distribution.
        """
        size, n, m = self.setting.size, self.setting.agents, self.setting.foods
        draws = torch.stack([torch.rand(environments, 2 * (n + m), generator=g) for g in generators]).flatten(0, 1)
        agent_draws, food_draws, levels = draws.tensor_split([n, n + m], -1)
        agents = _different_cells(agent_draws, size * size)
        is_open = torch.ones(len(draws), (size - 2) ** 2, dtype=torch.uint8)
        for agent in agents.unbind(-1):
            is_open &= self._open_beside_agent.index_select(0, agent)
        foods = []
        for uniform in food_draws.unbind(-1):
            foods.append(_open_cell(is_open, uniform))
            is_open &= self._open_beside_food.index_select(0, foods[-1])
        agent_level = 1 + (levels[:, :n] * HIGHEST_AGENT_LEVEL).floor()
        highest = agent_level.sort(-1).values[:, :COUNTED_LEVELS].sum(-1, keepdim=True)
        # Levels do not depend on places, so that foods can be put in reading order before they get theirs.
        food_level = highest.repeat(1, m) if self.setting.cooperation else 1 + (levels[:, n:] * highest).floor()
        state = {
            "agent_pos": _row_and_column(agents, size),
            "agent_level": agent_level,
            "food_pos": 1 + _row_and_column(torch.stack(foods, -1).sort(-1).values, size - 2),
            "food_level": food_level,
            "food_total": food_level.sum(-1),
        }
        return {name: value.unflatten(0, (len(generators), environments)) for name, value in state.items()}

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        position, level, food_level = state["agent_pos"], state["agent_level"], state["food_level"]
        there = (food_level > 0).unsqueeze(-2)
        food = self._cell(state["food_pos"]).unsqueeze(-2)
        wanted = (position + self._moves[action]).clamp(0, self.setting.size - 1)
        onto_food = ((self._cell(wanted).unsqueeze(-1) == food) & there).any(-1, keepdim=True)
        wanted = torch.where(onto_food, position, wanted)
        target = self._cell(wanted)
        alone = (target.unsqueeze(-1) == target.unsqueeze(-2)).sum(-1, keepdim=True) == 1

        # Who loads does not move: positions before the step serve. [..., N, M]
        apart = (self._cell(position).unsqueeze(-1) - food).abs()
        adjacent = (apart == 1) | (apart == self._cells_per_row)
        loads = (adjacent & there & (action == LOAD).unsqueeze(-1)).float()
        force = (loads * level.unsqueeze(-1)).sum(-2)
        eaten = (force >= food_level) & (food_level > 0)
        # An agent loads one food at most, so the sums over foods pick; all but the quotient is exact in float32.
        worth = (loads * (food_level * eaten).unsqueeze(-2)).sum(-1) * level
        shared = (loads * (force * state["food_total"].unsqueeze(-1)).unsqueeze(-2)).sum(-1)
        reward = worth / shared.clamp(min=1)

        left = torch.where(eaten, 0, food_level)
        moved = torch.where(alone, wanted, position)
        return {**state, "agent_pos": moved, "food_level": left}, reward, left.amax(-1) == 0

    @property
    def _cells_per_row(self) -> int:
        """One more than there are, so that the last cell of a row and the first of the next are not 1 apart."""
        return self.setting.size + 1

    def _cell(self, position: Tensor) -> Tensor:
        """Positions [..., 2] as one number each: adjacent cells differ by 1 or by `_cells_per_row`."""
        return position[..., 0] * self._cells_per_row + position[..., 1]

    def observe(self, state: State) -> Tensor:
        position, m, sight = state["agent_pos"], self.setting.foods, self.setting.sight
        foods = torch.cat((state["food_pos"], state["food_level"].unsqueeze(-1)), -1)
        agents = torch.cat((position, state["agent_level"].unsqueeze(-1)), -1)
        if self.setting.sees_all:
            whole = torch.cat((_seen_first(foods, foods[..., 2] > 0), agents), -2).flatten(-2)
            return self._viewed(whole).flatten(-2)
        corners = (position - sight).clamp(min=0)
        whole = torch.cat((foods.flatten(-2), agents.flatten(-2), corners.flatten(-2)), -1)
        foods, agents = self._viewed(whole).tensor_split([m], -2)
        near = (foods[..., :2] - agents[..., :1, :2]).abs().amax(-1) <= sight
        inside = (agents[..., :2].amin(-1) >= 0) & (agents[..., :2].amax(-1) <= 2 * sight)
        seen = (_seen_first(foods, near & (foods[..., 2] > 0)), _seen_first(agents, inside))
        return torch.cat(seen, -2).flatten(-2)

    def _viewed(self, whole: Tensor) -> Tensor:
        """Each agent's view of all bodies, [..., N, M + N, 3]: foods, itself, the others."""
        n, m = self.setting.agents, self.setting.foods
        views = torch.mm(whole.reshape(-1, len(self._views)), self._views)
        return views.view(*whole.shape[:-1], n, m + n, 3)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        eaten = ((episodes.state["food_level"][1:] == 0) & episodes.alive.unsqueeze(-1)).any(0)
        returns = episodes.reward.sum(0)
        return {
            "return_sum": returns.sum(-1),
            "foods": eaten.float().mean(-1),
            "success": eaten.all(-1).float(),
            "native_return": returns.mean(-1),
        }


def _different_cells(uniform: Tensor, cells: int) -> Tensor:
    """A cell for each column, drawn without replacement: uniform numbers [B, K] -> int64 [B, K]."""
    drawn = (uniform * (cells - torch.arange(uniform.shape[-1]))).long()
    for i in range(1, drawn.shape[-1]):
        # The number so far is a rank among the cells that are left.
        for taken in drawn[:, :i].sort(-1).values.unbind(-1):
            drawn[:, i] += drawn[:, i] >= taken
    return drawn


def _open_cell(is_open: Tensor, uniform: Tensor) -> Tensor:
    """One of the open cells, each as likely: 0 or 1 as uint8 [B, C], uniform numbers [B] -> int64 [B]."""
    rank = is_open.cumsum(-1, dtype=torch.uint8)  # counts to 169 at most
    chosen = (uniform * rank[:, -1]).to(torch.uint8).unsqueeze(-1)
    return torch.searchsorted(rank, chosen, right=True).squeeze(-1)


def _row_and_column(cell: Tensor, size: int) -> Tensor:
    return torch.stack((cell // size, cell % size), -1).float()


def _seen_first(bodies: Tensor, seen: Tensor) -> Tensor:
    """Rows (row, column, level) of what is seen, moved up; (-1, -1, 0) in the places left: [..., K, 3]."""
    k = seen.shape[-1]
    place = torch.where(seen, seen.cumsum(-1) - 1, k)
    empty = bodies.new_full((*bodies.shape[:-2], k + 1, 3), -1)
    empty[..., 2] = 0
    return empty.scatter(-2, place.unsqueeze(-1).expand_as(bodies), bodies)[..., :k, :]


def view_matrix(setting: Setting) -> Tensor:
    """The views as one linear map, float32 [3 (M + N), N 3 (M + N)]: exact, for all numbers are small integers.

    Rows: foods, then agents, each row, column and level; with a limited sight also [2 N] the corners of what the
    agents see, which are subtracted from places.
    """
    n, m = setting.agents, setting.foods
    rows = 3 * (m + n) + (0 if setting.sees_all else 2 * n)
    bodies = torch.eye(rows)[:, : 3 * (m + n)].view(rows, m + n, 3)
    views = []
    for i in range(n):
        view = bodies[:, [*range(m), m + i, *(m + j for j in range(n) if j != i)]]
        if not setting.sees_all:
            corner = 3 * (m + n) + 2 * i
            view[corner, :, 0] = view[corner + 1, :, 1] = -1
        views.append(view.flatten(1))
    return torch.cat(views, 1)


def task_card(name: str, setting: Setting) -> TaskCard:
    size, n, m, sight = setting.size, setting.agents, setting.foods, setting.sight
    whole = setting.sees_all
    own = 3 * m
    if setting.cooperation:
        levels = "the sum of all agents' levels, so that all of them are needed for each"
    else:
        levels = "between 1 and the sum of the three lowest agent levels"
    if whole:
        seen = "Everybody sees the whole grid."
        cell = "row, column and level"
    else:
        seen = f"An agent sees only {sight} cells to each side; rows and columns count from the corner of what it sees."
        cell = "row and column from the upper left corner of what is seen, and level"
    return TaskCard(
        name=f"lbf/{name}",
        description=DESCRIPTION.format(agents=n, foods=m, size=size, levels=levels, sight=seen, horizon=HORIZON),
        agents=n,
        actions=DiscreteActions(meanings=(ACTIONS,) * n),
        observation_size=own + 3 * n,
        horizon=HORIZON,
        fields=(
            StateField(name="agent_pos", shape="[B, N, 2]", unit="cells", meaning="row and column of the agents"),
            StateField(name="agent_level", shape="[B, N]", unit="levels", meaning="levels of the agents, 1 or 2"),
            StateField(
                name="food_pos",
                shape="[B, M, 2]",
                unit="cells",
                meaning="row and column of the foods, which never move; it stays when a food is eaten",
            ),
            StateField(name="food_level", shape="[B, M]", unit="levels", meaning="levels of the foods, 0 once eaten"),
            StateField(
                name="food_total", shape="[B]", unit="levels", meaning="sum of the food levels at the episode's start"
            ),
        ),
        observation=(
            ObservationPart(
                name="foods",
                start=0,
                stop=own,
                kind="position",
                of="food",
                stride=3,
                unseen=-1,
                meaning=f"{cell} of each food that is seen and not eaten, in reading order without gaps; "
                "then -1, -1, 0 for each of the rest",
            ),
            ObservationPart(
                name="position",
                start=own,
                stop=own + 2,
                kind="position",
                of="self",
                meaning="own row and column" + ("" if whole else " from the upper left corner of what is seen"),
            ),
            ObservationPart(
                name="level", start=own + 2, stop=own + 3, kind="other", of="self", meaning="own level, 1 or 2"
            ),
            ObservationPart(
                name="agents",
                start=own + 3,
                stop=own + 3 * n,
                kind="position",
                of="agent",
                stride=3,
                unseen=None if whole else -1,
                meaning=f"{cell} of each other agent that is seen, in agent order without gaps"
                + ("" if whole else "; then -1, -1, 0 for each of the rest"),
            ),
        ),
        entities=(
            Entity(name="agent", count=n, position="agent_pos", radius=0.5),
            Entity(name="food", count=m, position="food_pos", present="food_level", radius=0.5),
        ),
        target="food",
        reach=1.1,  # adjacent cells are 1 apart; diagonal ones, 1.41 apart, do not count
        metrics=(
            Metric(
                name="return_sum",
                unit="per episode, summed over agents",
                meaning="undiscounted sum of the native reward of all agents, the literature's mean return: "
                "1 when all food is eaten",
                best=1.0,
            ),
            Metric(name="foods", unit="share of foods", meaning="foods that were eaten", best=1.0),
            Metric(name="success", unit="share of episodes", meaning="all foods were eaten in time", best=1.0),
            Metric(name="native_return", unit="per agent and episode", meaning="undiscounted sum of the native reward"),
        ),
        score="return_sum",
        sparsity="sparse: nothing but when a food is eaten; random agents see that in "
        f"{setting.chance} of their episodes",
    )
