"""The main run moves on: to the branch that was chosen, or back to where it was last known to be sound."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from marlsmith.graph.adapting import branches, main_run
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.adapting.merging import merged
from marlsmith.graph.briefing.briefs import code_of
from marlsmith.graph.context import Context
from marlsmith.graph.judging.monitor import hacked
from marlsmith.graph.naming import control_branch, lap_branch
from marlsmith.graph.run_directory import explained
from marlsmith.graph.state import NATIVE_ID, State
from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import NATIVE, Evaluation, Failure, Signal, UserError


def begin(context: Context, incumbent: str = NATIVE_ID) -> Lap:
    """The main run before its first step. Its signal is native, or what the search before it has found."""
    name = lap_branch(context.settings.method.opening)
    found = context.directory.lap(name, Lap)
    if found is None:
        found = context.directory.write_lap(name, _first(name, incumbent, context))
    context.directory.forget_checkpoints(branches.heats(name, context))
    return found


def _first(name: str, incumbent: str, context: Context) -> Lap:
    heats = [context.directory.required_evaluation(heat) for heat in branches.heats(name, context)]
    start = merged(name, heats, context.parts.card.score)
    if start.error is not None:
        raise UserError(f"the main run could not begin ({start.error.stage}: {start.error.message}): start a new run")
    return Lap(
        stage=context.settings.method.opening,
        branch=name,
        candidate=incumbent,
        signal=NATIVE if incumbent == NATIVE_ID else context.directory.candidate(incumbent).signal,
        trained=NATIVE,
        steps=0,
        checkpoints=_kept(name, name, context),
        evaluation=start.model_copy(update={"candidate": incumbent}),
    )


def advance(state: State, context: Context) -> Lap:
    """The lap after this stage; made once, and read back after that."""
    stage, name = state["stage"], lap_branch(state["stage"])
    found = context.directory.lap(name, Lap)
    if found is None:
        found = context.directory.write_lap(name, _watched(_lap(state, context), context))
    _show(found, context)
    of_the_stage = [branch for branch, outcome in state["evaluated"].items() if outcome["stage"] == stage]
    context.directory.forget_checkpoints(of_the_stage)
    _prune(main_run.laps(context, stage), context)
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
        checkpoints=before.checkpoints,
        evaluation=before.evaluation,  # until it has its own
    )
    if chosen.error is not None:
        why = f"{branch} failed ({chosen.error.stage}): {chosen.error.message}"
        return _after_a_failure(lap, chosen.error, why, context)
    lap = lap.model_copy(update={"checkpoints": _kept(branch, lap_branch(stage), context)})
    played = evaluate(lap, "main", lap_branch(stage), context)
    return lap.model_copy(
        update={"evaluation": played.model_copy(update={"terms": chosen.terms, "curve": chosen.curve})}
    )


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
        return merged(name, list(pool.map(play, heats)), context.parts.card.score)


# ---------------------------------------------------------------- rollback


def _watched(lap: Lap, context: Context) -> Lap:
    """The lap, or the best one before it with this one's clock where this one has lost what that one knew.

    Without a signal there is nothing to hack: such a main run is left alone, as a plain training would be. So is one
    whose method validates nothing.
    """
    good = _best(_lineage(main_run.laps(context, lap.stage - 1)))
    nothing_to_hack = lap.signal.is_native or not context.settings.method.gate
    if nothing_to_hack or lap.alarm is not None or lap.evaluation.error is not None or good is None:
        return lap
    curve = lap.evaluation.curve
    shaped = (curve[0].shaped_return, curve[-1].shaped_return) if curve else (0.0, 0.0)
    method = context.settings.method
    alarm = hacked(good.evaluation.scores, lap.evaluation.scores, *shaped, level=method.level / method.stages)
    return lap if alarm is None else _back(lap, good, _after_an_alarm(good, lap), alarm.reason)


def _lineage(laps: Sequence[Lap]) -> list[Lap]:
    """Those that the latest one's networks have come through: what was given up for good is no measure for them."""
    by_stage = {lap.stage: lap for lap in laps}
    found, lap = [], laps[-1] if laps else None
    while lap is not None:
        found.append(lap)
        lap = by_stage.get(lap.stage - 1 if lap.rolled_back_to is None else lap.rolled_back_to)
    return found[::-1]


def _best(laps: Sequence[Lap]) -> Lap | None:
    """The latest of equals."""
    scored = [lap for lap in laps if lap.evaluation.score is not None]
    return max(scored, key=lambda lap: (lap.evaluation.score or 0.0, lap.stage), default=None)


def _after_a_failure(lap: Lap, failure: Failure, why: str, context: Context) -> Lap:
    """The control could not be trained, so the main run stands still for a stage.

    Chance is no fault of the signal, the first time. Otherwise first its reward goes and then, where the failure
    stays, the networks that it trained: back to the last ones of another signal, at worst those of the start.
    """
    *earlier, before = main_run.laps(context, lap.stage - 1)
    if failure.stage in BY_CHANCE and before.alarm is None:
        return _back(lap, before, before.signal, why)
    if before.signal.reward is not None:
        return _back(lap, before, before.signal.model_copy(update={"reward": None}), why)
    kept = [each for each in earlier if main_run.checkpoint(context, each, 1).is_file()]
    good = _under_another(before, kept)
    return _back(lap, before, before.signal, why) if good is None else _back(lap, good, good.signal, why)


BY_CHANCE = ("timeout", "environment")
"""How a branch may fail through the machine or the task."""


def _under_another(lap: Lap, earlier: Sequence[Lap]) -> Lap | None:
    """The last lap before whose networks were trained under another signal, or none."""
    return next((each for each in reversed(earlier) if each.trained != lap.trained), None)


def _back(lap: Lap, good: Lap, signal: Signal, why: str) -> Lap:
    """The good lap once more, with this one's clock."""
    if good.signal.reward is not None and signal.reward is None:
        why = f"{why}; the reward of {good.candidate} is given up"
    return lap.model_copy(
        update={
            "candidate": NATIVE_ID if signal.is_native else good.candidate,
            "signal": signal,
            "trained": good.trained,
            "checkpoints": good.checkpoints,
            "evaluation": good.evaluation.model_copy(update={"branch": lap_branch(lap.stage)}),
            "alarm": why,
            "rolled_back_to": good.stage if good.rolled_back_to is None else good.rolled_back_to,
        }
    )


def _after_an_alarm(good: Lap, lap: Lap) -> Signal:
    """The signal of the good lap; where that is the one that was hacked, only what the policy reads of it."""
    return good.signal if good.candidate != lap.candidate else Signal(observation=good.trained.observation)


# ---------------------------------------------------------------- what stands in main/

SIGNAL_FILES = ("signal.py", "candidate.json", "evaluation.json", "checkpoint.safetensors")


def _kept(branch: str, name: str, context: Context) -> tuple[str, ...]:
    return tuple(
        context.directory.keep_checkpoint(source, target)
        for source, target in zip(branches.heats(branch, context), branches.heats(name, context), strict=True)
    )


def _show(lap: Lap, context: Context) -> None:
    """What the main run carries, where a reader looks for it; the policy is that of the first heat's members."""
    directory = context.directory
    if lap.candidate == NATIVE_ID:
        for name in SIGNAL_FILES:
            _remove(f"main/{name}", context)
        return
    candidate = directory.candidate(lap.candidate).model_copy(update={"signal": lap.signal})
    evaluation = lap.evaluation.model_copy(update={"candidate": candidate.id, "checkpoint": lap.checkpoints[0]})
    directory.promote(candidate, code_of(lap.signal, context), evaluation)


def _prune(laps: Sequence[Lap], context: Context) -> None:
    """Only so many laps can be gone back to: the start, the best, the last under another signal, and the latest."""
    needed_laps = (laps[0], _best(_lineage(laps)), _under_another(laps[-1], laps[:-1]), laps[-1])
    needed = {file for lap in needed_laps if lap is not None for file in lap.checkpoints}
    for lap in laps:
        for name in branches.heats(lap_branch(lap.stage), context):
            if (file := f"main/{name}.safetensors") not in needed:
                _remove(file, context)
    for half in (context.directory.path / "main").glob(".*.tmp"):  # of a process that was killed while it copied
        _remove(f"main/{half.name}", context)


def _remove(file: str, context: Context) -> None:
    with explained(context.directory.path):
        (context.directory.path / file).unlink(missing_ok=True)
