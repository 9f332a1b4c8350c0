"""A look at an environment, in a process of its own: its sizes, its time limit, what random play meets.

Run as `python -m marlsmith.marl.external.probe` with the source as JSON on standard input. Answers with one
JSON object on standard output: what was found, or `{"unfit": sentence}`.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import sys
import time
import warnings
from enum import Enum
from typing import Any

import numpy as np

from marlsmith.marl.external.adapt import Adapter, Unfit, in_one_line, layers
from marlsmith.marl.external.source import Found, Source

LONGEST = 5.0
"""Seconds of random play."""
DESCRIPTION_LIMIT = 700


def probe(source: Source) -> Found:
    """Raises Unfit, or whatever the environment raises."""
    adapter = Adapter(source)
    if adapter.horizon is None:
        raise Unfit(
            "it does not say how long its episodes last; give it: --task-option horizon=STEPS, "
            "or horizon = STEPS in a task card"
        )
    rewarded, shapes, state = _random_episode(adapter)
    extras: list[tuple[str, tuple[int, ...]]] = [] if source.score.from_ == "reward" else [("score", ())]
    extras += [(f"info:{key}", shapes[key]) for key in source.infos]
    if state:
        extras.append(("global_state", (state,)))
    adapter.extras = tuple(extras)
    return Found(
        layout=adapter.layout().plain(),
        names=tuple(map(str, adapter.names)),
        actions=tuple(_meanings(adapter, actor.size, source) for actor in adapter.actors),
        observations=tuple(watcher.size for watcher in adapter.watchers),
        horizon=adapter.horizon,
        description=source.description or described(adapter.environment) or source.environment,
        rewarded=rewarded,
    )


def _random_episode(adapter: Adapter) -> tuple[float, dict[str, tuple[int, ...]], int]:
    """Share of rewarded steps, shapes of the wanted infos, size of the global state.

    Raises Unfit where a wanted info never came.
    """
    row = np.zeros((), np.dtype(adapter.layout().record))
    draws = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {}
    met: set[str] = set()
    rewarded, steps, end = 0, 0, time.monotonic() + LONGEST
    adapter.reset(0, row)
    state_size = adapter.state_size()  # while everybody is there
    while True:
        met |= _keys(adapter.infos)
        for key in adapter.source.infos:
            value = adapter.info_value(key)
            if value is not None:
                shapes.setdefault(key, value.shape)
        if not adapter.running or time.monotonic() > end:
            break
        if not adapter.actors[0].continuous:
            allowed = row["available"] > 0
            actions = np.array([draws.choice(np.flatnonzero(one)) for one in allowed])
            actions = np.minimum(actions, [actor.size - 1 for actor in adapter.actors])
        else:
            actions = draws.uniform(-1, 1, adapter.layout().action[1])
        adapter.step(actions, row)
        rewarded += bool(np.any(row["reward"]))
        steps += 1
    for key in adapter.source.infos:
        if key not in shapes:
            has = f"only {', '.join(sorted(met))}" if met else "none at all"
            raise Unfit(f"no info {key!r} came in an episode of random play; {has}")
    return rewarded / max(steps, 1), shapes, state_size


def _keys(infos: Any) -> set[str]:
    if not isinstance(infos, dict):
        return set()
    inner = [one for one in infos.values() if isinstance(one, dict)]
    return {str(key) for one in inner for key in one} if inner else {str(key) for key in infos}


def _meanings(adapter: Adapter, size: int, source: Source) -> tuple[str, ...]:
    if source.actions is not None:
        if len(source.actions) < size:
            raise Unfit(f"the card tells the meaning of {len(source.actions)} actions, and there are {size}")
        return source.actions[:size]
    for one in layers(adapter.environment):
        tell = getattr(one, "get_action_meanings", None)
        if callable(tell) and len(told := list(map(str, tell()))) == size:
            return tuple(told)
        named = getattr(inspect.getmodule(type(one)), "Action", None)  # as in RWARE and level-based foraging
        if isinstance(named, type) and issubclass(named, Enum) and [a.value for a in named] == list(range(size)):
            return tuple(action.name.lower() for action in named)
    return tuple(f"{'component' if adapter.actors[0].continuous else 'action'} {number}" for number in range(size))


def described(environment: Any) -> str:
    """The first paragraphs of prose that the environment's class, or else its module, says of itself."""
    own = list(layers(environment))[-1]
    for one in (getattr(environment, "unwrapped", own), own):
        for text in (type(one).__doc__, inspect.getdoc(inspect.getmodule(type(one)))):
            if prose := _prose(text or ""):
                return prose
    return ""


def _prose(text: str) -> str:
    """Without headings, tables, figures and lists."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    kept = [" ".join(one.split()) for one in paragraphs if re.match(r"\s*[A-Z]", one) and "|" not in one]
    plain = re.sub(r"<[^>]+>|`", "", " ".join(one for one in kept if len(one) > 20))
    if len(plain) <= DESCRIPTION_LIMIT:
        return plain
    return plain[:DESCRIPTION_LIMIT].rpartition(". ")[0] + "."


def main() -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # environments print
    warnings.simplefilter("ignore")
    source = Source.model_validate_json(sys.stdin.read())
    signal.setitimer(signal.ITIMER_REAL, source.probe_seconds)  # should it hang, and nobody be left who waits for it
    try:
        said = probe(source).model_dump(mode="json")
    except Unfit as error:
        said = {"unfit": str(error)}
    except Exception as error:
        said = {"unfit": f"it fails: {in_one_line(error)}"}
    answer.write(json.dumps(said))
    answer.flush()
    os._exit(0)  # without the farewells of what the environment has loaded


if __name__ == "__main__":
    main()
