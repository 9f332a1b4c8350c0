"""An adapted main run told from its end: against the same training without a signal, and what it cost."""

from __future__ import annotations

from marlsmith.graph.adapting import branches, main_run
from marlsmith.graph.adapting.advance import evaluate
from marlsmith.graph.adapting.judge import whole
from marlsmith.graph.adapting.known_competence import known_competence
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.context import Context
from marlsmith.graph.judging.monitor import peak_and_final
from marlsmith.graph.judging.racing import RaceCost
from marlsmith.graph.naming import FINAL_BRANCH, PLAIN_BRANCH, heat_branch
from marlsmith.graph.state import Phase, State
from marlsmith.graph.telling.trace import LapStanding, MainRunStory
from marlsmith.marl.statistics import area_under
from marlsmith.schemas import Evaluation


def compared(state: State, context: Context) -> tuple[Phase, Evaluation | None, Evaluation | None]:
    """The plain training and the main run, on episodes that only this comparison sees.

    Where nothing was ever promoted they are one and the same training; there may be no plain one to compare with.
    """
    lap = main_run.read(context, state["stage"])
    final = context.directory.once_evaluated(FINAL_BRANCH, lambda: evaluate(lap, "final", FINAL_BRANCH, context))
    final = final.model_copy(update={"candidate": lap.candidate})
    if state["promotion"] is None:
        return "confirm", _scored(final), None
    if heat_branch(PLAIN_BRANCH, 1) not in state["evaluated"]:
        return "confirm", None, _scored(final)
    return "confirm", _scored(whole(PLAIN_BRANCH, context)), _scored(final)


def _scored(evaluation: Evaluation) -> Evaluation | None:
    return evaluation if evaluation.error is None else None


def story(state: State, context: Context, environment_steps: int) -> MainRunStory:
    """`environment_steps` is what the whole run took, this main run included."""
    laps = main_run.laps(context, state["stage"])
    points = [(lap.steps, lap.evaluation.score) for lap in laps if lap.evaluation.score is not None]
    ends = peak_and_final(points)
    knowing = known_competence(state["evaluated"], context)
    race = RaceCost(**state["race_cost"])
    main_steps = laps[-1].steps * sum(map(len, branches.members(context)))
    return MainRunStory(
        laps=tuple(map(_standing, laps)),
        peak=ends.peak,
        final=ends.final,
        area=area_under(points),
        competence=knowing.correlation,
        pairs=knowing.pairs,
        dropped=race.dropped,
        audited=race.audited,
        missed=race.missed,
        steps_saved=race.steps_saved,
        main_steps=main_steps,
        search_steps=environment_steps - main_steps,
    )


def _standing(lap: Lap) -> LapStanding:
    return LapStanding(
        stage=lap.stage,
        steps=lap.steps,
        candidate=lap.candidate,
        score=lap.evaluation.score,
        interval=lap.evaluation.interval,
        rolled_back_to=lap.rolled_back_to,
    )
