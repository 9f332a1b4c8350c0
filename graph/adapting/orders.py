"""Trainings that are forked from the main run, or are its start."""

from __future__ import annotations

from marlsmith.graph.adapting import branches, main_run
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.context import Context
from marlsmith.graph.naming import confirm_branch, edit_of, heat_branch, lap_branch
from marlsmith.graph.orders import Order, TrainBranch
from marlsmith.graph.state import CONTROL_ID, NATIVE_ID, BranchTask
from marlsmith.marl.config import BranchRequest, Start
from marlsmith.schemas import NATIVE, Signal


def arguments(task: BranchTask, context: Context) -> TrainBranch:
    """Of the training tool, for a branch of an adapted main run."""
    settings, method = context.settings, context.settings.method
    plain, stage = task["phase"] == "plain", task["stage"]
    start = method.opening if plain else stage - 1
    confirms = task["phase"] == "confirm"
    last = stage + method.foresight - 1 if confirms else stage
    until = branches.end_of(method.all_stages if plain else min(last, method.all_stages), context)
    edit = edit_of(task["branch"])
    again = f"s{stage}r{task['round']}" + (f"-edit{edit}" if edit else "")
    place = confirm_branch(again) if confirms else f"s{stage}"
    return TrainBranch(
        branch=task["branch"],
        candidate=task["candidate"],
        task=settings.task,
        seeds=list(branches.members(context)[task["heat"] - 1]),
        steps=until - branches.end_of(start, context),
        algorithm=settings.train.algorithm,
        reward_mode=method.reward_mode,
        start=start,
        heat=task["heat"],
        until=until,
        fork=branches.fork(stage, task["round"], edit) if confirms else None,
        episodes="final" if plain else place,
    )


def beginning(heat: int, context: Context) -> TrainBranch:
    """The main run before its first step: networks that have learned nothing, of the native task."""
    settings, stage = context.settings, context.settings.method.opening
    return TrainBranch(
        branch=heat_branch(lap_branch(stage), heat),
        candidate=NATIVE_ID,
        task=settings.task,
        seeds=list(branches.members(context)[heat - 1]),
        steps=0,
        algorithm=settings.train.algorithm,
        reward_mode=settings.method.reward_mode,
        heat=heat,
        until=0,
        episodes="main",
    )


def order(call: TrainBranch, context: Context) -> Order:
    assert call.episodes is not None
    request = BranchRequest(
        branch=call.branch,
        candidate=call.candidate,
        task=call.task,
        seeds=tuple(call.seeds),
        reward_mode=call.reward_mode,
        train=branches.train_config(context),
        evaluation=branches.episodes(context, call.episodes),
        until=call.until,
    )
    if call.start is None:
        return Order(request, NATIVE)
    lap = main_run.read(context, call.start)
    start = Start(
        signal=lap.trained,
        steps=lap.steps,
        fork=call.fork,
        value_warm_up=context.settings.method.value_warm_up,
    )
    request = request.model_copy(update={"start": start})
    return Order(request, _signal(call.candidate, lap, context), main_run.checkpoint(context, lap, call.heat))


def _signal(candidate: str, lap: Lap, context: Context) -> Signal:
    if candidate == NATIVE_ID:
        return NATIVE
    if candidate == CONTROL_ID:
        return lap.signal
    return main_run.in_the_main_run(context.directory.candidate(candidate), lap, context)
