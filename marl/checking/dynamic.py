"""Dynamic checks: a signal's functions are tried on sampled states before a training is spent on it.

They protect the results; the host is protected by the process around them.

Equality is bit for bit wherever the shapes are equal: a function of each row alone cannot help but give it, and a
leak too small for a tolerance would be found. Only other batch sizes are compared with a tolerance, for there the
order of a sum may change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl.checking.samples import ORIGINS, TRAINED, Samples, at_moments
from marlsmith.marl.checking.surroundings import Surroundings
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks.base import Task
from marlsmith.marl.workers.failures import candidate_line, diagnose, said
from marlsmith.schemas import Code, Scope, Signal, SignalError

REWARD_LIMIT = (1e3, "keep |reward| within 1000")
FEATURE_LIMIT = (1e3, "scale features to about 1")
LEAST_SPREAD = 1e-6
MOMENTS = (0.0, 0.5, 1.0)
"""Of a training; all rows of a rollout are at the same one."""
MOST_FEATURES = 256
MOST_SECONDS = 0.25
"""For a call with all sampled states; the fastest of some, for the machine may be busy."""
SCALAR_ROWS = 64
MOST_SCALAR_SECONDS = 0.15
"""For a call with SCALAR_ROWS states, where a function is called for each state and agent alone."""
HOPELESS = 4
"""So many times too slow, and no second try is worth its time."""
SUBSETS = (1, 25, 63, 64)
"""Batch sizes that differ from the sampled one, and modulo small numbers: from a single state to what a step of the
default training has."""
MOST_ROUNDS = 8
"""Of replacing other agents' rows: up to so many agents, each is tried in each row."""

ALTERATIONS = ("a state of zeros", "all in one place", "a state ten times as wide", "a state a thousandth as wide")
FACTORS = (1.0, 1.0, 10.0, 1e-3)
ZEROS, ONE_PLACE, WIDE, _ = range(len(ALTERATIONS))
UNALTERED = -1
"""As a row's alteration."""

Values = dict[str, Tensor]
Beat = Callable[[], None]


def check_signal(signal: Signal, task: Task, scope: Scope, samples: Samples, beat: Beat = lambda: None) -> Program:
    """The signal, loaded and found sound. Raises SignalError with the first thing that is wrong and what to do.

    `beat` is called between the calls of candidate code, so that who waits can tell slow from stuck.
    """
    surroundings = Surroundings.now()
    program = build_program(signal, task.card)
    if any(isinstance(part, Code) for part in (signal.reward, signal.observation)):
        # One copy of the module for all calls: what they would remember shows where this copy answers otherwise.
        tried, fresh = build_program(signal, task.card, fresh=False), program
    else:
        tried, fresh = program, None  # what marlsmith writes for a config holds nothing
    surroundings.require("loading the module")
    check_program(tried, fresh, task.card.agents, scope, samples, beat)
    return program


def check_program(
    program: Program, fresh: Program | None, agents: int, scope: Scope, samples: Samples, beat: Beat = lambda: None
) -> None:
    """Raises SignalError, stage dynamic, where a loaded signal is not sound. `fresh` keeps nothing between calls."""
    if program.enhance is not None and program.scope == "team" and scope == "own":
        raise SignalError(
            'SCOPE is "team", and only "own" is allowed here: read no other agent\'s row, or allow --scope team',
            "dynamic",
        )
    beat()
    if program.shapes_reward:
        reward = Function("the reward function", _rewards(program, agents), program.scalar, *REWARD_LIMIT)
        tried = Trial(reward, samples.origin, samples.state, beat)
        tried.check(None if fresh is None else _rewards(fresh, agents))
        met = samples.in_order()
        trained = Trial(reward, met.origin, met.state, beat)
        trained.require_rows_alone(MOMENTS)
        tried.surroundings.require(reward.name)
        if tried.spread() < LEAST_SPREAD:
            raise SignalError(
                "the reward is the same in every state that was tried: nothing can be learned from it", "dynamic"
            )
    if program.enhance is not None:
        features = Function("enhance_observation", _features(program), False, *FEATURE_LIMIT)
        tried = Trial(features, samples.origin, _seen(program, samples, samples.history), beat)
        tried.check(None if fresh is None else _features(fresh))
        begun, few = samples.just_begun(), tried.view.rows(slice(0, SUBSETS[-1]))
        trials = (
            tried,
            Trial(features, begun.origin, _seen(program, begun, begun.history_of_none), beat),
            Trial(features, tried.origin[: SUBSETS[-1]], few, beat),
        )
        for trial in trials[1:]:
            trial.require_rows_alone()
        tried.surroundings.require(features.name)
        for trial in trials if program.scope == "own" else ():
            _check_own_scope(trial)


def _seen(program: Program, samples: Samples, history: Callable[[], Tensor]) -> StateView:
    return StateView({"obs": samples.state.obs, **({"history": history()} if program.wants_history else {})})


def _rewards(program: Program, agents: int) -> Callable[[StateView], Values]:
    strict = replace(program, agent_reward=_plain(program.agent_reward), global_reward=_plain(program.global_reward))

    def call(state: StateView) -> Values:
        total, terms = strict.reward(state, len(state.time), agents)
        return {**terms, "the summed reward": total}

    return call


def _features(program: Program) -> Callable[[StateView], Values]:
    strict = replace(program, enhance=_plain(program.enhance))

    def call(seen: StateView) -> Values:
        value = strict.features(seen.obs, vars(seen).get("history"))
        if not 1 <= value.shape[-1] <= MOST_FEATURES:
            raise SignalError(
                f"enhance_observation returned {value.shape[-1]} features: return 1 to {MOST_FEATURES}", "dynamic"
            )
        return {"enhance_observation": value}

    return call


def _plain(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The function, whose tensors must be ordinary ones before anything is done with them."""
    if function is None:
        return None

    def call(*given: Any) -> Any:
        answer = function(*given)
        for value in answer.values() if isinstance(answer, dict) else (answer,):
            if isinstance(value, Tensor):
                _require_plain(value)
        return answer

    return call


def _require_plain(value: Tensor) -> None:
    if type(value) is not Tensor or value.layout != torch.strided or value.device != torch.get_default_device():
        raise SignalError(
            "a returned tensor is no ordinary dense one on the device of the input: return what torch's functions "
            "give for the input",
            "dynamic",
        )
    if value.requires_grad or value.is_inference():
        raise SignalError(
            "a returned tensor carries a gradient or comes from inference mode: leave torch's modes alone", "dynamic"
        )


# ---------------------------------------------------------------- one function on many states


@dataclass(frozen=True)
class Function:
    """What is tried, and how large its values may be."""

    name: str
    call: Callable[[StateView], Values]
    scalar: bool
    largest: float
    remedy: str


@dataclass
class Trial:
    """A function tried on states, whose kinds are in `origin` [B], and on what is made of them."""

    function: Function
    origin: Tensor
    view: StateView
    beat: Beat

    def __post_init__(self) -> None:
        self.name, self.scalar = self.function.name, self.function.scalar
        if self.scalar:
            some = torch.linspace(0, len(self.origin) - 1, min(SCALAR_ROWS, len(self.origin))).long()
            self.view, self.origin = self.view.rows(some), self.origin[some]
        self.rows = len(self.origin)
        self.most = MOST_SCALAR_SECONDS if self.scalar else MOST_SECONDS
        self.surroundings = Surroundings.now()
        self.answered: list[Values] = []

    def check(self, fresh: Callable[[StateView], Values] | None) -> None:
        """All that is asked of any function. Cheap and telling questions come first."""
        first = self._first_calls()
        self.surroundings.require(self.name)
        masks = self._altered_rows()
        mixtures = [altered(self.view, mask) for mask in masks]
        mixed = [self._on_altered(view, mask) for view, mask in zip(mixtures, masks, strict=True)]
        for mask, values in zip(masks, mixed, strict=True):
            self._require_rows_stand_alone(first, values, mask == UNALTERED)
        _soil(first)
        if not _equal(first, self.call(self.view)):
            raise SignalError(self._forgetful(), "dynamic")
        if fresh is not None:
            self._require_no_memory(fresh, ((mixtures[1], mixed[1]), (self.view, first)))
        self.surroundings.require(self.name)
        self.answered = [first, *mixed]

    def require_rows_alone(self, moments: Sequence[float | None] = (None,)) -> None:
        """The least that is asked of a function: of half of the rows, that the others do not matter.

        With `moments`, all rows are at the same one of a training; at each of them it is asked again.
        """
        mask = self._altered_rows()[0]
        kept, mixture = mask == UNALTERED, altered(self.view, mask)
        for moment in moments:
            if moment is not None:
                progress = torch.full_like(self.view.time, moment)
                self.view, mixture = at_moments(self.view, progress), at_moments(mixture, progress)
            first, _ = self._timed(self.view)
            self._require_rows_stand_alone(first, self._on_altered(mixture, mask), kept)
        self.answered = [first]

    def call(self, view: StateView, alterations: Tensor | None = None) -> Values:
        """The values of one call: of the right kind, finite, small enough, and the inputs left alone."""
        values = self._answer(self.function.call, view)
        for name, value in values.items():
            if view is self.view or alterations is not None:
                self._require_sane(name, value, alterations)
        return values

    def _answer(self, function: Callable[[StateView], Values], view: StateView) -> Values:
        mine = view.clone()
        try:
            values = function(mine)
        except TypeError as error:
            if "torch.return_types" not in str(error):
                raise
            raise _explained(error, ".min(dim) and .max(dim) give values and indices: write .amin(dim)") from None
        if not _untouched(mine, view):
            raise SignalError(f"{self.name} changes its input: work on a copy, with .clone()", "dynamic")
        self.beat()
        # What is a view of the input, or of something that the module holds, must not change later.
        return {name: value.clone() for name, value in values.items()}

    def _require_sane(self, name: str, value: Tensor, alterations: Tensor | None) -> None:
        finite = value.isfinite()
        if not bool(finite.all()):
            where = self._where(~finite, alterations)
            raise SignalError(
                f"{name} returned NaN or infinity for {where}: guard divisions, logs and roots", "dynamic"
            )
        excess = value.abs() > self.function.largest
        if alterations is not None:
            # The wide state is no state of the task: there only finite numbers are asked for.
            excess &= (alterations != WIDE).view(-1, *(1,) * (value.dim() - 1))
        if bool(excess.any()):
            size, where = float(value.abs()[excess].max()), self._where(excess, alterations)
            raise SignalError(f"{name} is as large as {size:g} for {where}: {self.function.remedy}", "dynamic")

    def _where(self, bad: Tensor, alterations: Tensor | None) -> str:
        """The kind of the first state where something is wrong."""
        row = int(bad.flatten(1).any(1).nonzero()[0]) if bad.dim() > 1 else int(bad.nonzero()[0])
        if alterations is not None and alterations[row] != UNALTERED:
            return ALTERATIONS[int(alterations[row])]
        return ORIGINS[int(self.origin[row])]

    # ------------------------------------------------------------ time and size

    def _first_calls(self) -> Values:
        """The values for all states. Smaller batches come before: what loops is found before it costs much."""
        # A permuted part of the batch; made states are left out, for they are full of ties.
        met = (self.origin <= TRAINED).nonzero().flatten().flip(0)
        one, *others = (met[:: max(1, len(met) // size)][:size] for size in SUBSETS)
        some = others[-1]
        values, little = self._one_row(one, some)
        parts = [(values, one)]
        for index in others:
            values, more = self._timed(self.view.rows(index))
            parts.append((values, index))
        expected = little + max(more - little, 0.0) * self.rows / len(some)
        if expected > HOPELESS * self.most:
            raise self._too_slow()
        first, _ = self._timed(self.view)
        for values, index in parts:
            self._require_same(first, values, index)
        return first

    def _one_row(self, one: Tensor, some: Tensor) -> tuple[Values, float]:
        """A batch of one state, which is what forgetful code stumbles over: it is told that this is it."""
        try:
            return self._timed(self.view.rows(one))
        except Exception as error:
            self._timed(self.view.rows(some))  # what fails with any batch speaks for itself
            raise _explained(
                error, "for a batch of a single state, which may come: give squeeze() a dimension, and keep the axis B"
            ) from None

    def _on_altered(self, view: StateView, alterations: Tensor) -> Values:
        try:
            return self.call(view, alterations)
        except SignalError:
            raise
        except Exception as error:
            kinds = ", ".join(ALTERATIONS)
            raise _explained(error, f"where some rows are altered ({kinds}): clamp indices, guard divisions") from None

    def _timed(self, view: StateView) -> tuple[Values, float]:
        """Values and seconds, of the processor: a busy machine is no fault of the candidate."""
        fastest = float("inf")
        for _ in range(3):
            started = time.process_time()
            values = self.call(view)
            fastest = min(fastest, time.process_time() - started)
            if fastest <= self.most:
                return values, fastest
            if fastest > HOPELESS * self.most:
                break
        raise self._too_slow()

    def _too_slow(self) -> SignalError:
        """Without the time that was measured: roles are told of it, and a replay must tell them the same."""
        return SignalError(f"{self.name} takes more than {self.most} s for {self.rows} states: vectorise it", "dynamic")

    # ------------------------------------------------------------ each row alone

    def _require_same(self, first: Values, part: Values, index: Tensor) -> None:
        for name, value in part.items():
            if name not in first or value.shape[1:] != first[name].shape[1:]:
                raise SignalError(f"{name} changes its shape or name with the batch: it must not", "dynamic")
            if not _close(value, first[name][index]):
                raise self._not_alone(
                    first,
                    f"{name} of a state depends on the other states of the batch, on its place "
                    "in it or on its size: treat each row of B alone",
                )

    def _altered_rows(self) -> tuple[Tensor, Tensor]:
        """Two complementary masks [B]: each row is kept in one of them, and altered in some way in the other."""
        draws = generator(0, "alterations")
        kept = torch.rand(self.rows, generator=draws) < 0.5
        kind = torch.randint(len(ALTERATIONS), (self.rows,), generator=draws)
        return torch.where(kept, UNALTERED, kind), torch.where(kept, kind, UNALTERED)

    def _require_rows_stand_alone(self, first: Values, other: Values, kept: Tensor) -> None:
        for name, value in first.items():
            if name not in other or other[name].shape != value.shape:
                raise SignalError(f"{name} changes its shape or name with the states: it must not", "dynamic")
            if not torch.equal(value[kept], other[name][kept]):
                tiny = _close(value[kept], other[name][kept])
                how = " (by rounding: use torch.where in place of picking rows)" if tiny else ""
                raise self._not_alone(
                    first, f"{name} of a state depends on the other states of the batch{how}: treat each row of B alone"
                )

    def _not_alone(self, first: Values, message: str) -> SignalError:
        """What does not even repeat itself is told so: that is the fault to mend first."""
        if not _equal(first, self.call(self.view)):
            return SignalError(self._forgetful(), "dynamic")
        if self._alone_at_one_moment():
            message += ", also in state.training_progress, which is [B]: .unsqueeze(-1) makes it fit [B, N]"
        return SignalError(message, "dynamic")

    def _alone_at_one_moment(self) -> bool:
        """Whether nothing but the moments of training, which a rollout has but one of, was read of other rows."""
        progress = vars(self.view).get("training_progress")
        if progress is None or bool((progress == progress[0]).all()):
            return False
        same = replace(self, view=at_moments(self.view, torch.full_like(progress, MOMENTS[1])))
        try:
            same._first_calls()
            same.require_rows_alone()
        except SignalError:
            return False
        return True

    def _forgetful(self) -> str:
        return f"{self.name} answers differently to the same input: keep no state"

    def _require_no_memory(
        self, fresh: Callable[[StateView], Values], met: tuple[tuple[StateView, Values], ...]
    ) -> None:
        """A copy that is new in each call must answer alike: memory would tie answers to the order of the states."""
        for view, values in met:
            if not _equal(self._answer(fresh, view), values):
                raise SignalError(
                    f"{self.name}: the answers depend on what the module was called with before: keep no state",
                    "dynamic",
                )

    def spread(self) -> float:
        """Standard deviation of the last value over all states together."""
        return float(torch.cat([list(values.values())[-1] for values in self.answered]).std())


def altered(view: StateView, alterations: Tensor) -> StateView:
    """The view with each row altered as its index in ALTERATIONS says; what belongs to time stays."""
    kept = {"action", "time", "training_progress"}
    factor = torch.ones(len(alterations))
    for kind, one in enumerate(FACTORS):
        factor[alterations == kind] = one

    def alter(value: Tensor) -> Tensor:
        shape = (-1, *(1,) * (value.dim() - 1))
        if value.dim() > 2:  # [B, N, ...] or [B, M, ...]; a history's place is its newest
            first = value[:, :1] if value.dim() == 3 else value[:, :, :1]
            value = torch.where((alterations == ONE_PLACE).view(shape), first, value)
        scaled = value * factor.view(shape)
        if value.dim() <= 2 and bool((value > 0).all()):  # a level or a total, which is zero in no state
            return scaled
        return scaled.masked_fill((alterations == ZEROS).view(shape), 0.0)

    return StateView({
        name: altered(value, alterations) if isinstance(value, StateView)
        else alter(value) if isinstance(value, Tensor) and value.is_floating_point() and name not in kept
        else value
        for name, value in vars(view).items()
    })  # fmt: skip


def _explained(error: Exception, when: str) -> SignalError | Exception:
    """The error as a sentence that says when it came, unless it is no fault of the code's own (memory)."""
    stage, _ = diagnose(error)
    if stage not in {"crash", "dynamic"}:
        return error
    line = candidate_line(error)
    where = "" if line is None or isinstance(error, SignalError) else f"line {line}: "
    name = "" if isinstance(error, SignalError) else f"{type(error).__name__}: "
    return SignalError(f"{where}{name}{said(error)} ({when})", "dynamic")


# ---------------------------------------------------------------- own scope


def _check_own_scope(trial: Trial) -> None:
    """Agent i's features must not move when the other agents' observations are replaced."""
    obs, history = trial.view.obs, vars(trial.view).get("history")
    rows, agents = obs.shape[:2]
    value = trial.answered[0]["enhance_observation"]
    draws = generator(0, "other agents")
    for turn in range(min(agents, MOST_ROUNDS)):
        # Row b keeps agent b + turn, so that after N turns each agent was kept in each row.
        keeper = (torch.arange(rows) + turn) % agents
        keeps = torch.arange(agents) == keeper.unsqueeze(1)
        other = torch.randperm(rows, generator=draws)
        kind = (torch.arange(rows) // agents + turn) % 3
        factor = torch.where(kind == 0, 1.0, torch.where(kind == 1, 0.0, FACTORS[WIDE]))
        seen: dict[str, Any] = {"obs": torch.where(keeps[..., None], obs, obs[other] * factor[:, None, None])}
        if history is not None:
            strange = history[other] * factor[:, None, None, None]
            seen["history"] = torch.where(keeps[:, None, :, None], history, strange)
        found = trial._answer(trial.function.call, StateView(seen))["enhance_observation"]
        moved = (found != value).any(-1) if found.shape == value.shape else torch.ones_like(keeps)
        if bool((moved & keeps).any()):
            agent = int((moved & keeps).any(0).nonzero()[0])
            raise SignalError(
                f'enhance_observation reads other agents\' observations for agent {agent}, but SCOPE is "own": '
                'use that agent\'s own row only, or set SCOPE = "team" where the run allows it',
                "dynamic",
            )


# ---------------------------------------------------------------- equality


def _soil(values: Values) -> None:
    """Writes into memory of these sizes and frees it: an answer with uninitialised memory in it then changes."""
    for value in values.values():
        for _ in range(3):
            torch.full_like(value, 7.7e7)


def _untouched(mine: StateView, given: StateView) -> bool:
    """Whether a view is still what it was a copy of, by content and by what it holds."""
    here, there = vars(mine), vars(given)
    if type(mine) is not StateView or here.keys() != there.keys():
        return False
    for name, value in there.items():
        if isinstance(value, StateView):
            if not isinstance(here[name], StateView) or not _untouched(here[name], value):
                return False
        elif isinstance(value, Tensor):
            if type(here[name]) is not Tensor or not torch.equal(here[name], value):
                return False
        elif here[name] != value:
            return False
    return True


def _equal(one: Values, other: Values) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.isclose(a, b, rtol=1e-5, atol=1e-5).all())
