"""From the task's observation to what the policy sees: the signal's features appended, with history if wanted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import HISTORY, Program
from marlsmith.schemas import SignalError

WATCHED_ROWS = 4_096
"""So many are remembered at most before they are looked at."""
ALONE_EVERY = 4
"""One look in so many shows an agent's rows alone."""
OF_ROWS = -1
"""In place of an agent: what leaks comes from other environments."""
ROUNDING = 1e-6
"""Of the largest feature: what code that picks rows may differ by in batches of one size."""


class Observer:
    """Appends features to observations [P, E, N, D] -> [P, E, N, D + K]. Keeps the history of its environments."""

    def __init__(self, program: Program | None) -> None:
        self.program = program if program is not None and program.enhance is not None else None
        self.history: Tensor | None = None
        self._sum = torch.zeros(())
        self._watch = None if self.program is None else Watch(self.program)

    def restart(self, observation: Tensor, where: Tensor | None = None) -> Tensor:
        """A first observation; history is zero before it. `where` [P, E] restarts some environments only."""
        if self.program is not None and self.program.wants_history:
            fresh = observation.new_zeros(*observation.shape[:2], HISTORY, *observation.shape[2:])
            keep = self.history
            if where is not None and keep is not None:
                # `observe` has pushed a row for all: the others' must not be pushed twice.
                fresh[:, :, -1] = observation
                self.history = torch.where(where[..., None, None, None], fresh, keep)
                return self.enhanced(observation)
            self.history = fresh
        return self.observe(observation)

    def observe(self, observation: Tensor) -> Tensor:
        """The next observation of every environment."""
        if self.history is not None:
            self.history = torch.cat((self.history[:, :, 1:], observation.unsqueeze(2)), 2)
        return self.enhanced(observation)

    def enhanced(self, observation: Tensor) -> Tensor:
        if self.program is None:
            return observation
        members, environments, _, size = observation.shape
        # Copies: candidate code could write into what the policy is about to see.
        raw = observation.flatten(0, 1)
        history = None if self.history is None else self.history.flatten(0, 1)
        features = self.program.features(raw.clone(), None if history is None else history.clone())
        self._sum = self._sum + features.sum()
        whole = torch.cat((observation, features.unflatten(0, (members, environments))), -1)
        if self._watch is not None:
            self._watch.add(Seen(raw, history, whole[..., size:].flatten(0, 1)))
        return whole

    def require_sound(self, steps: int | None = None) -> None:
        """Raises SignalError where, since the last call and `steps` into a training, a feature was NaN or infinite,
        moved with another environment, or moved with another agent's observation in scope own.
        """
        found, self._sum = self._sum, torch.zeros(())
        if not bool(torch.isfinite(found)):
            when = "in evaluation" if steps is None else f"within {steps} steps"
            raise SignalError(f"enhance_observation returned NaN or infinity {when}", "dynamic")
        if self._watch is None or (leak := self._watch.leak()) is None:
            return
        when = "in evaluation" if steps is None else f"after {steps} steps of training"
        raise SignalError(
            f"enhance_observation of a state depends on the other states of the batch, seen {when}: treat each row of "
            "B alone"
            if leak == OF_ROWS
            else f"enhance_observation reads other agents' observations for agent {leak}, seen {when}, but SCOPE is "
            '"own": use that agent\'s own row only, or set SCOPE = "team" where the run allows it',
            "dynamic",
        )


# ---------------------------------------------------------------- what features follow from


class Seen(NamedTuple):
    """One call of the observation function: obs [B, N, D], history [B, H, N, D] and features [B, N, K]."""

    obs: Tensor
    history: Tensor | None
    features: Tensor


class Watch:
    """Whether a state's features follow from that state, and in scope own agent i's from agent i's rows alone.

    One call of a rollout, any of them, is repeated as it was with half of its states replaced, and in scope own all
    that one agent does not see: what is left must not move.

    In scope own every row that was seen is tried besides. The calls of a rollout are repeated as one, in which each
    agent's row stands among rows that the other agents saw in other environments: its features must be the same bits.
    So one call tries all rows and agents. As the rows are still somewhere in that batch, now and then a second call
    shows one agent's rows alone, each agent's in turn.

    A different batch may be rounded differently. Where bits differ, it is settled with exactly equal shapes. What is
    drawn comes from a generator of its own: a training is the same with and without.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.own = program.scope == "own"
        self._draws = generator(0, "watching features")
        self._seen: list[Seen] = []
        self._rows = 0
        self._turn = 0
        self._leak: int | None = None
        self._stranger: tuple[Tensor, Tensor | None] | None = None
        """Rows [1, N, D] and history of an environment in the look before."""

    def add(self, seen: Seen) -> None:
        if self._rows and self._rows + len(seen.obs) > WATCHED_ROWS:
            self._look()
        self._seen.append(seen)
        self._rows += len(seen.obs)

    def leak(self) -> int | None:
        """An agent whose features moved with other agents' rows in anything added so far, or OF_ROWS; None: nobody's
        did.
        """
        if self._seen:
            self._look()
        return self._leak

    @torch.no_grad()
    def _look(self) -> None:
        seen, self._seen, self._rows = self._seen, [], 0
        if self._leak is None:
            self._leak = self._leak_in_one(seen)
        if self._leak is None and self.own and seen[0].obs.shape[1] > 1:
            self._leak = self._leak_in(seen)
            self._turn += 1

    def _leak_in_one(self, seen: list[Seen]) -> int | None:
        """Of one call: the same size, half of the states, and in scope own of one agent."""
        one, other = (seen[self._drawn(len(seen))] for _ in range(2))
        rows, agents = one.obs.shape[:2]
        others = torch.randint(len(other.obs), (rows,), generator=self._draws)
        kept = torch.rand(rows, 1, generator=self._draws) < 0.5
        agent = self._drawn(agents)
        keeps = kept & (torch.arange(agents) == agent) if self.own else kept
        if self._stays(one, other, others, keeps):
            return None
        return agent if self.own and self._stays(one, other, others, kept) else OF_ROWS

    def _drawn(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self._draws))

    def _stays(self, one: Seen, other: Seen, others: Tensor, keeps: Tensor) -> bool:
        """Whether the features of what is kept, [B, N] or [B, 1], stay where other states replace the rest."""
        history = None
        if one.history is not None and other.history is not None:
            history = torch.where(keeps[:, None, :, None], one.history, other.history[others])
        found = self._features(torch.where(keeps[..., None], one.obs, other.obs[others]), history)
        if found.shape != one.features.shape:
            return False
        off = torch.where(keeps[..., None], found - one.features, 0.0).abs().amax()
        tolerance = ROUNDING if off.device.type == "cpu" else 1e-4
        return bool(off <= tolerance * one.features.abs().amax())

    def _leak_in(self, seen: list[Seen]) -> int | None:
        obs, features = torch.cat([one.obs for one in seen]), torch.cat([one.features for one in seen])
        past = [one.history for one in seen if one.history is not None]
        history = torch.cat(past) if past else None
        together = Seen(obs, history, features)
        row = self._turn % len(obs)
        stranger = obs[row : row + 1], None if history is None else history[row : row + 1]
        self._stranger = self._stranger or stranger
        try:
            return self._found_in(together, seen)
        finally:
            self._stranger = stranger

    def _found_in(self, together: Seen, seen: list[Seen]) -> int | None:
        obs, history, features = together
        step = self._step(min(len(one.obs) for one in seen), obs.shape[1])
        if step and self._same(self._mixed(together, step), features):
            turns, later = divmod(self._turn, ALONE_EVERY)
            agent = turns % obs.shape[1]
            if later or self._same(self._alone(together, agent), features[:, agent]):
                return None
        # The same shape as when it was used first of all, where rounding cannot be what differs.
        again = self._features(obs, history)
        for agent in range(obs.shape[1]):
            if not self._same(self._alone(together, agent), again[:, agent]):
                return agent
        return self._leak_by_size(seen, again)

    def _leak_by_size(self, seen: list[Seen], again: Tensor) -> int | None:
        """What the whole batch gives otherwise than the calls did is rounding, or is meant for one batch size only."""
        for one, found in zip(seen, again.split([len(one.obs) for one in seen]), strict=True):
            if torch.allclose(found, one.features, rtol=1e-5, atol=1e-6):
                continue
            for agent in range(one.obs.shape[1]):
                if not self._same(self._alone(one, agent), one.features[:, agent]):
                    return agent
        return None

    def _step(self, rows: int, agents: int) -> int:
        """By how many environments each agent's rows are moved against those of the agent before it; 0: too few.

        No two agents' rows then come from one environment, whatever the time: what stays the same throughout an
        episode would not show there.
        """
        most = (rows - 1) // (agents - 1)
        return 1 + self._turn % most if most else 0

    def _mixed(self, seen: Seen, step: int) -> Tensor:
        """Features [B, N, K] of each agent's rows among rows that the others saw elsewhere."""
        found = self._features(
            shifted(seen.obs, 1, step), None if seen.history is None else shifted(seen.history, 2, step)
        )
        return shifted(found, 1, -step)

    def _alone(self, seen: Seen, agent: int) -> Tensor:
        """Features [B, K] of one agent where nothing is left of what the others saw: one stranger's rows for all.

        Rows that were really seen, for honest code may take numbers for indices.
        """
        assert self._stranger is not None, "a look begins with one"
        obs, history = self._stranger
        keeps = (torch.arange(seen.obs.shape[1], device=seen.obs.device) == agent).unsqueeze(-1)
        past = seen.history if history is None or seen.history is None else torch.where(keeps, seen.history, history)
        return self._features(torch.where(keeps, seen.obs, obs), past)[:, agent]

    def _features(self, obs: Tensor, history: Tensor | None) -> Tensor:
        return self.program.features(obs, history)

    @staticmethod
    def _same(one: Tensor, other: Tensor) -> bool:
        if one.device.type == "cpu" or one.shape != other.shape:
            return torch.equal(one, other)
        # Accelerators may add up in another order each time.
        return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def shifted(x: Tensor, agents: int, step: int) -> Tensor:
    """[B, ..., N, ...] with agent i's rows moved on by i * step; `agents` is the axis of N."""
    return torch.stack([one.roll(i * step, 0) for i, one in enumerate(x.unbind(agents))], agents)
