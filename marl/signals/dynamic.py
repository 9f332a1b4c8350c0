"""Dynamic checks: a signal's functions are tried on sampled states before a training is spent on them.

They protect the results; the host is protected by the process around them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from marlsmith.marl.evaluation import RandomPolicy, stack_states
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import HISTORY, Program, build_program
from marlsmith.marl.signals.view import StateView, Transitions, transition_view
from marlsmith.marl.tasks.base import State, Task
from marlsmith.schemas import Scope, Signal, SignalError

ROWS = 256
LARGEST_REWARD = 1e3
LEAST_SPREAD = 1e-6
LARGEST_FEATURE = 1e3
MOST_FEATURES = 256
MOST_SECONDS = 0.25
"""For a call with ROWS states; the fastest of three, for the machine may be busy."""


def check_signal(signal: Signal, task: Task, scope: Scope) -> Program:
    """The signal, loaded and found sound. Raises SignalError with the first thing that is wrong and what to do."""
    program = build_program(signal, task.card)
    check_program(program, task, scope)
    _check_remembers_nothing(program, build_program(signal, task.card), sample_states(task))
    return program


def check_program(program: Program, task: Task, scope: Scope) -> None:
    """Raises SignalError, stage dynamic, where a loaded signal is not sound by itself."""
    if program.enhance is not None and program.scope == "team" and scope == "own":
        raise SignalError(
            'SCOPE is "team", and only "own" is allowed here: read no other agent\'s row, or allow --scope team',
            "dynamic",
        )
    views = sample_states(task)
    if program.shapes_reward:
        for name, view in views.items():
            _check_reward(program, view, name, task.card.agents)
        _check_rewards_differ(program, views, task.card.agents)
    if program.enhance is not None:
        for name, view in views.items():
            _check_features(program, view.obs, _history(view.obs) if program.wants_history else None, name)


def sample_states(task: Task) -> dict[str, StateView]:
    """States of random play, and edge inputs made from them: all zero, all in one place, far away, close together."""
    view = random_play(task)

    def altered(change: Callable[[Tensor], Tensor]) -> StateView:
        kept = {"action", "time", "training_progress"}

        def alter(one: StateView) -> StateView:
            return StateView({
                name: alter(value) if isinstance(value, StateView)
                else change(value) if isinstance(value, Tensor) and value.is_floating_point() and name not in kept
                else value
                for name, value in vars(one).items()
            })  # fmt: skip

        return alter(view)

    return {
        "random play": view,
        "a state of zeros": altered(torch.zeros_like),
        "all in one place": altered(lambda x: x[:1, :1].expand_as(x).clone() if x.dim() > 1 else x),
        "a state ten times as wide": altered(lambda x: x * 10),
        "a state a thousandth as wide": altered(lambda x: x * 1e-3),
    }


def random_play(task: Task) -> StateView:
    """ROWS transitions of a random policy as one batch: episodes in turn, each from its start to its end."""
    card, draws = task.card, generator(0, "check")
    count = -(-ROWS // card.horizon)
    policy = RandomPolicy(card, draws)
    environments = task.open([draws], count)
    before: list[State] = []
    after: list[State] = []
    seen: list[Tensor] = []
    shown: list[Tensor] = []
    actions: list[Tensor] = []
    rewards: list[Tensor] = []
    clocks: list[Tensor] = []
    try:
        while len(actions) * count < ROWS:
            before.append(environments.state)
            seen.append(environments.observation)
            action, _ = policy.act_greedily(environments.observation, environments.available, None)
            outcome = environments.step(action)
            after.append(environments.state)
            shown.append(environments.observation)
            actions.append(action)
            rewards.append(outcome.reward)
            clocks.append(environments.clock)
            ended = outcome.terminated | outcome.truncated
            if bool(ended.any()):
                environments.restart(ended)
    finally:
        environments.close()
    steps = Transitions(
        stack_states(before), stack_states(after), torch.stack(seen), torch.stack(shown),
        torch.stack(actions), torch.stack(rewards), torch.stack(clocks),
    )  # fmt: skip
    view = transition_view(steps, card.horizon, training_progress=0.5, gamma=0.95).rows(slice(0, ROWS))
    progress = torch.linspace(0, 1, ROWS)  # an annealed reward must be sound from the first step to the last
    return StateView({**vars(view), "training_progress": progress})


def _history(obs: Tensor) -> Tensor:
    """[B, N, D] -> [B, H, N, D], the newest last and equal to obs."""
    return torch.stack([obs * (k + 1) / HISTORY for k in range(HISTORY)], 1)


# ---------------------------------------------------------------- rewards


def _check_reward(program: Program, view: StateView, where: str, agents: int) -> None:
    rows = view.reward.shape[0]

    def call(state: StateView) -> dict[str, Tensor]:
        total, terms = program.reward(state, rows, agents)
        return {**terms, "the summed reward": total}

    values = _pure(call, view, "reward function", where)
    for name, value in values.items():
        _finite(name, value, where)
        largest = float(value.abs().max())
        # The far-away state is no state of the task: there only finite numbers are asked for.
        if largest > LARGEST_REWARD and "ten times" not in where:
            raise SignalError(
                f"{name} is as large as {largest:g} for {where}: keep |reward| within {LARGEST_REWARD:g}",
                "dynamic",
            )
    if "random play" in where:
        index = torch.arange(rows - 1, -1, -2)
        part, _ = program.reward(view.rows(index), len(index), agents)
        _rows_stand_alone("reward", part, values["the summed reward"][index])


def _check_rewards_differ(program: Program, views: dict[str, StateView], agents: int) -> None:
    """A bonus for success alone never shows in random play; it does where all stand on one spot."""
    rewards = [program.reward(view, view.time.shape[0], agents)[0] for view in views.values()]
    if float(torch.cat(rewards).std()) < LEAST_SPREAD:
        raise SignalError(
            "the reward is the same in every state that was tried: nothing can be learned from it", "dynamic"
        )


def _check_remembers_nothing(used: Program, fresh: Program, views: dict[str, StateView]) -> None:
    """A copy that met other states first must answer alike: module-level memory would tie rewards to their order."""
    for view in reversed(views.values()):
        rows, agents = view.obs.shape[:2]
        history = _history(view.obs) if used.wants_history else None
        answers = []
        for program in (fresh, used):
            found = [program.reward(view.clone(), rows, agents)[0]] if program.shapes_reward else []
            found += [program.features(view.obs.clone(), history)] if program.enhance is not None else []
            answers.append(found)
        if not all(map(_same, *answers)):
            raise SignalError("the answers depend on what the module was called with before: keep no state", "dynamic")


# ---------------------------------------------------------------- features


def _check_features(program: Program, obs: Tensor, history: Tensor | None, where: str) -> None:
    def call(pair: tuple[Tensor, Tensor | None]) -> dict[str, Tensor]:
        return {"enhance_observation": program.features(*pair)}

    value = _pure(call, (obs, history), "enhance_observation", where)["enhance_observation"]
    _finite("enhance_observation", value, where)
    largest = float(value.abs().max()) if value.numel() else 0.0
    if largest > LARGEST_FEATURE and "ten times" not in where:
        raise SignalError(
            f"enhance_observation returned values as large as {largest:g} for {where}: scale features to about 1",
            "dynamic",
        )
    if not 1 <= value.shape[-1] <= MOST_FEATURES:
        raise SignalError(
            f"enhance_observation returned {value.shape[-1]} features: return 1 to {MOST_FEATURES}", "dynamic"
        )
    if "random play" not in where:
        return
    index = torch.arange(obs.shape[0] - 1, -1, -2)
    part = program.features(obs[index], None if history is None else history[index])
    _rows_stand_alone("enhance_observation", part, value[index])
    if program.scope == "own":
        _check_own_scope(program, obs, history, value)


def _check_own_scope(program: Program, obs: Tensor, history: Tensor | None, value: Tensor) -> None:
    """Agent i's features must not move when the other agents' observations are replaced."""
    agents = obs.shape[1]
    for agent in range(agents):
        others = [j for j in range(agents) if j != agent]
        changed = obs.clone()
        changed[:, others] = obs.roll(1, 0)[:, others] * 1.7 + 0.3
        changed_history = None
        if history is not None:
            changed_history = history.clone()
            changed_history[:, :, others] = history.roll(1, 0)[:, :, others] * 1.7 + 0.3
        if not _same(program.features(changed, changed_history)[:, agent], value[:, agent]):
            raise SignalError(
                f'enhance_observation reads other agents\' observations for agent {agent}, but SCOPE is "own": '
                'use that agent\'s own row only, or set SCOPE = "team" where the run allows it',
                "dynamic",
            )


# ---------------------------------------------------------------- properties of any function


def _pure(call: Callable[..., dict[str, Tensor]], given: object, what: str, where: str) -> dict[str, Tensor]:
    """The values of a call that is quick, repeatable, and leaves its inputs and the random state alone."""
    random_state = torch.random.get_rng_state()
    results, fastest = [], float("inf")
    for _ in range(3):
        mine = _clone(given)
        started = time.perf_counter()
        results.append(call(mine))
        fastest = min(fastest, time.perf_counter() - started)
        if not _untouched(mine, given):
            raise SignalError(f"the {what} changes its input: work on a copy, with .clone()", "dynamic")
    if not torch.equal(random_state, torch.random.get_rng_state()):
        raise SignalError(f"the {what} draws random numbers: it must be a function of its input", "dynamic")
    first, *again = results
    if any(set(first) != set(other) or not all(_same(first[k], other[k]) for k in first) for other in again):
        raise SignalError(f"the {what} answers differently to the same input ({where}): keep no state", "dynamic")
    if fastest > MOST_SECONDS:
        raise SignalError(
            f"the {what} takes {fastest:.2f} s for {ROWS} states: at most {MOST_SECONDS} s, vectorise it",
            "dynamic",
        )
    return first


def _clone(given: object) -> object:
    if isinstance(given, tuple):
        return tuple(_clone(one) for one in given)
    return given.clone() if isinstance(given, Tensor | StateView) else given


def _untouched(mine: object, given: object) -> bool:
    if isinstance(given, tuple) and isinstance(mine, tuple):
        return all(_untouched(a, b) for a, b in zip(mine, given, strict=True))
    if isinstance(given, StateView) and isinstance(mine, StateView):
        return vars(given).keys() == vars(mine).keys() and all(
            _untouched(vars(mine)[name], value) for name, value in vars(given).items()
        )
    if isinstance(given, Tensor):
        return isinstance(mine, Tensor) and torch.equal(mine, given)
    return True


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True).all())


def _finite(name: str, value: Tensor, where: str) -> None:
    if not bool(torch.isfinite(value).all()):
        raise SignalError(f"{name} returned NaN or infinity for {where}: guard divisions, logs and roots", "dynamic")


def _rows_stand_alone(name: str, part: Tensor, whole: Tensor) -> None:
    if not _same(part, whole):
        raise SignalError(
            f"{name} of a state depends on the other states of the batch: treat each row of B alone",
            "dynamic",
        )
