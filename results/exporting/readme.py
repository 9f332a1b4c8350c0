"""The README of an export: what it is, how it stood, how to use it, how far to trust it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from marlsmith.results.exporting.choice import Choice
from marlsmith.schemas import TaskCard, printable

MPE = {
    "simple_spread": "simple_spread_v3",
    "simple_reference": "simple_reference_v3",
    "simple_speaker_listener": "simple_speaker_listener_v4",
}
"""The reference environments by the world of a task."""
MOST_FOODS = 4
"""With which lbforaging registers its environments."""


def readme(facts: Mapping[str, Any], card: TaskCard, choice: Choice) -> str:
    task, signal = facts["task"], facts["signal"]
    made = _environment(card, task)
    environment = Environment(  # plain text: what others wrote is made harmless by `md`
        autoescape=False, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"md": _md, "interval": _interval, "signed": _signed, "numbers": _numbers}
    template = files("marlsmith.results.exporting").joinpath("files", "README.md.j2").read_text("utf-8")
    error = choice.evaluation.error if choice.evaluation is not None else None
    text = environment.from_string(template).render(
        **{**facts, "scores": {"reason": None, "best": None, "native": None, "gain": None, **facts["scores"]}},
        rationale=choice.candidate.rationale,
        refused=f"its training failed ({error.told})" if error is not None else None,
        make=made.imports,
        call=made.call,
        gymnasium=made.gymnasium,
        packages=made.packages,
        external="kind" in task,
        other_seed=_other_seed(facts["policy"]),
        uneven=len(set(task["actions_by_agent"])) > 1 and not task["continuous"],
        shapes=bool(signal["agent_reward"] or signal["global_reward"]),
        worlds="world" in (signal["agent_reward"], signal["global_reward"]),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _other_seed(policy: Mapping[str, Any] | None) -> int | None:
    """An example of a seed that is not taken anyway."""
    return None if policy is None else next((seed for seed in policy["seeds"] if seed != policy["best_seed"]), None)


class _Made:
    """How the environment of the task is made, as lines of Python."""

    def __init__(self, imports: str, call: str, packages: Sequence[str], *, gymnasium: bool = False) -> None:
        self.imports = imports
        self.call = call
        self.packages = " ".join(("torch", "numpy", "safetensors", "pettingzoo", "gymnasium", *packages))
        self.gymnasium = gymnasium


def _environment(card: TaskCard, task: Mapping[str, Any]) -> _Made:
    name = card.name.partition("?")[0]
    room, _, world = name.partition("/")
    if room == "mpe":
        module = MPE[world.removesuffix("_sparse")]
        given = f"N={card.agents}, " if module.startswith("simple_spread") else ""
        call = f"{module}.parallel_env({given}max_cycles={card.horizon})"
        return _Made(f"from mpe2 import {module}", call, ["mpe2"])
    if room == "lbf":
        id, more = _foraging(world)
        imports = "import gymnasium\nimport lbforaging  # registers its environments\nimport numpy as np"
        call = f'gymnasium.make("{id}"{more}, disable_env_checker=True)'
        return _Made(imports, call, ["lbforaging"], gymnasium=True)
    return _declared(task)


def _foraging(world: str) -> tuple[str, str]:
    from marlsmith.marl.tasks.lbf import SETTINGS

    setting = SETTINGS[world]
    known = setting.id.replace(f"{setting.foods}f", f"{min(setting.foods, MOST_FOODS)}f")
    return known, f", max_num_food={setting.foods}" if known != setting.id else ""


def _declared(task: Mapping[str, Any]) -> _Made:
    options = {key: value for key, value in task["options"].items() if key != "horizon"}
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    if task["kind"] == "gymnasium":
        imports = "import gymnasium\nimport numpy as np"
        call = f"gymnasium.make({task['target']!r}, {given + ', ' if given else ''}disable_env_checker=True)"
        return _Made(imports, call, (), gymnasium=True)
    module, _, factory = task["target"].rpartition(":")
    return _Made(f"from {module} import {factory}", f"{factory}({given})", ())


# ---------------------------------------------------------------- words and numbers


def _md(text: str) -> str:
    """What somebody else wrote, as plain words of Markdown."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", printable(text, 500))


def _interval(ends: Sequence[float] | None) -> str:
    return "" if not ends else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def _signed(ends: Sequence[float]) -> str:
    return f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
