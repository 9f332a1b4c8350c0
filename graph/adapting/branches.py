"""What is trained in a stage of the main run: which branches, in which heats, from where, with which chance."""

from __future__ import annotations

from hashlib import sha256

from marlsmith.graph.adapting import main_run
from marlsmith.graph.context import Context
from marlsmith.graph.methods import main_run_clock
from marlsmith.graph.naming import (
    PLAIN_BRANCH,
    confirm_branch,
    confirm_control,
    control_branch,
    edit_of,
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
    """The main run's clock, in environment steps of each member, when a stage is over."""
    return main_run_clock(context.settings, stage)


def length(stage: int, context: Context) -> int:
    """Environment steps of each member in a branch of this stage."""
    return end_of(stage, context) - end_of(stage - 1, context)


def fork(stage: int, round: int, edit: int = 0) -> int:
    """Names the random numbers of a confirmation; each edit of a person's has its own."""
    return CHANCES * (CHANCES * edit + stage) + round


def episodes(context: Context, place: str) -> EvaluationConfig:
    """Evaluation episodes that only this place sees, told apart by name."""
    config = context.settings.evaluation
    seed = int.from_bytes(sha256(f"{config.seed}/{place}".encode()).digest()[:7])
    return config.model_copy(update={"seed": seed})


# ---------------------------------------------------------------- what is due


def rests(stage: int, context: Context) -> str | None:
    """Why nobody is asked for candidates in a stage; None where they are."""
    method = context.settings.method
    if not context.method(stage).adapts:
        return None
    if stage - method.opening > method.proposing_stages:
        asked = method.proposing_stages
        return f"this method asks in the first {asked} of its stages only" if asked else "this method asks nobody"
    score = main_run.read(context, stage - 1).evaluation.score
    return nothing_left(score, context) if method.gate else None


def nothing_left(score: float | None, context: Context) -> str | None:
    """Said of a score that leaves too little to gain for a search to be worth its steps."""
    card, headroom = context.parts.card, context.settings.method.headroom
    best = next((metric.best for metric in card.metrics if metric.name == card.score), None)
    if score is None or best is None or score < best - headroom:
        return None
    return f"the {card.score} of {score:.3f} leaves no more than {headroom:g} to gain"


def first_heats(state: State, context: Context) -> list[BranchTask]:
    """The control whole, for the main run may become it, and the first heat of every candidate that was accepted.

    Where nothing will be judged there is no race, and the control is trained only if nothing else is, or if a person
    may refuse what is.
    """
    method, stage = context.settings.method, state["stage"]
    due: list[BranchTask] = []
    if method.gate or method.approve or not state["accepted"]:
        due += whole(control_branch(stage), CONTROL_ID, "search", state, context)
    for id in state["accepted"]:
        tasks = whole(id, id, "search", state, context)
        due += tasks[:1] if method.gate else tasks
    return [task for task in due if task["branch"] not in state["evaluated"]]


def next_heats(state: State) -> list[BranchTask]:
    if CONTROL_ID in state["racing"]:  # nothing could be trained where nothing is judged: once for each of its heats
        control = control_branch(state["stage"])
        return [_task(control, CONTROL_ID, "search", state, heat) for heat, _ in enumerate(state["racing"], start=1)]
    return [_task(id, id, "search", state, state["heat"]) for id in state["racing"]]


def confirmation(state: State, context: Context) -> list[BranchTask]:
    """Of all that are still in the race, beside a control of their own."""
    control = confirm_control(state["stage"], state["round"], adapts=True, edit=edit_of(state["racing"][0]))
    due = whole(control, CONTROL_ID, "confirm", state, context)
    for id in state["racing"]:
        due += whole(confirm_branch(id), id, "confirm", state, context)
    return due


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
