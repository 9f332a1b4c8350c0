"""The training loop: P members of one candidate, side by side, one signal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from marlsmith.marl.algorithms import Algorithm, Rollout, Spaces, find_algorithm
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.evaluation import bounded, play, stack_states
from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program
from marlsmith.marl.signals.view import StateView, Transitions, transition_view
from marlsmith.marl.tasks import Episodes, State, Task
from marlsmith.marl.watching import Again
from marlsmith.schemas import SignalError, TermStatistics, UserError

STREAMS = ("learning", "resets", "actions")
BEFORE, AFTER, NATIVE_REWARD, CLOCK = "before.", "after.", "native", "clock"
"""Names in a rollout's origin: the task's fields before and after each step, and what belongs to the step."""

FADE_STEPS = 20
"""In so many steps rewards in a replay follow a fade."""

LARGEST_REWARD = 1e6
"""In training; a thousand times what the check before it lets pass."""

RewardMode = Literal["replace", "add"]


@dataclass
class TermSums:
    """Running sums of one term over steps: count, sum, sum of squares, sum of absolute values; float64 [4]."""

    sums: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))

    def add(self, values: Tensor) -> None:
        wide = values.double()
        self.sums += torch.stack((torch.tensor(float(wide.numel())), wide.sum(), wide.square().sum(), wide.abs().sum()))

    def moments(self) -> tuple[float, float, float]:
        """Mean, standard deviation and mean absolute value."""
        count, total, squares, size = self.sums.tolist()
        mean = total / max(count, 1.0)
        return mean, max(squares / max(count, 1.0) - mean**2, 0.0) ** 0.5, size / max(count, 1.0)


class Trainer:
    """Trains from scratch, or on from `load`. The same seeds give the same numbers on the same machine."""

    def __init__(
        self,
        task: Task,
        program: Program | None,
        config: TrainConfig,
        seeds: Sequence[int],
        reward_mode: RewardMode = "replace",
    ) -> None:
        self.task = task
        self.program = program
        self.config = config
        self.seeds = tuple(seeds)
        self.reward_mode: RewardMode = reward_mode
        self.steps = 0
        """On the clock of the whole training, which annealing and exploration follow."""
        self.began, self.until = 0, config.steps
        """Of the branch under way, on the same clock."""
        self.streams = {name: [generator(seed, name) for seed in seeds] for name in STREAMS}
        self.environments = task.open(self.streams["resets"], config.environments)
        self.observer = Observer(program)
        self.observation = self.observer.restart(self.environments.observation)
        self.raw_size = self.environments.observation.shape[-1]
        spaces = Spaces.of(task.card, self.observation.shape[-1])
        self.algorithm: Algorithm = find_algorithm(config.algorithm)(spaces, config, self.streams["learning"])
        self.memory = self.algorithm.fresh_memory(config.environments)
        self.terms: dict[str, TermSums] = {}
        self.shaped_return = 0.0

    @property
    def finished(self) -> bool:
        return self.steps >= self.until

    @property
    def progress(self) -> float:
        """Share of the whole training that is done, 0..1."""
        return min(self.steps / self.config.steps, 1.0)

    def begin_branch(self, steps: int, until: int) -> None:
        """From here on it is a branch, from `steps` to `until` on the clock of the whole training.

        The clock may be ahead of what was trained: who goes back to an earlier checkpoint has not won time by it.
        """
        self.steps, self.began, self.until = steps, steps, until
        self.terms = {}

    def advance(self) -> None:
        """Collect one rollout and learn from it."""
        rollout = self._collect()
        self.algorithm.update(rollout, self.progress)
        faded = math.ceil(self._shaping_left * FADE_STEPS)
        self.steps += self._rollout_size()
        if math.ceil(self._shaping_left * FADE_STEPS) != faded:
            self.algorithm.relabel(self._paid_anew)

    def close(self) -> None:
        self.environments.close()

    def _rollout_size(self) -> int:
        """Environment steps of one member between two updates."""
        return self.algorithm.rollout_steps * self.config.environments

    # ------------------------------------------------------------ collecting

    @torch.no_grad()
    def _collect(self) -> Rollout:
        steps, running = self.algorithm.rollout_steps, self.environments
        shape = (steps, self.config.environments, self.task.card.agents, self.algorithm.noise)
        noise = torch.stack([torch.rand(shape, generator=g) for g in self.streams["actions"]], 1)
        log = StepLog()
        start_memory = self.memory
        for t in range(steps):
            available, active = running.available, running.active
            action, memory = self.algorithm.act(self.observation, available, self.memory, noise[t], self.progress)
            before = running.state
            outcome = running.step(bounded(action))
            enhanced = self.observer.observe(running.observation)
            done = outcome.terminated | outcome.truncated
            log.add(
                before=before, after=running.state, observation=self.observation, led_to=enhanced, action=action,
                reward=outcome.reward, terminated=outcome.terminated, done=done, available=available,
                available_after=running.available, active=active, active_after=running.active, clock=running.clock,
            )  # fmt: skip
            self.observation, self.memory = enhanced, memory
            if bool(done.any()):
                running.restart(done)
                self.observation = self.observer.restart(running.observation, done)
                if memory is not None:
                    self.memory = memory * ~done[..., None, None]
        self.observer.require_sound(self.steps)
        taken = log.stacked("observation")
        before, after = log.states("before"), log.states("after")
        rollout = Rollout(
            observation=taken,
            after=log.stacked("led_to"),
            action=log.stacked("action"),
            reward=log.stacked("reward"),
            terminated=log.stacked("terminated"),
            done=log.stacked("done"),
            available=log.maybe("available"),
            available_after=log.maybe("available_after"),
            active=log.maybe("active"),
            active_after=log.maybe("active_after"),
            memory=start_memory,
            origin={
                **{f"{BEFORE}{name}": value for name, value in before.items()},
                **{f"{AFTER}{name}": value for name, value in after.items()},
                NATIVE_REWARD: log.stacked("reward"),
                CLOCK: log.stacked("clock"),
            },
        )
        shaped = self._shaping(rollout, count_terms=True)
        ends = max(float(rollout.done.sum()), taken.shape[:3].numel() / self.task.card.horizon)
        # Without the fade: what a signal pays must compare with what it paid before.
        self.shaped_return = float(self._paid(rollout, shaped, 1.0).mean(-1).sum()) / ends
        return replace(rollout, reward=self._paid(rollout, shaped, self._shaping_left))

    # ------------------------------------------------------------ shaping

    def _shaping(self, rollout: Rollout, *, count_terms: bool) -> Tensor | None:
        """What the signal pays, [T, P, E, N]; None where it leaves the reward as it is."""
        native = rollout.origin[NATIVE_REWARD]
        if self.program is None or not self.program.shapes_reward:
            return None
        steps = Transitions(
            before={k.removeprefix(BEFORE): v for k, v in rollout.origin.items() if k.startswith(BEFORE)},
            after={k.removeprefix(AFTER): v for k, v in rollout.origin.items() if k.startswith(AFTER)},
            obs_before=rollout.observation[..., : self.raw_size],
            obs_after=rollout.after[..., : self.raw_size],
            action=bounded(rollout.action),
            reward=native,
            clock=rollout.origin[CLOCK],
        )
        seen = self._view(steps)
        again = Again.picked(seen, self.program, self.seeds, self.steps)
        shaped, terms = self.program.reward(seen, native.shape[:3].numel(), native.shape[-1])
        if not (largest := float(shaped.abs().max())) <= LARGEST_REWARD:
            if math.isfinite(largest):
                raise SignalError(
                    f"the reward became as large as {largest:g} after {self.steps} steps: keep |reward| within 1000",
                    "dynamic",
                )
            bad = [name for name, value in terms.items() if not bool(torch.isfinite(value).all())]
            raise SignalError(
                f"the reward became NaN or infinite after {self.steps} steps (terms: {', '.join(bad) or 'the sum'})",
                "dynamic",
            )
        again.require_same(shaped, lambda: self._view(steps))
        if count_terms and self.steps + self._rollout_size() > self.until - 0.1 * (self.until - self.began):
            for name, value in terms.items():
                self.terms.setdefault(name, TermSums()).add(value)
        return shaped.view(native.shape)

    def _paid(self, rollout: Rollout, shaping: Tensor | None, left: float) -> Tensor:
        """The reward, [T, P, E, N]: native, shaped, or native with what is `left` of the shaping added."""
        native = rollout.origin[NATIVE_REWARD]
        if shaping is None:
            return native
        return native + left * shaping if self.reward_mode == "add" else shaping

    def _paid_anew(self, rollout: Rollout) -> Rollout:
        """Remembered steps with the reward of now: other than then where the signal is, or its fade has gone on."""
        shaping = self._shaping(rollout, count_terms=False)
        return replace(rollout, reward=self._paid(rollout, shaping, self._shaping_left))

    @property
    def _shaping_left(self) -> float:
        """1 to 0, at the present progress."""
        return self.config.shaping_left(self.progress) if self.reward_mode == "add" else 1.0

    def _view(self, steps: Transitions) -> StateView:
        return transition_view(steps, self.task.card.horizon, self.progress, self.config.gamma)

    # ------------------------------------------------------------ another signal, another future

    @torch.no_grad()
    def switch(
        self,
        program: Program | None,
        reward_mode: RewardMode | None = None,
        value_warm_up: int = 0,
        *,
        kept: int | None = None,
    ) -> None:
        """Train on under another signal (DESIGN section 5).

        The first `kept` columns of what agents see, the task's own and those of the old signal that the new one
        begins with, keep their weights; by default the task's own. Columns behind them enter with zero weights, so
        that the policy is the same before and after where all of the old ones are kept. What agents remember stays.
        The scale of the returns is estimated anew, for `value_warm_up` rollouts only the value network learns, and
        remembered transitions get the observations and rewards that the new signal gives them.

        Raises SignalError where the columns to keep are others under the new signal.
        """
        kept = self.raw_size if kept is None else kept
        observer, before, raw = Observer(program), self.observation, self.environments.observation
        if program is not None and program.wants_history and self.observer.history is not None:
            observer.history = self.observer.history
            observation = observer.enhanced(raw)
        else:
            observation = observer.restart(raw)
        if not _begins_alike(observation, before, kept):
            raise SignalError(
                f"the signal's features do not begin with the {kept - self.raw_size} columns that the policy reads",
                "dynamic",
            )
        self.program, self.observer, self.observation = program, observer, observation
        self.reward_mode = reward_mode or self.reward_mode
        size = observation.shape[-1]
        if not size == kept == before.shape[-1]:
            self.algorithm = self.algorithm.resized(size, kept)
        self.algorithm.relabel(lambda rollout: self._relabelled(rollout, kept))
        self.algorithm.forget_values(value_warm_up)
        self.terms = {}

    def _relabelled(self, rollout: Rollout, kept: int) -> Rollout:
        """The rollout as the present signal would have shown and paid it. History is walked in time.

        The `kept` columns stand as they were seen: of the oldest steps' episodes the beginning may be forgotten.
        """
        observer = Observer(self.program)
        raw, raw_after = rollout.observation[..., : self.raw_size], rollout.after[..., : self.raw_size]
        if self.program is None or not self.program.wants_history:
            steps = raw.shape[0]
            shown, led = (observer.observe(x.flatten(0, 1)).unflatten(0, (steps, -1)) for x in (raw, raw_after))
        else:
            begins = rollout.origin[CLOCK] == 1
            seen, led_to = [], []
            for t in range(raw.shape[0]):
                seen.append(observer.restart(raw[t], begins[t] if t else None))
                led_to.append(observer.observe(raw_after[t]))
            shown, led = torch.stack(seen), torch.stack(led_to)
        return self._paid_anew(
            replace(
                rollout,
                observation=torch.cat((rollout.observation[..., :kept], shown[..., kept:]), -1),
                after=torch.cat((rollout.after[..., :kept], led[..., kept:]), -1),
            )
        )

    def fork(self, seed: int) -> None:
        """Go on with other random numbers: the same fork seed gives the same future, another one another."""
        for name, generators in self.streams.items():
            for member, one in zip(self.seeds, generators, strict=True):
                one.set_state(generator(member, f"{name}, fork {seed}").get_state())

    def term_statistics(self) -> dict[str, TermStatistics]:
        """Each named term over the last tenth of the training."""
        moments = {name: sums.moments() for name, sums in self.terms.items()}
        whole = sum(size for _, _, size in moments.values())
        return {
            name: TermStatistics(mean=mean, spread=spread, share=size / whole if whole > 0 else 0.0)
            for name, (mean, spread, size) in moments.items()
        }

    # ------------------------------------------------------------ judging and saving

    def require_health(self) -> None:
        """Raises SignalError where a network has diverged: its score would be a number that means nothing."""
        if not all(bool(torch.isfinite(t).all()) for _, t in self.algorithm.tensors() if t.is_floating_point()):
            raise SignalError(
                f"the networks became NaN or infinite within {self.steps} steps: scale the signal down", "dynamic"
            )

    def evaluate(self, episodes: int, seed: int) -> Episodes:
        """Greedy episodes: each member has its own start states, which are the same for every candidate."""
        draws = [generator(seed, f"evaluation of {one}") for one in self.seeds]
        return play(self.task, self.algorithm, Observer(self.program), draws, episodes)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Everything needed to go on bit for bit: networks, optimiser, replay, generators, environments."""
        yield "steps", torch.tensor(self.steps)
        yield from self.algorithm.tensors()
        yield from ((f"environments.{name}", tensor) for name, tensor in self.environments.tensors())
        if self.observer.history is not None:
            yield "history", self.observer.history
        if self.memory is not None:
            yield "memory", self.memory
        for name, generators in self.streams.items():
            for member, one in enumerate(generators):
                yield f"generator.{name}.{member}", one.get_state()
        yield from ((f"term.{name}", sums.sums) for name, sums in self.terms.items())

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave. Raises UserError, and changes nothing, where it does not fit."""
        for name, tensor in self.tensors():
            if name.startswith("term."):
                continue
            if name not in saved or saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                found = f"{list(saved[name].shape)} {saved[name].dtype}" if name in saved else "nothing"
                raise UserError(
                    f"This checkpoint belongs to another training: {name} is {found} there and {list(tensor.shape)} "
                    f"{tensor.dtype} here; use the configuration, seeds, signal and device that wrote it."
                )
        here = torch.get_default_device()
        # A generator's state is read on the CPU, wherever the generator is.
        saved = {name: x if name.startswith("generator.") else x.to(here) for name, x in saved.items()}
        terms = {name.removeprefix("term."): tensor for name, tensor in saved.items() if name.startswith("term.")}
        self.terms = {name: TermSums(tensor.clone()) for name, tensor in terms.items()}
        self.steps = int(saved["steps"])
        self.algorithm.make_room(saved)
        for name, tensor in self.algorithm.tensors():
            tensor.copy_(saved[name])
        for name, generators in self.streams.items():
            for member, one in enumerate(generators):
                one.set_state(saved[f"generator.{name}.{member}"])
        prefix = "environments."
        self.environments.load({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})
        history, memory = saved.get("history"), saved.get("memory")
        self.observer.history = None if history is None else history.clone()
        self.memory = None if memory is None else memory.clone()
        begun = self.environments.clock != saved[f"{prefix}clock"]
        if bool(begun.any()):  # a simulator that cannot be saved: nothing is remembered of the episodes it lost
            self.observation = self.observer.restart(self.environments.observation, begun)
            self.memory = None if self.memory is None else self.memory * ~begun[..., None, None]
        else:
            self.observation = self.observer.enhanced(self.environments.observation)


def _begins_alike(one: Tensor, other: Tensor, columns: int) -> bool:
    """Whether the first columns of two observations are both there, and the same but for rounding."""
    if columns > min(one.shape[-1], other.shape[-1]):
        return False
    return torch.allclose(one[..., :columns], other[..., :columns], rtol=1e-5, atol=1e-6, equal_nan=True)


class StepLog:
    """What the steps of a rollout gave, by name, until it is stacked over time."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Tensor | State | None) -> None:
        self.rows.append(row)

    def stacked(self, name: str) -> Tensor:
        return torch.stack([row[name] for row in self.rows])

    def maybe(self, name: str) -> Tensor | None:
        return None if self.rows[0][name] is None else self.stacked(name)

    def states(self, name: str) -> State:
        return stack_states([row[name] for row in self.rows])
