"""What a person sees of a run, in words: who decides what and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from marlsmith.agents.settings import NOBODY
from marlsmith.graph.approving.sheet import approval_sheet, question
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.naming import control_branch, heat_branch, is_confirmation, without_heat
from marlsmith.graph.state import CONTROL_ID, NATIVE_ID
from marlsmith.graph.telling import main_run_story
from marlsmith.graph.telling.main_run_result import Beside
from marlsmith.graph.telling.result_panel import result
from marlsmith.graph.telling.run_panel import run_panel
from marlsmith.graph.telling.speech import bar, count, detail, interval, numbers, price, says
from marlsmith.graph.telling.trace import Event, seen
from marlsmith.schemas import Evaluation, Verdict, paired_scores


class Story:
    """Turns events into lines for people. Remembers only what later lines refer to."""

    def __init__(self, again: bool = False, answered: Collection[tuple[str, int]] = ()) -> None:
        """`again`: whoever reads it has asked for it, and need not be told how to. `answered`: questions to a person
        that need not be told whole any more.
        """
        self.again, self.answered = again, answered
        self.settings: RunSettings | None = None
        self.run = ""
        self.calls: dict[str, Event] = {}
        self.evaluations: dict[str, Evaluation] = {}
        self.lap: Event | None = None
        self.resting = False
        self.proposals: dict[str, Event] = {}
        self.told: set[str] = set()
        self.tried: dict[str, str] = {}

    def recall(self, past: Iterable[Event]) -> None:
        """Takes in what was told before, without telling it again; the round under way will be named anew."""
        for event in past:
            for _ in self.lines(event):
                pass
        self.told.clear()

    def lines(self, event: Event) -> Iterable[RenderableType]:
        event = seen(event)
        teller = getattr(self, f"_on_{event['event']}", None)
        return teller(event) if teller is not None else ()

    def _on_run_started(self, event: Event) -> Iterable[RenderableType]:
        self.settings, self.run = RunSettings.model_validate(event["settings"]), event["run"]
        yield run_panel(event)

    def _on_stage_started(self, event: Event) -> Iterable[RenderableType]:
        if self.settings is None:
            return
        if self._adapts(event["stage"]):
            named = main_run_story.heading(event, self.settings.train.whole_steps, self.lap)
        elif event["stages"] == 1:
            return
        else:
            named = f"stage {event['stage']} of {event['stages']}, a search from scratch"
        yield Text()
        yield Rule(Text(named, "bold"), style="bold")
        self.resting = bool(event.get("rests"))
        if self.resting:
            yield says("judge", f"nobody is asked for proposals: {event['rests']}")

    def _round(self, event: Event) -> Iterable[RenderableType]:
        name = f"stage {event['stage']} round {event['round']}"
        if name not in self.told and self.settings is not None:
            self.told.add(name)
            rounds = self.settings.method.at(event["stage"]).rounds
            if rounds == 1 and self._adapts(event["stage"]):
                return
            yield Text()
            yield Rule(Text(f"round {event['round']} of {rounds}", "bold"), style="dim", align="left")

    def _on_diagnosis(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        diagnosis = event["diagnosis"]
        yield says("critic", diagnosis["summary"])
        for finding in diagnosis["findings"]:
            cited = ", ".join(f"{c['key']} = {c['value']:.3g}" for c in finding["evidence"])
            yield detail(f"{finding['failure'].replace('_', ' ')} ({cited}): {finding['advice']}")
        for claim in diagnosis.get("dropped", ()):
            yield says("critic", f"dropped, for it does not hold: {claim}", style="yellow")

    def _on_allotted(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        given = [(name, share) for name, share in event["shares"].items() if share["slots"]]
        left_out = [name for name, share in event["shares"].items() if not share["slots"]]
        said = [f"{name} {numbers(share['slots'])} ({_standing_of(share)})" for name, share in given]
        waiting = f"; {', '.join(left_out)} waits" if left_out else ""
        yield says("generator", f"slots by gain per cost: {'; '.join(said)}{waiting}")

    def _on_proposal(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        self.proposals[event["candidate"]] = event
        parents = f" from {', '.join(event['parents'])}" if event["parents"] else ""
        author = f"{event['author']}, " if self._several() else ""
        who = "person" if event["kind"] == "edit" else "generator"
        yield says(who, f"{author}{event['kind']}{parents}: {event['rationale']}", event["candidate"])
        yield detail(event["summary"])
        if tokens := event.get("own_tokens"):  # of a model: nobody else is paid for
            yield detail(price(tokens, event["own_money"]))

    def _on_check(self, event: Event) -> Iterable[RenderableType]:
        proposal = self.proposals.get(event["candidate"], {})
        mended = f"the repair of {', '.join(proposal['parents'])} is " if proposal.get("kind") == "repair" else ""
        if event["accepted"]:
            why = f": {'; '.join(event['reasons'])}" if event.get("reasons") else ""
            reviewed = self.settings is None or self.settings.roles.validator != NOBODY
            yield says("validator" if reviewed else "check", f"{mended}accepted for training{why}", event["candidate"])
            return
        if proposal.get("kind") == "edit":
            self.tried[event["candidate"]] = f"refused before its training: {'; '.join(event['problems'])}"
        stage = event.get("stage")
        checks = f"the {stage} check" if stage in {"static", "dynamic"} else f"the checks{f' ({stage})' * bool(stage)}"
        by = {"rules": "the method's rules", "executor": checks, "validator": "the validator"}[event["by"]]
        repairs = self.settings.method.repairs if self.settings is not None else 0
        dropped = " and dropped" if proposal.get("attempt", 0) >= repairs else ""
        said = f"{mended}refused by {by}{dropped}: {'; '.join(event['problems'])}"
        yield says("validator" if event["by"] == "validator" else "check", said, event["candidate"], "red")

    def _on_repair(self, event: Event) -> Iterable[RenderableType]:
        count = f" (repair {event['attempt']} of {event['repairs']})" if event["repairs"] > 1 else ""
        yield says("generator", f"is asked to mend {', '.join(event['candidates'])}{count}")

    def _on_role_tool(self, event: Event) -> Iterable[RenderableType]:
        yield says("tool", f"{event['author']} tries {event['tool']} for {event['place']}: {event['result']}")

    def _on_tool_call(self, event: Event) -> Iterable[RenderableType]:
        arguments = self.calls[event["branch"]] = {**event["arguments"], "tool": event["tool"]}
        if arguments.get("until") is not None:
            return  # it is told with its result: a main run's branches have many heats
        seeds = len(arguments.get("seeds", ()))
        yield says("tool", f"{event['tool']}({event['branch']}, {seeds} seeds, {arguments.get('steps', 0):,} steps)")

    def _on_tool_result(self, event: Event) -> Iterable[RenderableType]:
        evaluation = Evaluation.model_validate(event["evaluation"])
        self.evaluations[event["branch"]] = evaluation
        if self.calls.get(event["branch"], {}).get("until") is not None:
            yield from self._heat(event["branch"], evaluation)
        elif evaluation.error is not None:
            error = evaluation.error
            yield says("tool", f"{event['branch']} failed ({error.stage}): {error.told}", style="red")
        else:
            spread = interval(evaluation.interval)
            said = f"{event['branch']} scores {evaluation.score:.3f} {spread} after {evaluation.seconds:.1f} s"
            yield says("tool", said)
        for warning in evaluation.warnings:
            yield says("warning", f"{event['branch']}: {warning}", style="yellow")

    def _heat(self, name: str, evaluation: Evaluation) -> Iterable[RenderableType]:
        """A line for each branch once its heats are done; a candidate in a race has one for each heat."""
        assert self.settings is not None
        call, method = self.calls[name], self.settings.method
        if call["until"] == 0 and evaluation.error is None:
            return  # the main run's start, of which `advanced` tells
        branch = without_heat(name)
        names = [heat_branch(branch, heat) for heat in range(1, len(method.groups(range(method.search_seeds))) + 1)]
        races = method.gate and call["fork"] is None and call["candidate"] not in (CONTROL_ID, NATIVE_ID)
        group = [name] if races else names
        if all(each in self.evaluations and each in self.calls for each in group):
            yield main_run_story.heats(
                branch, [self.calls[each] for each in group], [self.evaluations[each] for each in group]
            )

    def _on_judged(self, event: Event) -> Iterable[RenderableType]:
        if edit := event.get("edit"):
            row: Event = next((row for row in event.get("compared", ()) if row["candidate"] == edit), {})
            scored = f"score {row['score']:.3f}; " if row.get("score") is not None else ""
            self.tried[edit] = f"{scored}{event['verdict']['reason']}"
        if self.settings is not None and self._adapts(event["stage"]):
            waiting = self._waiting(event.get("edit"))
            yield from () if self.resting else main_run_story.judged(event, self.settings.method, waiting)
            return
        verdict = Verdict.model_validate(event["verdict"])
        if event["phase"] == "search":
            yield Padding(self._table(event), (0, 0, 0, 2))
        waiting = self._waiting(event.get("edit"))
        kept = "keeps what there is" if waiting is None else f"asks about {waiting} again"
        words = {"refine": "goes on", "confirm": "confirms", "accept": "accepts", "keep": kept}
        yield says("judge", f"{words.get(verdict.decision, verdict.decision)}: {verdict.reason}")

    def _table(self, event: Event) -> Table:
        """All candidates of the stage so far, best first, the control for comparison."""
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for name in ("candidate", "score", "95% interval", "", "gain"):
            table.add_column(name, justify="right" if name in {"score", "gain"} else "left")
        control = self.evaluations.get(control_branch(event["stage"]))
        rows = [e for branch, e in self.evaluations.items() if not is_confirmation(branch)]
        for evaluation in sorted(rows, key=lambda e: (e.score is None, -(e.score or 0.0), e.candidate)):
            kept = evaluation.candidate in event["population"]
            label = Text(evaluation.candidate + (" *" if kept else ""), style="bold" if kept else "")
            if evaluation.score is None:
                stage = evaluation.error.stage if evaluation.error is not None else ""
                table.add_row(label, Text("failed", "red"), Text(stage, "red"), "", "")
                continue
            gain = None if control is None else mean_gain(control, evaluation)
            shown = Text(bar(evaluation.score, 20), "green" if kept else "dim")
            gained = "" if gain is None else f"{gain:+.3f}"
            table.add_row(label, f"{evaluation.score:.3f}", Text(interval(evaluation.interval)), shown, gained)
        if event["population"]:
            table.caption = Text("* kept as a parent", "dim")
            table.caption_justify = "left"
        return table

    def _on_promotion_review(self, event: Event) -> Iterable[RenderableType]:
        words = "approves the promotion" if event["approve"] else "vetoes the promotion"
        why = f": {'; '.join(event['reasons'])}" if event["reasons"] else ""
        yield says("validator", f"{words}{why}", event["candidate"], "" if event["approve"] else "red")

    def _on_approval(self, event: Event) -> Iterable[RenderableType]:
        if event["status"] == "asked":
            if (event["candidate"], event["asking"]) in self.answered:
                yield says("person", f"is asked: {question(event)}")
                return
            edits = {id: said for id, said in self.tried.items() if self._waiting(id) == event["candidate"]}
            yield Text()
            yield approval_sheet(event, self.run, edits)
            return
        if event["status"] == "refused" and event["candidate"] in self.tried:
            self.tried[event["candidate"]] += "; a person said no to it"
        said = {"approved": "says yes to", "refused": "says no to", "edited": f"tries {event['edit']} in the place of"}
        why = f": {event['reason']}" if event.get("reason") else ""
        yield says("person", f"{said[event['status']]} {event['candidate']}{why}", style="bold yellow")

    def _waiting(self, edit: str | None) -> str | None:
        """In whose place a person's signal is tried."""
        parents = self.proposals.get(edit, {}).get("parents") if edit is not None else None
        return str(parents[0]) if parents else None

    def _on_promoted(self, event: Event) -> Iterable[RenderableType]:
        gain = "" if event["gain"] is None else f", gain {event['gain']:+.3f}"
        yield says("judge", f"promoted {event['candidate']} into the main run{gain}", style="bold")

    def _on_advanced(self, event: Event) -> Iterable[RenderableType]:
        yield from main_run_story.lap(event, begins=self.lap is None)
        self.lap = event

    def _adapts(self, stage: int) -> bool:
        return self.settings is not None and self.settings.method.at(stage).adapts

    def _on_warning(self, event: Event) -> Iterable[RenderableType]:
        yield from self._round(event)
        yield says("warning", event["message"], style="yellow")

    def _on_paused(self, event: Event) -> Iterable[RenderableType]:
        yield says("paused", event["reason"], style="yellow")

    def _several(self) -> bool:
        return self.settings is not None and len(self.settings.roles.generators) > 1

    def _beside(self) -> Beside:
        adapted = {name for name, call in self.calls.items() if call.get("until") is not None}
        before = [found for name, found in self.evaluations.items() if name not in adapted]
        scores = [found.score for name, found in self.evaluations.items() if name in adapted]
        steps = sum(found.environment_steps for found in before)
        return Beside(steps, max((score for score in scores if score is not None), default=0.0))

    def _on_finished(self, event: Event) -> Iterable[RenderableType]:
        yield Text()
        told = result(event, self.settings, self._beside(), self.again)
        yield Panel(Group(*told), title="result", title_align="left", border_style="green")


def mean_gain(control: Evaluation, found: Evaluation) -> float | None:
    """Mean difference over the seeds that both were trained with; None where there are none."""
    pairs = paired_scores(control, found)
    return fmean(score - other for score, other in pairs) if pairs else None


def answered(events: Iterable[Event]) -> set[tuple[str, int]]:
    """Questions to a person that have their answer."""
    said = (event for event in events if event["event"] == "approval" and event["status"] != "asked")
    return {(event["candidate"], event["asking"]) for event in said}


def ending(events: Sequence[Event], run: Path) -> str | None:
    """What to type where the story so far is not the whole."""
    last = events[-1] if events else None
    if last is not None and last["event"] == "finished":
        return None
    if last is not None and last["event"] == "approval" and last["status"] == "asked":
        return f"next    marlsmith approve {run} --yes, or --no, or --edit FILE"
    if last is not None and last["event"] == "paused":
        return f"next    marlsmith resume {run}"
    return f"The run has not ended. Where no process is at work on it: marlsmith resume {run}"


def _standing_of(share: Event) -> str:
    """Why a generator got its slots: its index, and what it rests on."""
    if share["index"] is None:
        return "not tried yet"
    return f"index {share['index']:.2f}, gain {share['rate']:.3g} a training in {count(share['plays'], 'slot')}"
