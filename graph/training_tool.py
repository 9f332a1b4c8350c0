"""Every training of a run is a call of this LangChain tool: typed arguments in, an evaluation out."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any, Literal

from langchain_core.tools import StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from marlsmith.graph.context import Context
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.trace import ToolCall, ToolProgress, ToolResult
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.executor import Progress
from marlsmith.schemas import NATIVE, Evaluation, Record, Signal, plain

TOOL = "train_branch"
PROGRESS_INTERVAL = 0.25


class TrainBranch(BaseModel):
    """Train one candidate from scratch under the given seeds and measure the task's own score."""

    model_config = ConfigDict(extra="forbid")

    branch: str = Field(description="trained once: a second call returns what the first one found")
    candidate: str = Field(description="id of a candidate of this run, or 'native' for the task as it is")
    task: str
    seeds: list[int] = Field(min_length=1)
    steps: int = Field(ge=1, description="environment steps of each seed")
    algorithm: str
    reward_mode: Literal["replace", "add"]


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
    place, request = context.directory.branch(call.branch), _request(context, call)
    evaluation = _in_vain(context, request) or context.parts.executor.train(
        request, _signal(context, call.candidate), place, _throttled(call.candidate, tell)
    )
    return context.directory.write_evaluation(call.branch, evaluation)


def _in_vain(context: Context, request: BranchRequest) -> Evaluation | None:
    """Where the run that this one repeats found no end in time, that stands: the machine may have been busy then."""
    source = context.directory.repeated
    before = source.evaluation(request.branch) if source else None
    if before is None or before.error is None or before.error.stage != "timeout":
        return None
    failed = {"candidate": request.candidate, "branch": request.branch, "seeds": request.seeds}
    return Evaluation(**failed, steps=request.train.steps, error=before.error)


def _request(context: Context, call: TrainBranch) -> BranchRequest:
    settings = context.settings
    return BranchRequest(
        branch=call.branch,
        candidate=call.candidate,
        task=call.task,
        seeds=tuple(call.seeds),
        reward_mode=call.reward_mode,
        train=settings.train.model_copy(update={"steps": call.steps, "algorithm": call.algorithm}),
        evaluation=settings.evaluation,
    )


def _signal(context: Context, candidate: str) -> Signal:
    return NATIVE if candidate == NATIVE_ID else context.directory.candidate(candidate).signal


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
