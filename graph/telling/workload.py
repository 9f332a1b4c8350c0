"""How many environment steps a run may take at most, from any point of it to its end, all seeds together.

Every slot is taken to be filled, every candidate to be trained to its end, every round to be played and confirmed:
the real run can only be shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

from marlsmith.graph.methods import Method, RunSettings, main_run_clock
from marlsmith.graph.telling.trace import Event


class Workload:
    """Of one run. Stages count from 1, those of a search before the main run included."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings, self.method = settings, settings.method

    @property
    def whole(self) -> int:
        """Of the whole run."""
        return self.after_stage(0)

    @property
    def main(self) -> int:
        """Of an adapted main run itself."""
        return self._clock(self.method.all_stages) * self.method.search_seeds if self.method.adapts else 0

    @property
    def plain(self) -> int:
        """Of the same training without a signal, with which an adapted main run is compared."""
        return self.main if self.method.plain and self.method.proposing_stages else 0

    def branch(self, stage: int) -> int:
        """Of one branch with all its members."""
        method = self.method.at(stage)
        if method.adapts:
            return (self._clock(stage) - self._clock(stage - 1)) * method.search_seeds
        return self._from_scratch(method) * method.search_seeds

    def first_heat(self, stage: int) -> int:
        """Of one branch, before a race drops anybody."""
        method = self.method.at(stage)
        members = range(method.search_seeds)
        return self.branch(stage) * len(method.groups(members)[0]) // len(members)

    def round(self, stage: int) -> int:
        """Of the candidates of one round."""
        method = self.method.at(stage)
        return method.candidates * self.branch(stage) if self._proposes(stage) else 0

    def confirmation(self, stage: int, finalists: int | None = None) -> int:
        """Of so many finalists and their control; None: of as many as there may be."""
        method = self.method.at(stage)
        if not method.adapts:
            return 2 * method.confirm_seeds * self._from_scratch(method)
        if not method.gate or not self._proposes(stage):
            return 0
        until = min(stage + method.foresight - 1, method.all_stages)
        steps = self._clock(until) - self._clock(stage - 1)
        branches = 1 + (min(method.finalists, method.candidates) if finalists is None else finalists)
        return branches * steps * method.search_seeds

    def stage(self, stage: int) -> int:
        method = self.method.at(stage)
        if not method.adapts:
            return self.branch(stage) + method.rounds * self.round(stage) + self.confirmation(stage)
        candidates = method.rounds * (self.round(stage) + self.confirmation(stage))
        return candidates + (self.branch(stage) if method.gate or not candidates else 0)

    def after_stage(self, stage: int) -> int:
        """Of the stages to come, and of the plain training behind them."""
        return self.plain + sum(self.stage(each) for each in range(stage + 1, self.method.all_stages + 1))

    def after_verdict(self, judged: Event) -> int:
        """What is still to come after a `judged` event."""
        stage, method, decision = judged["stage"], self.method.at(judged["stage"]), judged["verdict"]["decision"]
        rounds = method.rounds - judged["round"]
        each = self.round(stage) + (self.confirmation(stage) if method.adapts else 0)
        later = self.after_stage(stage)
        if decision in ("accept", "keep"):
            return later
        if method.adapts:
            later += rounds * each
            if decision == "race":
                on = sum(row["came"] == "racing" or row["audited"] for row in judged["compared"])
                left = self.branch(stage) - judged["heat"] * self.first_heat(stage)
                return later + on * max(0, left) + self.confirmation(stage)
            passed = sum(row["came"] == "passed" for row in judged["compared"])
            return later + (self.confirmation(stage, passed) if decision == "confirm" else 0)
        return later + (rounds * each if decision == "refine" else 0) + self.confirmation(stage)

    def _proposes(self, stage: int) -> bool:
        return not self.method.at(stage).adapts or stage - self.method.opening <= self.method.proposing_stages

    def _clock(self, stage: int) -> int:
        """Environment steps of each member after a stage of the main run."""
        return main_run_clock(self.settings, stage)

    def _from_scratch(self, method: Method) -> int:
        """Environment steps of each seed of a candidate."""
        train = self.settings.train
        return train.whole(method.branch_steps if self.method.adapts else train.steps)


class Steps:
    """Of a run under way: environment steps that are done, and how many it may be in all, from its events."""

    def __init__(self) -> None:
        self.workload: Workload | None = None
        self.total = 0
        self.ended: dict[str, int] = {}
        self.under_way: dict[str, Training] = {}
        self.promoted = False

    @property
    def done(self) -> float:
        return min(self.total, self._spent + sum(each.done for each in self.under_way.values()))

    def take(self, event: Event) -> None:
        match event["event"]:
            case "run_started":
                self._begin(event)
            case "tool_call":
                arguments = event["arguments"]
                self.under_way[event["branch"]] = Training(arguments["steps"] * len(arguments["seeds"]))
            case "progress" if (training := self.under_way.get(event["branch"])) is not None and event["total"]:
                training.share = event["steps"] / event["total"]
            case "tool_result" if (training := self.under_way.pop(event["branch"], None)) is not None:
                self.ended[event["branch"]] = training.steps
            case "stage_started" if self.workload is not None and event.get("rests"):
                stage = event["stage"]
                self.total = self._spent + self.workload.branch(stage) + self.workload.after_stage(stage)
            case "promoted":
                self.promoted = True
            case "advanced" if not self.promoted and self._is_last(event["stage"]):
                self.total = self._spent  # it is the plain training itself, and there is nothing to compare
            case "judged" if self.workload is not None:
                self.total = self._spent + self.workload.after_verdict(event)

    def interrupted(self) -> None:
        """What was under way when a process ended is to be trained anew."""
        self.under_way.clear()

    def _is_last(self, stage: int) -> bool:
        return self.workload is not None and stage == self.workload.method.all_stages

    @property
    def _spent(self) -> int:
        return sum(self.ended.values())

    def _begin(self, event: Event) -> None:
        if self.workload is None:
            self.workload = Workload(RunSettings.model_validate(event["settings"]))
            self.total = self.workload.whole


@dataclass
class Training:
    """One that has begun: `steps` of all its seeds, and which share of them is done."""

    steps: int
    share: float = 0.0

    @property
    def done(self) -> float:
        return self.share * self.steps
