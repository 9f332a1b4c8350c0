"""Every training of a run is a call of this LangChain tool: typed arguments in, an evaluation out."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any

from langchain_core.tools import StructuredTool

from marlsmith.graph import evolving
from marlsmith.graph.adapting.orders import order as adapting_order
from marlsmith.graph.context import Context
from marlsmith.graph.orders import TrainBranch
from marlsmith.graph.telling.trace import ToolCall, ToolProgress, ToolResult
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.executor import Progress
from marlsmith.schemas import Evaluation, Record, plain

TOOL = "train_branch"
PROGRESS_INTERVAL = 0.25


def make_train_branch(context: Context, tell: Callable[[Record], None]) -> StructuredTool:
    """The tool for this run; `tell` takes its trace events, from whatever thread the executor reports in."""

    def train_branch(**arguments: Any) -> dict[str, Any]:
        call = TrainBranch.model_validate(arguments)
        branch, candidate = call.branch, call.candidate
        with context.slots:
            tell(ToolCall(tool=TOOL, branch=branch, candidate=candidate, arguments=call.model_dump()))
            evaluation = context.directory.evaluation(branch) or _trained(context, call, tell)
            tell(ToolResult(tool=TOOL, branch=branch, candidate=candidate, evaluation=evaluation))
        return plain(evaluation)

    return StructuredTool.from_function(
        train_branch, name=TOOL, description=TrainBranch.__doc__, args_schema=TrainBranch
    )


def _trained(context: Context, call: TrainBranch, tell: Callable[[Record], None]) -> Evaluation:
    place = context.directory.branch(call.branch)
    order = evolving.order(call, context) if call.until is None else adapting_order(call, context)
    evaluation = _in_vain(context, order.request) or context.parts.executor.train(
        order.request, order.signal, place, _throttled(call.candidate, tell), order.checkpoint
    )
    return context.directory.write_evaluation(call.branch, evaluation)


def _in_vain(context: Context, request: BranchRequest) -> Evaluation | None:
    """Where the run that this one repeats found no end in time, that stands: the machine may have been busy then."""
    source = context.directory.repeated
    before = source.evaluation(request.branch) if source else None
    if before is None or before.error is None or before.error.stage != "timeout":
        return None
    failed = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds}
    return Evaluation(**failed, steps=request.steps, error=before.error)


def _throttled(candidate: str, tell: Callable[[Record], None]) -> Callable[[Progress], None]:
    """At most four reports a second, and always the last one.

    LangGraph's writer finds its stream through context variables, which a thread of the executor lacks.
    """
    surroundings = contextvars.copy_context()
    last = -PROGRESS_INTERVAL

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_INTERVAL and progress.steps < progress.total:
            return
        last = now
        event = ToolProgress(candidate=candidate, **progress.model_dump())
        surroundings.copy().run(tell, event)

    return report
