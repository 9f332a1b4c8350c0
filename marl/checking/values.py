"""What a signal's terms and features come to on stored states. For signals that have passed the checks.

The numbers are by the word of the process that runs candidate code: good for advice and for finding twins.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from marlsmith.marl.checking.dynamic import SCALAR_ROWS
from marlsmith.marl.checking.samples import ORIGINS, RANDOM, SOLVED, TRAINED, Samples
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.tasks.base import Task
from marlsmith.schemas import Fingerprint, Signal, SignalError, SignalValues, TermValues, Values

SUMS = 32
"""Numbers of a part's fingerprint."""
DIGITS = 9
"""Significant ones; float32 has seven, and a sum of thousands of them some more."""
TOLD = (RANDOM, TRAINED, SOLVED)
"""Kinds of states whose means are told apart: the others are made to break things, not to be met."""


def signal_values(
    signal: Signal, task: Task, samples: Samples, beat: Callable[[], None] = lambda: None
) -> SignalValues:
    """Raises SignalError where the signal is refused or answers with the wrong thing."""
    program = build_program(signal, task.card)
    if program.scalar:
        spread = torch.linspace(0, samples.rows - 1, min(SCALAR_ROWS, samples.rows)).long()
        samples = samples.rows_of(spread)
    beat()
    terms: dict[str, TermValues] = {}
    whole: TermValues | None = None
    reward = columns = None
    if program.shapes_reward:
        reward, named = program.reward(samples.state.clone(), samples.rows, task.card.agents)
        beat()
        terms = {name: _term(_finite(name, value), samples) for name, value in named.items()}
        whole = _term(_finite("the summed reward", reward), samples)
    if program.enhance is not None:
        columns = _finite("enhance_observation", _features(program, samples))
        beat()
    fingerprint = Fingerprint(
        rows=samples.rows,
        reward=() if reward is None else _sums(reward),
        features=() if columns is None else _sums(columns),
        columns=0 if columns is None else columns.shape[-1],
    )
    features = () if columns is None else tuple(Values(**_told(column)) for column in columns.unbind(-1))
    return SignalValues(rows=samples.rows, terms=terms, reward=whole, features=features, fingerprint=fingerprint)


def _features(program: Program, samples: Samples) -> Tensor:
    history = samples.history() if program.wants_history else None
    return program.features(samples.state.obs.clone(), history)


def _finite(name: str, value: Tensor) -> Tensor:
    if not bool(value.isfinite().all()):
        raise SignalError(f"{name} returned NaN or infinity: guard divisions, logs and roots", "dynamic")
    return value


def _term(value: Tensor, samples: Samples) -> TermValues:
    """Of a term [B, N], or [B] for the team's."""
    native = samples.state.reward if value.dim() > 1 else samples.state.reward.mean(-1)
    met = {kind: samples.origin == kind for kind in TOLD}
    means = {ORIGINS[kind]: float(value[rows].double().mean()) for kind, rows in met.items() if bool(rows.any())}
    return TermValues(**_told(value), native=_correlation(value, native), means=means)


def _told(value: Tensor) -> dict[str, float]:
    exact = value.double()
    return {
        "mean": float(exact.mean()),
        "spread": float(exact.std(correction=0)),
        "least": float(exact.min()),
        "most": float(exact.max()),
        "share": float((exact != 0).double().mean()),
    }


def _correlation(one: Tensor, other: Tensor) -> float | None:
    """Pearson's, over rows and agents; None where one of them does not vary."""
    a, b = (value.double().flatten() - value.double().mean() for value in (one, other))
    size = float(a.norm() * b.norm())
    return None if size < 1e-9 else max(-1.0, min(1.0, float(a @ b) / size))


def _sums(value: Tensor) -> tuple[float, ...]:
    """SUMS random sums over all values [B, ...], the same for each signal: a difference in one value changes them all.

    The weights are an outer product of one for the row and one for agent and column, which costs next to nothing.
    """
    flat = value.double().reshape(len(value), -1)
    draws = generator(0, "fingerprint")
    rows = torch.randn(SUMS, len(value), generator=draws, dtype=torch.float64)
    columns = torch.randn(flat.shape[1], generator=draws, dtype=torch.float64)
    return tuple(float(f"{number:.{DIGITS}g}") for number in (rows @ (flat @ columns)).tolist())
