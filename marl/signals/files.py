"""Signals from files: a Python module, or a config as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from pydantic import ValidationError

from marlsmith.marl.signals.forms import defined_functions, require_functions
from marlsmith.marl.signals.source import parse, without_mark
from marlsmith.schemas import Code, ObservationConfig, RewardConfig, Signal, SignalError, printable

CONFIG_LIMIT = 100_000
"""Characters; a candidate as a run keeps it has code in it."""


def read_signal(name: str, text: str) -> Signal:
    """A signal from a file's text: `.json` is a config, anything else a Python module."""
    if not name.endswith(".json"):
        return _signal_of_module(text)
    if len(text) > CONFIG_LIMIT:
        raise SignalError(f"the config has {len(text)} characters and may have {CONFIG_LIMIT}: shorten it")
    try:
        data = json.loads(without_mark(text))
    except ValueError as error:
        raise SignalError(f"is not JSON ({error}): write an object with 'terms' and/or 'features'") from None
    except RecursionError:
        raise SignalError("nests too deeply: write an object with 'terms' and/or 'features'") from None
    if isinstance(data, dict) and isinstance(data.get("signal"), dict):
        data = data["signal"]  # a candidate as a run keeps it
    if isinstance(data, dict) and data and set(data) <= {"reward", "observation"}:
        return _validated(lambda: Signal.model_validate(data))
    if not isinstance(data, dict) or not set(data) <= {"alpha", "terms", "scope", "features"}:
        raise SignalError(
            "must be a JSON object with 'alpha' and 'terms' (reward), 'scope' and 'features' (observation)"
        )
    return parse_config(data)


def parse_config(data: dict[str, object]) -> Signal:
    """A signal from {"alpha", "terms", "scope", "features"}; an absent list leaves that part native."""
    reward = {key: data[key] for key in ("alpha", "terms") if key in data}
    observation = {key: data[key] for key in ("scope", "features") if key in data}
    signal = _validated(
        lambda: Signal(
            reward=RewardConfig.model_validate(reward) if "terms" in data else None,
            observation=ObservationConfig.model_validate(observation) if "features" in data else None,
        )
    )
    if signal.is_native:
        raise SignalError("has neither 'terms' nor 'features': give at least one of them")
    return signal


def _signal_of_module(text: str) -> Signal:
    tree = parse(text)
    require_functions(tree)
    functions = set(defined_functions(tree))
    code = Code(source=without_mark(text))
    return Signal(
        reward=code if functions & {"agent_reward", "global_reward"} else None,
        observation=code if functions & {"enhance_observation", "stateEnhance"} else None,
    )


def _validated(make: Callable[[], Signal]) -> Signal:
    """Pydantic's findings as one message; a list is not "too short" because its item was wrong."""
    try:
        return make()
    except ValidationError as error:
        found = [fault for fault in error.errors() if fault["type"] != "too_short"] or error.errors()
        raise SignalError(
            "; ".join(printable(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}", 300) for fault in found[:3])
        ) from None
