"""What is trained in a stage of the main run: which branches, in which heats, from where, with which chance."""

from __future__ import annotations

from hashlib import sha256

from marlsmith.graph.context import Context
from marlsmith.graph.naming import (
    PLAIN_BRANCH,
    confirm_branch,
    confirm_control,
    control_branch,
    heat_branch,
)
from marlsmith.graph.seeds import search_seeds
from marlsmith.graph.state import CONTROL_ID, NATIVE_ID, BranchTask, Phase, State
from marlsmith.marl.config import EvaluationConfig, TrainConfig

CHANCES = 1000
"""Rounds in a stage at most: so many forks has each of them."""


def members(context: Context) -> list[tuple[int, ...]]:
    """The main run's seeds by heat: the same in every stage."""
    settings = context.settings
    return settings.method.groups(search_seeds(settings.seed, 1, settings.method.search_seeds))


def heats(branch: str, context: Context) -> list[str]:
    return [heat_branch(branch, heat) for heat in range(1, len(members(context)) + 1)]


def train_config(context: Context) -> TrainConfig:
    """Of the whole main run: annealing and fading follow its clock."""
    settings = context.settings
    return settings.train.model_copy(update={"fade": settings.method.fade})


def end_of(stage: int, context: Context) -> int:
    """The main run's clock, in environment steps of each member, when a stage is over: whole rollouts."""
    method, train = context.settings.method, context.settings.train
    rollout = train.rollout * train.environments
    return -(-(stage - method.opening) * method.branch_steps // rollout) * rollout


def fork(stage: int, round: int) -> int:
    """Names the random numbers of a confirmation."""
    return CHANCES * stage + round


def episodes(context: Context, place: str) -> EvaluationConfig:
    """Evaluation episodes that only this place sees, told apart by name."""
    config = context.settings.evaluation
    seed = int.from_bytes(sha256(f"{config.seed}/{place}".encode()).digest()[:7])
    return config.model_copy(update={"seed": seed})


# ---------------------------------------------------------------- what is due


def proposes(stage: int, context: Context) -> bool:
    """Whether anybody is asked for candidates in a stage: an arm may have done with that."""
    method = context.settings.method
    return stage - method.opening <= method.proposing_stages


def first_heats(state: State, context: Context) -> list[BranchTask]:
    """The control whole, for the main run may become it, and the first heat of every candidate that was accepted.

    Where nothing will be judged there is no race, and the control is trained only if nothing else is.
    """
    method, stage = context.settings.method, state["stage"]
    due: list[BranchTask] = []
    if method.gate or not state["accepted"]:
        due += whole(control_branch(stage), CONTROL_ID, "search", state, context)
    for id in state["accepted"]:
        tasks = whole(id, id, "search", state, context)
        due += tasks[:1] if method.gate else tasks
    return [task for task in due if task["branch"] not in state["evaluated"]]


def next_heats(state: State) -> list[BranchTask]:
    return [_task(id, id, "search", state, state["heat"]) for id in state["racing"]]


def confirmation(candidate: str, state: State, context: Context) -> list[BranchTask]:
    control = confirm_control(state["stage"], state["round"], adapts=True)
    return [
        *whole(control, CONTROL_ID, "confirm", state, context),
        *whole(confirm_branch(candidate), candidate, "confirm", state, context),
    ]


def plain(state: State, context: Context) -> list[BranchTask]:
    return whole(PLAIN_BRANCH, NATIVE_ID, "plain", state, context)


def whole(branch: str, candidate: str, phase: Phase, state: State, context: Context) -> list[BranchTask]:
    return [_task(branch, candidate, phase, state, heat) for heat in range(1, len(members(context)) + 1)]


def _task(branch: str, candidate: str, phase: Phase, state: State, heat: int) -> BranchTask:
    return BranchTask(
        branch=heat_branch(branch, heat),
        candidate=candidate,
        stage=state["stage"],
        round=state["round"],
        phase=phase,
        heat=heat,
    )
