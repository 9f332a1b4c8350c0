"""The networks that act, without what only training needs: one file for the seeds of all checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from marlsmith.results.exporting.choice import Choice
from marlsmith.schemas import Evaluation, UserError, canonical

PREFIXES = ("actor.", "agent.")
"""Of the tensors that choose actions, by algorithm: policy gradients, values."""
NOT_ACTING = frozenset({"deviation"})
"""Of a continuous policy: it widens what is explored, and the best action does without."""


def write_policy(choice: Choice, task: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Writes the tensors [seeds, networks, ...] and says what they are. Raises UserError where they do not fit."""
    parts: list[dict[str, Any]] = []
    seeds: list[int] = []
    train: dict[str, Any] = {}
    wanted = hashlib.sha256(canonical(choice.trained).encode()).hexdigest()  # as a checkpoint says it
    for path in choice.checkpoints:
        tensors, about = _read(path)
        if about.get("signal") != wanted:
            raise UserError(f"{path} was trained under another signal than {choice.candidate.id}: restore it")
        prefix = next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in tensors)), None)
        if prefix is None:
            raise UserError(f"{path} holds no policy: train the candidate again")
        named = {name.removeprefix(prefix): value.numpy() for name, value in tensors.items() if name.startswith(prefix)}
        parts.append({name: value for name, value in named.items() if name not in NOT_ACTING})
        seeds += [int(seed) for seed in about["seeds"]]
        train = about["train"]
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = _described(together, seeds, train, choice.evaluation, task)
    save_file(together, file, {"seeds": ",".join(map(str, seeds)), "task": str(task["name"])})
    return found


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from marlsmith.marl.checkpoint import unpack

    try:
        tensors, about = unpack(path.read_bytes())
        if not isinstance(about["seeds"], list) or not isinstance(about["train"], dict):
            raise KeyError("seeds")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path} ({(error.strerror or 'fault').lower()}): restore it") from None
    except KeyError:
        raise UserError(f"{path} says nothing of its training: restore it, or train the candidate again") from None
    return tensors, about


def _described(
    tensors: Mapping[str, Any],
    seeds: list[int],
    train: Mapping[str, Any],
    evaluation: Evaluation | None,
    task: Mapping[str, Any],
) -> dict[str, Any]:
    entry = tensors.get("enter.weight", tensors.get("0.weight"))
    if entry is None or entry.ndim != 4 or entry.shape[0] != len(seeds):
        raise UserError("the checkpoint's networks are none that marlsmith builds: train the candidate again")
    identified = entry.shape[1] == 1 and task["agents"] > 1
    scores = _scores_by_seed(seeds, evaluation)
    return {
        "algorithm": train["algorithm"],
        "network": train["network"],
        "sharing": train["sharing"],
        "identified": identified,
        "observation_size": int(entry.shape[2]) - (task["agents"] if identified else 0),
        "seeds": seeds,
        "scores": scores,
        "best_seed": max(seeds, key=lambda seed: scores.get(str(seed), 0.0)) if scores else seeds[0],
    }


def _scores_by_seed(seeds: Sequence[int], evaluation: Evaluation | None) -> dict[str, float]:
    if evaluation is None:
        return {}
    told = dict(zip(evaluation.seeds, evaluation.scores, strict=False))
    return {str(seed): told[seed] for seed in seeds if seed in told}
