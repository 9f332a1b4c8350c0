"""The training loop: P members of one candidate, side by side, one signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from marlsmith.marl.algorithms import Rollout, Spaces, find_algorithm
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.evaluation import play
from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program
from marlsmith.marl.signals.view import Transitions, transition_view
from marlsmith.marl.tasks import Episodes, State, Task
from marlsmith.schemas import SignalError, TermStatistics, UserError

STREAMS = ("learning", "resets", "actions")


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
        reward_mode: Literal["replace", "add"] = "replace",
    ) -> None:
        self.task = task
        self.program = program
        self.config = config
        self.seeds = tuple(seeds)
        self.reward_mode = reward_mode
        self.steps = 0
        self.streams = {name: [generator(seed, name) for seed in seeds] for name in STREAMS}
        self.state: State = task.reset(self.streams["resets"], config.environments)
        self.clock = torch.zeros(len(seeds), config.environments, dtype=torch.int64)
        self.observer = Observer(program)
        self.raw = task.observe(self.state)
        self.observation = self.observer.restart(self.raw)
        spaces = Spaces(task.card.agents, self.observation.shape[-1], len(task.card.actions))
        self.algorithm = find_algorithm(config.algorithm)(spaces, config, self.streams["learning"])
        self.terms: dict[str, TermSums] = {}
        self.shaped_return = 0.0

    @property
    def finished(self) -> bool:
        return self.steps >= self.config.steps

    def advance(self) -> None:
        """Collect one rollout and learn from it."""
        rollout = self._collect()
        self.algorithm.update(rollout, self.steps / self.config.steps)
        self.steps += self._rollout_size()

    def _rollout_size(self) -> int:
        """Environment steps of one member between two updates."""
        return self.algorithm.rollout_steps * self.config.environments

    # ------------------------------------------------------------ collecting

    @torch.no_grad()
    def _collect(self) -> Rollout:
        steps, environments = self.algorithm.rollout_steps, self.config.environments
        shape = (steps, environments, self.task.card.agents, len(self.task.card.actions))
        noise = torch.stack([torch.rand(shape, generator=g) for g in self.streams["actions"]], 1)
        taken = Transitions()
        seen: list[Tensor] = []
        led_to: list[Tensor] = []
        ended: list[Tensor] = []
        dones: list[Tensor] = []
        for t in range(steps):
            action = self.algorithm.act(self.observation, noise[t])
            state, reward, terminated = self.task.step(self.state, action)
            raw = self.task.observe(state)
            enhanced = self.observer.observe(raw)
            self.clock = self.clock + 1
            done = terminated | (self.clock >= self.task.card.horizon)
            taken.append(self.state, state, self.raw, raw, action, reward, self.clock)
            for store, value in (
                (seen, self.observation),
                (led_to, enhanced),
                (ended, terminated),
                (dones, done),
            ):
                store.append(value)
            self.state, self.raw, self.observation = state, raw, enhanced
            if bool(done.any()):
                self._reset(done)
        reward = self._learned_reward(taken)
        self.shaped_return = float(reward.mean()) * self.task.card.horizon
        observation = torch.stack(seen)
        if not bool(torch.isfinite(observation.sum())):
            raise SignalError(f"enhance_observation returned NaN or infinity within {self.steps} steps", "dynamic")
        return Rollout(
            observation,
            torch.stack(led_to),
            torch.stack(taken.action),
            reward,
            torch.stack(ended),
            torch.stack(dones),
        )

    def _reset(self, done: Tensor) -> None:
        """Start new episodes where they ended; MPE's end all at once."""
        fresh = self.task.reset(self.streams["resets"], self.config.environments)
        if bool(done.all()):
            self.state = fresh
            self.clock = torch.zeros_like(self.clock)
            self.raw = self.task.observe(fresh)
            self.observation = self.observer.restart(self.raw)
            return
        self.state = {name: _where(done, fresh[name], value) for name, value in self.state.items()}
        self.clock = torch.where(done, 0, self.clock)
        self.raw = self.task.observe(self.state)
        self.observation = self.observer.restart(self.raw, done)

    # ------------------------------------------------------------ shaping

    def _learned_reward(self, taken: Transitions) -> Tensor:
        """What the algorithm learns from, [T, P, E, N]: native, shaped, or both added."""
        native = torch.stack(taken.reward)
        if self.program is None or not self.program.shapes_reward:
            return native
        view = transition_view(taken, self.task.card.horizon, self.steps / self.config.steps, self.config.gamma)
        shaped, terms = self.program.reward(view, native.shape[:3].numel(), native.shape[-1])
        if not bool(torch.isfinite(shaped.sum())):
            bad = [name for name, value in terms.items() if not bool(torch.isfinite(value).all())]
            raise SignalError(
                f"the reward became NaN or infinite after {self.steps} steps (terms: {', '.join(bad) or 'the sum'})",
                "dynamic",
            )
        if self.steps + self._rollout_size() > 0.9 * self.config.steps:
            for name, value in terms.items():
                self.terms.setdefault(name, TermSums()).add(value)
        shaped = shaped.view(native.shape)
        return native + shaped if self.reward_mode == "add" else shaped

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
        return play(self.task, self.algorithm.act_greedily, Observer(self.program), draws, episodes)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Everything needed to go on bit for bit: networks, optimiser, normaliser, generators, environments."""
        yield "steps", torch.tensor(self.steps)
        yield "clock", self.clock
        yield from self.algorithm.tensors()
        yield from ((f"state.{name}", value) for name, value in self.state.items())
        if self.observer.history is not None:
            yield "history", self.observer.history
        for name, generators in self.streams.items():
            for member, one in enumerate(generators):
                yield f"generator.{name}.{member}", one.get_state()
        yield from ((f"term.{name}", sums.sums) for name, sums in self.terms.items())

    @torch.no_grad()
    def load(self, saved: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave. Raises UserError, and changes nothing, where it does not fit."""
        for name, tensor in self.tensors():
            if name.startswith("term."):
                continue
            if name not in saved or saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                found = f"{list(saved[name].shape)} {saved[name].dtype}" if name in saved else "nothing"
                raise UserError(
                    f"This checkpoint belongs to another training: {name} is {found} there and "
                    f"{list(tensor.shape)} {tensor.dtype} here; use the configuration, seeds and signal that wrote it."
                )
        terms = {name.removeprefix("term."): tensor for name, tensor in saved.items() if name.startswith("term.")}
        self.terms = {name: TermSums(tensor.clone()) for name, tensor in terms.items()}
        self.steps = int(saved["steps"])
        self.clock = saved["clock"].clone()
        for name, tensor in self.algorithm.tensors():
            tensor.copy_(saved[name])
        self.state = {name: saved[f"state.{name}"].clone() for name in self.state}
        for name, generators in self.streams.items():
            for member, one in enumerate(generators):
                one.set_state(saved[f"generator.{name}.{member}"])
        self.raw = self.task.observe(self.state)
        history = saved.get("history")
        self.observer.history = None if history is None else history.clone()
        self.observation = self.observer.enhanced(self.raw)


def _where(done: Tensor, fresh: Tensor, old: Tensor) -> Tensor:
    return torch.where(done.view(*done.shape, *(1,) * (fresh.dim() - 2)), fresh, old)
