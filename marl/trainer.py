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
        return self.steps >= self.config.steps

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0..1."""
        return min(self.steps / self.config.steps, 1.0)

    def advance(self) -> None:
        """Collect one rollout and learn from it."""
        rollout = self._collect()
        self.algorithm.update(rollout, self.progress)
        self.steps += self._rollout_size()

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
        reward = self._learned_reward(rollout, count_terms=True)
        ends = max(float(rollout.done.sum()), reward.shape[:3].numel() / self.task.card.horizon)
        self.shaped_return = float(reward.mean(-1).sum()) / ends
        return replace(rollout, reward=reward)

    # ------------------------------------------------------------ shaping

    def _learned_reward(self, rollout: Rollout, *, count_terms: bool) -> Tensor:
        """What the algorithm learns from, [T, P, E, N]: native, shaped, or both added."""
        native = rollout.origin[NATIVE_REWARD]
        if self.program is None or not self.program.shapes_reward:
            return native
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
        if count_terms and self.steps + self._rollout_size() > 0.9 * self.config.steps:
            for name, value in terms.items():
                self.terms.setdefault(name, TermSums()).add(value)
        shaped = shaped.view(native.shape)
        return native + shaped if self.reward_mode == "add" else shaped

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
        same_features: bool = False,
    ) -> None:
        """Train on under another signal (DESIGN section 5).

        New observation columns enter with zero weights: where the old signal had none, the policy is the same
        before and after. The columns of an old signal are dropped, unless the caller knows that the new one has the
        `same_features`: then they keep their weights, and the history stays. The scale of the returns is estimated
        anew, for `value_warm_up` rollouts only the value network learns, and remembered transitions get the
        observations and rewards that the new signal gives them.
        """
        self.program = program
        self.reward_mode = reward_mode or self.reward_mode
        history = self.observer.history
        self.observer = Observer(program)
        self.observation = self.observer.restart(self.environments.observation)
        size = self.observation.shape[-1]
        if same_features:
            self.observer.history = history
            self.observation = self.observer.enhanced(self.environments.observation)
        elif size != self.algorithm.spaces.observation or size != self.raw_size:
            self.algorithm = self.algorithm.resized(size, self.raw_size)
        self.algorithm.relabel(self._relabelled)
        self.algorithm.forget_values(value_warm_up)
        self.terms = {}

    def _relabelled(self, rollout: Rollout) -> Rollout:
        """The rollout as the present signal would have shown and paid it. History is walked in time."""
        observer = Observer(self.program)
        raw, raw_after = rollout.observation[..., : self.raw_size], rollout.after[..., : self.raw_size]
        if self.program is None or not self.program.wants_history:
            steps = raw.shape[0]
            shown, led = (observer.observe(x.flatten(0, 1)).unflatten(0, (steps, -1)) for x in (raw, raw_after))
            rollout = replace(rollout, observation=shown, after=led)
            return replace(rollout, reward=self._learned_reward(rollout, count_terms=False))
        begins = rollout.origin[CLOCK] == 1
        seen, led_to = [], []
        for t in range(raw.shape[0]):
            seen.append(observer.restart(raw[t], begins[t] if t else None))
            led_to.append(observer.observe(raw_after[t]))
        rollout = replace(rollout, observation=torch.stack(seen), after=torch.stack(led_to))
        return replace(rollout, reward=self._learned_reward(rollout, count_terms=False))

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
