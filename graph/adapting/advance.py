"""The main run moves on: to the branch that was chosen, or back to where it was last known to be sound."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from marlsmith.graph.adapting import branches, main_run
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.context import Context
from marlsmith.graph.judging.monitor import hacked
from marlsmith.graph.naming import control_branch, lap_branch
from marlsmith.graph.state import NATIVE_ID, State
from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import NATIVE, Evaluation, Signal


def begin(context: Context, incumbent: str = NATIVE_ID) -> Lap:
    """The main run before its first step. Its signal is native, or what the search before it has found."""
    stage = context.settings.method.opening
    name = lap_branch(stage)
    heats = [context.directory.required_evaluation(heat) for heat in branches.heats(name, context)]
    lap = Lap(
        stage=stage,
        branch=name,
        candidate=incumbent,
        signal=NATIVE if incumbent == NATIVE_ID else context.directory.candidate(incumbent).signal,
        trained=NATIVE,
        steps=0,
        checkpoints=_kept(name, name, context),
        evaluation=merged(name, heats).model_copy(update={"candidate": incumbent}),
    )
    return context.directory.write_lap(name, lap)


def advance(state: State, context: Context) -> Lap:
    """The lap after this stage; made once, and read back after that."""
    stage, name = state["stage"], lap_branch(state["stage"])
    found = context.directory.lap(name, Lap)
    if found is None:
        found = context.directory.write_lap(name, _lap(state, context))
    of_the_stage = [branch for branch, outcome in state["evaluated"].items() if outcome["stage"] == stage]
    context.directory.forget_checkpoints(of_the_stage)
    return found


def _lap(state: State, context: Context) -> Lap:
    stage = state["stage"]
    before = main_run.read(context, stage - 1)
    promotion = state["promotion"]
    promoted = promotion["candidate"] if promotion is not None and promotion["stage"] == stage else None
    branch = promoted or control_branch(stage)
    signal = before.signal
    if promoted is not None:
        signal = main_run.in_the_main_run(context.directory.candidate(promoted), before, context)
    chosen = context.directory.required_evaluation(branch)
    lap = Lap(
        stage=stage,
        branch=branch,
        candidate=promoted or before.candidate,
        signal=signal,
        trained=signal,
        steps=branches.end_of(stage, context),
        checkpoints=_kept(branch, lap_branch(stage), context),
        evaluation=before.evaluation,  # until it has its own
    )
    played = evaluate(lap, "main", lap_branch(stage), context)
    lap = lap.model_copy(
        update={"evaluation": played.model_copy(update={"terms": chosen.terms, "curve": chosen.curve})}
    )
    return _watched(lap, context)


def evaluate(lap: Lap, episodes: str, name: str, context: Context) -> Evaluation:
    """The main run's policy after a lap, played on episodes by which nothing is selected."""
    settings = context.settings

    def play(heat: int) -> Evaluation:
        request = BranchRequest(
            branch=f"{name}-h{heat}",
            candidate=lap.candidate,
            task=settings.task,
            seeds=branches.members(context)[heat - 1],
            reward_mode=settings.method.reward_mode,
            train=branches.train_config(context),
            evaluation=branches.episodes(context, episodes),
        )
        with context.slots:
            return context.parts.executor.evaluate(request, lap.trained, main_run.checkpoint(context, lap, heat))

    heats = range(1, len(branches.members(context)) + 1)
    with ThreadPoolExecutor(max_workers=len(heats)) as pool:
        return merged(name, list(pool.map(play, heats)))


def _kept(branch: str, name: str, context: Context) -> tuple[str, ...]:
    return tuple(
        context.directory.keep_checkpoint(source, target)
        for source, target in zip(branches.heats(branch, context), branches.heats(name, context), strict=True)
    )


# ---------------------------------------------------------------- rollback


def _watched(lap: Lap, context: Context) -> Lap:
    """The lap, or the best one before it with this one's clock where this one has lost what that one knew.

    Without a signal there is nothing to hack: such a main run is left alone, as a plain training would be.
    """
    if lap.signal.is_native or lap.evaluation.error is not None:
        return lap
    earlier = [each for each in main_run.laps(context, lap.stage - 1) if each.evaluation.score is not None]
    good = max(earlier, key=lambda each: (each.evaluation.score or 0.0, each.stage))
    curve = lap.evaluation.curve
    shaped = (curve[0].shaped_return, curve[-1].shaped_return) if curve else (0.0, 0.0)
    method = context.settings.method
    alarm = hacked(good.evaluation.scores, lap.evaluation.scores, *shaped, level=method.level / method.stages)
    if alarm is None:
        return lap
    return lap.model_copy(
        update={
            "candidate": good.candidate,
            "signal": _after_an_alarm(good, lap),
            "trained": good.trained,
            "checkpoints": good.checkpoints,
            "evaluation": good.evaluation.model_copy(update={"branch": lap_branch(lap.stage)}),
            "alarm": alarm.reason,
            "rolled_back_to": good.stage,
        }
    )


def _after_an_alarm(good: Lap, lap: Lap) -> Signal:
    """The signal of the good lap; where that is the one that was hacked, only what the policy reads of it."""
    return good.signal if good.candidate != lap.candidate else good.signal.model_copy(update={"reward": None})
