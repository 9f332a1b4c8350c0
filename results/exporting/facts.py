"""What export.json says: all that the files of an export must know of the run, as plain numbers and names."""

from __future__ import annotations

import ast
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from marlsmith.graph.naming import is_confirmation
from marlsmith.marl.config import FADED
from marlsmith.marl.signals.forms import OBSERVATION_FORMS, defined_functions, worlds
from marlsmith.marl.signals.lasting import keeps_nothing
from marlsmith.results.exporting.choice import Choice
from marlsmith.results.past import PastRun
from marlsmith.schemas import Scope, Signal, TaskCard

FORMAT = 1
HISTORY = 4
"""As `marl.signals.program` gives it, which brings torch."""
LIBRARIES = ("torch", "numpy", "safetensors", "pettingzoo", "gymnasium", "mpe2", "lbforaging")


def export_facts(past: PastRun, choice: Choice, signal: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    settings = past.settings
    candidate = choice.candidate
    fade = settings.method.fade if settings.method.adapts else settings.train.fade
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"marlsmith": version("marlsmith"), "python": platform.python_version(), **_versions()},
        "run": {
            "name": past.name,
            "method": settings.method_name,
            "adapts": settings.method.adapts,
            "seed": settings.seed,
            "algorithm": settings.train.algorithm,
            "steps": settings.train.steps,
            "train": settings.train.model_dump(mode="json"),
            "evaluation_episodes": settings.evaluation.episodes,
            "jail_sound": (choice.standing or {}).get("jail", {}).get("sound"),
        },
        "candidate": {
            "id": candidate.id,
            "author": candidate.author,
            "promoted": choice.promoted,
            "parents": list(candidate.parents),
        },
        "task": dict(task),
        "signal": dict(signal),
        "reward": {
            "mode": settings.method.reward_mode,
            "gamma": settings.train.gamma,
            "fade": None if fade is None else [fade, fade + FADED * (1 - fade)],
        },
        "policy": None,
        "scores": _scores(choice),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _scores(choice: Choice) -> dict[str, Any]:
    standing, evaluation = choice.standing, choice.evaluation
    if standing is not None:
        return {key: standing[key] for key in ("phase", "native", "best", "gain", "reason")}
    if evaluation is None or evaluation.error is not None:
        return {}
    best = evaluation.model_dump(mode="json", include={"candidate", "score", "scores", "interval", "metrics"})
    phase = "confirm" if is_confirmation(evaluation.branch) else "search"
    return {"phase": phase, "native": None, "best": best, "gain": None, "reason": None}


def signal_facts(signal: Signal, tree: ast.Module, scope: Scope) -> dict[str, Any]:
    """How learning_signal.py is called; only functions that count are named."""
    functions, of_world = defined_functions(tree), worlds(tree)
    forms = {name: "world" if of_world[name] else "state" for name in of_world} if signal.reward is not None else {}
    enhance = next((name for name in OBSERVATION_FORMS if name in functions), None)
    enhance = enhance if signal.observation is not None else None
    wants_history = enhance is not None and len(functions[enhance].arguments) == 2
    return {
        "agent_reward": forms.get("agent_reward"),
        "global_reward": forms.get("global_reward"),
        "enhance": enhance,
        "history": HISTORY if wants_history else 0,
        "methods": [name for name, found in functions.items() if found.wants_self],
        "fresh": not keeps_nothing(tree),
        "scope": scope,
    }


def task_facts(card: TaskCard, reference: str) -> dict[str, Any]:
    """What the wrapper and the policy must know of the task."""
    continuous = card.actions.kind == "continuous"
    return {
        "name": card.name,
        "reference": reference,
        "agents": card.agents,
        "names": agent_names(card),
        "observation_size": card.observation_size,
        "continuous": continuous,
        "actions": card.actions.size,
        "actions_by_agent": [len(meanings) for meanings in card.actions.meanings],
        "horizon": card.horizon,
        "fields": [field.name for field in card.fields],
        "sparse": card.name.partition("?")[0].endswith("_sparse") and card.name.startswith("mpe/"),
        "reach": card.reach,
        "score": card.score,
    }


def agent_names(card: TaskCard) -> list[str]:
    """As mpe2 calls them; level-based foraging only numbers them."""
    if card.name.startswith("mpe/simple_speaker_listener"):
        return ["speaker_0", "listener_0"]
    return [f"agent_{i}" for i in range(card.agents)]
