"""States on which signals are tried: of random and of trained play, and some made by hand. No candidate code runs here.

A signal that is sound where agents stumble about may be unsound where they succeed, and training goes there.
So a policy is trained for a moment with a reward of our own, once for each task (`sample` takes about a second);
its states serve every candidate. Environments of others may be slow and cannot be set to a state: there it is
random play, repeated up to the batch size, and what is made by hand changes the fields and not `obs`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl import checkpoint
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.evaluation import Policy, RandomPolicy, bounded, stack_states
from marlsmith.marl.executor import MOST_ROWS, ROWS
from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import HISTORY, Program, build_program
from marlsmith.marl.signals.view import StateView, Transitions, transition_view
from marlsmith.marl.tasks.base import State, Task, TensorTask
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    Approach,
    Assignment,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    SignalError,
    TargetDistance,
    TargetOffset,
    TaskCard,
)

LEAST_ROWS = 400
"""Fewer states tell too little of a function, however small the batches of a training are."""
SLOW_ROWS = 256
"""So many transitions are asked of environments of others."""

ORIGINS = (
    "random play",
    "play of a trained policy",
    "a state with the agents on their targets",
    "a state with all agents in one place",
    "a state with the agents at the edge of the world",
)
RANDOM, TRAINED, SOLVED, TOGETHER, EDGE = range(len(ORIGINS))
MADE_SHARES = {SOLVED: 8, TOGETHER: 16, EDGE: 16}
"""One row in so many is of this kind."""

TRAINING = TrainConfig(algorithm="ippo", steps=10_000, rollout=12, minibatches=2, learning_rate=4e-3, gamma=0.8)
"""For teams of three; of larger ones fewer steps, for they take longer."""
GAMMA = TrainConfig().gamma


@dataclass(frozen=True)
class Samples:
    """Transitions in random order, and where each comes from."""

    state: StateView
    origin: Tensor
    """Index into ORIGINS, int64 [B]."""

    @property
    def rows(self) -> int:
        return len(self.origin)

    def history(self) -> Tensor:
        """[B, H, N, D], the newest last: the two known observations, and before them the same motion drawn back.

        Zeros before an episode's first observation, as in training.
        """
        obs, before = self.state.obs, self.state.prev_obs
        older = [before + (before - obs) * back for back in range(1, HISTORY - 1)]
        rows = torch.stack([*reversed(older), before, obs], 1)
        steps_ago = torch.arange(HISTORY - 1, -1, -1)
        step = 1 / self.horizon
        known = (steps_ago * step).unsqueeze(0) <= self.state.time.unsqueeze(1) + step / 2
        return rows * known[..., None, None]

    def history_of_none(self) -> Tensor:
        """[B, H, N, D] where `obs` is all that was seen of an episode."""
        obs = self.state.obs.unsqueeze(1)
        return torch.cat((torch.zeros_like(obs).expand(-1, HISTORY - 1, -1, -1), obs), 1)

    @property
    def horizon(self) -> int:
        """Steps of an episode: a step is the least share of time that was met."""
        return round(1 / float(self.state.time[self.state.time > 0].min()))

    def rows_of(self, index: Tensor) -> Samples:
        return Samples(self.state.rows(index), self.origin[index])

    def in_order(self) -> Samples:
        """As the rollout of a training comes: step by step, all environments at the same one."""
        ordered = self.rows_of(self.state.time.argsort(stable=True))
        clock = 1 + torch.arange(self.rows) // -(-self.rows // self.horizon)
        time = clock.float() / self.horizon
        prev = StateView({**vars(ordered.state.prev), "time": time - 1 / self.horizon})
        return Samples(StateView({**vars(ordered.state), "time": time, "prev": prev}), ordered.origin)

    def just_begun(self) -> Samples:
        """Where episodes begin: `obs` is what was seen before the first step of as many as there are."""
        first = (self.state.time < 1.5 / self.horizon).nonzero().flatten()
        begun = self.rows_of(first)
        return Samples(StateView({**vars(begun.state), "obs": begun.state.prev_obs}), begun.origin)


def sample(task: Task, rows: int = ROWS, seed: int = 0) -> Samples:
    """The same states for the same arguments: `rows` of them, or LEAST_ROWS; at most MOST_ROWS."""
    if not 1 <= rows <= MOST_ROWS:
        raise ValueError(f"rows is {rows} and must be 1 to {MOST_ROWS}")
    rows = max(rows, LEAST_ROWS)
    draws = generator(seed, "samples")
    made = {kind: rows // share for kind, share in MADE_SHARES.items() if _can_be_made(task.card, kind)}
    left = rows - sum(made.values())
    parts: list[tuple[int, int, StateView]] = []
    if isinstance(task, TensorTask):
        third = left // 3
        exploring, greedy = (played(task, policy, third, seed) for policy in _trained(task, seed))
        chance = played(task, None, left - 2 * third, seed)
        parts = [
            (RANDOM, left - 2 * third, view_of(chance, task.card)),
            (TRAINED, third, view_of(exploring, task.card)),
            (TRAINED, third, view_of(greedy, task.card)),
            *((kind, many, view_of(_made(task, kind, greedy, many, draws), task.card)) for kind, many in made.items()),
        ]
    else:
        view = view_of(played(task, None, min(left, SLOW_ROWS), seed), task.card)
        view = view.rows(torch.arange(left) % len(view.time))
        parts = [
            (RANDOM, left, view),
            *(
                (kind, many, _fields_made(task.card, kind, view.rows(slice(0, many)), draws))
                for kind, many in made.items()
            ),
        ]
    state = _joined([view.rows(slice(0, many)) for _, many, view in parts])
    origin = torch.cat([torch.full((many,), kind) for kind, many, _ in parts])
    order = torch.randperm(rows, generator=draws)
    state = state.rows(order)
    # An annealed reward must be sound from the first step to the last.
    return Samples(at_moments(state, torch.linspace(0, 1, rows)), origin[order])


def at_moments(state: StateView, progress: Tensor) -> StateView:
    """The view with each row at its moment [B] of a training."""
    prev = StateView({**vars(state.prev), "training_progress": progress})
    return StateView({**vars(state), "training_progress": progress, "prev": prev})


def pack(samples: Samples) -> bytes:
    return checkpoint.pack(_named(samples), {"holds": "samples"})


def unpack(data: bytes) -> Samples:
    """Raises UserError where the bytes are damaged."""
    tensors, _ = checkpoint.unpack(data)
    fields: dict[str, dict[str, Any]] = {"state": {}, "prev": {}}
    for name, value in tensors.items():
        if name != "origin":
            where, _, field = name.partition(".")
            fields[where][field] = value if value.dim() else value.item()
    return Samples(StateView({**fields["state"], "prev": StateView(fields["prev"])}), tensors["origin"])


def _named(samples: Samples) -> Iterator[tuple[str, Tensor]]:
    yield "origin", samples.origin
    for where, view in (("state", samples.state), ("prev", samples.state.prev)):
        for name, value in vars(view).items():
            if isinstance(value, Tensor):
                yield f"{where}.{name}", value
            elif not isinstance(value, StateView):
                yield f"{where}.{name}", torch.tensor(value, dtype=torch.float64)


# ---------------------------------------------------------------- play


def view_of(steps: Transitions, card: TaskCard) -> StateView:
    return transition_view(steps, card.horizon, training_progress=0.5, gamma=GAMMA)


def played(task: Task, choose: tuple[Policy, Observer] | None, rows: int, seed: int) -> Transitions:
    """At least `rows` transitions: episodes from start to end, side by side. By chance where nobody chooses."""
    draws = generator(seed, "check")
    policy, observer = choose or (RandomPolicy(task.card, draws), Observer(None))
    count = -(-rows // task.card.horizon)
    environments = task.open([draws], count)
    names = ("before", "obs_before", "after", "obs_after", "action", "reward", "clock")
    log: dict[str, list[Any]] = {name: [] for name in names}
    try:
        while len(log["clock"]) * count < rows:
            observation = environments.observation
            log["before"].append(environments.state)
            log["obs_before"].append(observation)
            action, _ = policy.act_greedily(observer.observe(observation), environments.available, None)
            action = bounded(action)
            outcome = environments.step(action)
            for name, value in (
                ("after", environments.state), ("obs_after", environments.observation), ("action", action),
                ("reward", outcome.reward), ("clock", environments.clock),
            ):  # fmt: skip
                log[name].append(value)
            ended = outcome.terminated | outcome.truncated
            if bool(ended.any()):
                environments.restart(ended)
    finally:
        environments.close()
    before, after = stack_states(log.pop("before")), stack_states(log.pop("after"))
    return Transitions(before, after, **{name: torch.stack(values) for name, values in log.items()})


class _Exploring:
    """A trained policy that plays as it does while it learns."""

    def __init__(self, trainer: Trainer) -> None:
        self.algorithm = trainer.algorithm
        self.draws = generator(trainer.seeds[0], "exploring")

    def fresh_memory(self, environments: int) -> None:
        return None

    def act_greedily(self, observation: Tensor, available: Tensor | None, memory: Tensor | None) -> tuple[Tensor, None]:
        noise = torch.rand((*observation.shape[:-1], self.algorithm.noise), generator=self.draws)
        return self.algorithm.act(observation, available, None, noise, 1.0)[0], None


def _trained(task: TensorTask, seed: int) -> tuple[tuple[Policy, Observer], tuple[Policy, Observer]]:
    """A policy after a short training, once exploring and once greedy."""
    program = _generic(task.card)
    steps = TRAINING.steps * 3 // max(3, task.card.agents)
    trainer = Trainer(task, program, TRAINING.model_copy(update={"steps": steps}), [seed])
    while not trainer.finished:
        trainer.advance()
    return (_Exploring(trainer), Observer(program)), (trainer.algorithm, Observer(program))


def _generic(card: TaskCard) -> Program | None:
    """Draws each agent to a target of its own, where the task has any; None: the native reward."""
    rules: tuple[Assignment, ...] = ("own", "optimal", "together", "nearest")
    rule = next((rule for rule in rules if card.has_rule(rule)), None)
    if rule is None or card.reach is None:
        return None
    terms = (Approach(assignment=rule), Reach(assignment=rule, threshold=card.reach))
    columns = (TargetOffset(assignment=rule), TargetDistance(assignment=rule))
    reward, features = RewardConfig(alpha=1.0, terms=terms), ObservationConfig(scope="team", features=columns)
    for signal in (Signal(reward=reward, observation=features), Signal(reward=reward)):
        try:
            return build_program(signal, card)
        except SignalError:  # what the agents observe does not tell where the targets are
            continue
    return None


# ---------------------------------------------------------------- made by hand


def _can_be_made(card: TaskCard, kind: int) -> bool:
    has_agents = any(entity.name == "agent" for entity in card.entities)
    return has_agents and (kind != SOLVED or card.target is not None)


def _made(task: TensorTask, kind: int, steps: Transitions, rows: int, draws: torch.Generator) -> Transitions:
    """One step of the simulator, under random actions, from states in which the agents were put elsewhere."""
    spread = torch.linspace(0, steps.clock.numel() - 1, rows).long()
    before = _placed(task.card, kind, {k: v.flatten(0, 2)[spread] for k, v in steps.after.items()}, draws)
    before = {name: value.unsqueeze(0) for name, value in before.items()}
    action, _ = RandomPolicy(task.card, draws).act_greedily(task.observe(before), task.available(before), None)
    after, reward, _ = task.step(before, action)
    # Bodies that stand in exactly one place have no direction to push each other: such states stay as they are.
    stuck = torch.zeros(1, rows, dtype=torch.bool)
    for value in (*after.values(), reward):
        stuck |= ~value.flatten(2).isfinite().all(-1) if value.dim() > 2 else ~value.isfinite()
    after = {k: torch.where(stuck.view(1, rows, *(1,) * (v.dim() - 2)), before[k], v) for k, v in after.items()}
    reward = reward.masked_fill(stuck.unsqueeze(-1), 0.0)
    clock = torch.randint(1, task.card.horizon + 1, (1, rows), generator=draws)
    rest = (x.unsqueeze(0) for x in (task.observe(before), task.observe(after), action, reward, clock))
    return Transitions(_one_step(before), _one_step(after), *rest)


def _one_step(state: State) -> State:
    return {name: value.unsqueeze(0) for name, value in state.items()}


def _fields_made(card: TaskCard, kind: int, view: StateView, draws: torch.Generator) -> StateView:
    """The view with its agents elsewhere, now and before, as far as its fields say where they are."""
    names = [field.name for field in card.fields]
    moved = _placed(card, kind, {name: vars(view)[name] for name in names}, draws)
    return StateView({**vars(view), **moved, "prev": StateView({**vars(view.prev), **moved})})


def _placed(card: TaskCard, kind: int, state: State, draws: torch.Generator) -> State:
    """The state [B, ...] with the agents at rest, and where `kind` says."""
    agent = card.entity("agent")
    position = state[agent.position]
    if kind == SOLVED:
        place = _beside_targets(card, state)
    elif kind == TOGETHER:
        place = position[:, :1].expand_as(position)
    else:
        low, high = position.amin((0, 1)), position.amax((0, 1))
        place = torch.where(torch.rand(position.shape, generator=draws) < 0.5, low, high)
    changed = {agent.position: place.to(position.dtype).clone()}
    if agent.velocity is not None:
        changed[agent.velocity] = torch.zeros_like(state[agent.velocity])
    return {**state, **changed}


def _beside_targets(card: TaskCard, state: State) -> Tensor:
    """Each agent on its own target, or all on one where targets vanish; in every second row beside it, near enough."""
    assert card.target is not None, "only tasks with targets have solved states"
    assert card.reach is not None, "a card with a target says what reaches it"
    targets = state[card.entity(card.target).position]
    rows = torch.arange(len(targets))
    if card.goal is not None:
        chosen = state[card.goal].long().clamp(min=0)
    else:
        steps = torch.zeros(card.agents) if card.vanishes else torch.arange(card.agents)
        chosen = (steps + rows.unsqueeze(1)).long() % targets.shape[1]
    place = targets[rows.unsqueeze(1), chosen].clone()
    beside = math.floor(card.reach) if card.reach >= 1 else 0.9 * card.reach  # whole steps on a grid
    place[1::2, :, 0] += beside
    return place


def _joined(views: list[StateView]) -> StateView:
    first = views[0]
    return StateView({
        name: _joined([vars(view)[name] for view in views]) if isinstance(value, StateView)
        else torch.cat([vars(view)[name] for view in views]) if isinstance(value, Tensor)
        else value
        for name, value in vars(first).items()
    })  # fmt: skip
