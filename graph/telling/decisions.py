"""Who decided what in a run, and why: a line or two for each decision, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from marlsmith.agents.settings import NOBODY
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.telling.speech import ROLE_STYLES, interval, listed, numbers
from marlsmith.graph.telling.trace import Event, seen
from marlsmith.schemas import Verdict, printable

WORDS = 240
"""Characters of a reason; `show` has more of it, and `show --json` all."""
NO = ("refuses", "vetoes", "says no", "rolls back")
VERDICTS = {
    ("race", True): "lets the race go on with",
    ("race", False): "lets the race go on",
    ("refine", True): "does not accept",
    ("refine", False): "goes on",
    ("confirm", True): "sends to be confirmed",
    ("confirm", False): "confirms",
    ("accept", True): "accepts",
    ("accept", False): "accepts",
    ("keep", True): "does not accept",
    ("keep", False): "keeps what there is",
}
"""By what the judge decides, and whether that names a candidate."""


@dataclass(frozen=True)
class Decision:
    """`round` is 0 where a decision is about a whole stage. `about`: a candidate, or none."""

    stage: int
    round: int
    role: str
    author: str
    deed: str
    about: str
    reason: str
    seconds: float
    """Of the run, when it fell."""

    @property
    def place(self) -> str:
        return f"s{self.stage}r{self.round}" if self.round else f"s{self.stage}"


class Decisions:
    """Turns events into decisions. Remembers only where they fall, and what was told."""

    def __init__(self) -> None:
        self._reviewer = "validator"
        self._stage = self._round = 0
        self._dropped: set[str] = set()

    def lines(self, event: Event) -> Iterable[RenderableType]:
        return map(line, self.of(event))

    def of(self, event: Event) -> Iterator[Decision]:
        event = seen(event)
        self._move(event)
        teller = getattr(self, f"_on_{event['event']}", None)
        if teller is not None:
            yield from teller(event)

    def _move(self, event: Event) -> None:
        """Some events name no round: they fall in that of the one before."""
        match event["event"]:
            case "run_started":
                reviewed = RunSettings.model_validate(event["settings"]).roles.validator != NOBODY
                self._reviewer = "validator" if reviewed else "check"
            case "stage_started":
                self._stage, self._round = event["stage"], 0
            case "finished":
                self._round = 0
        self._round = event.get("round", self._round)

    def _decision(self, event: Event, role: str, deed: str, about: str, reason: str, author: str = "") -> Decision:
        return Decision(self._stage, self._round, role, author, deed, about, reason, event.get("seconds", 0.0))

    # ------------------------------------------------------------ roles

    def _on_stage_started(self, event: Event) -> Iterator[Decision]:
        if event.get("rests"):
            yield self._decision(event, "judge", "asks nobody for proposals", "", event["rests"])

    def _on_diagnosis(self, event: Event) -> Iterator[Decision]:
        found = event["diagnosis"]
        advice = [f"{each['failure'].replace('_', ' ')}: {each['advice']}" for each in found["findings"]]
        reason = "; ".join([found["summary"].rstrip("."), *advice])
        yield self._decision(event, "critic", "diagnoses", "", reason, event["author"])

    def _on_allotted(self, event: Event) -> Iterator[Decision]:
        shares = {name: numbers(share["slots"]) for name, share in event["shares"].items() if share["slots"]}
        given = "; ".join(f"{name} {slots}" for name, slots in shares.items())
        yield self._decision(event, "judge", "shares out slots", "", f"by gain per cost: {given}")

    def _on_proposal(self, event: Event) -> Iterator[Decision]:
        parents = f" from {listed(event['parents'])}" if event["parents"] else ""
        role = "person" if event["kind"] == "edit" else "generator"
        reason = f"{event['kind']}{parents}: {event['rationale']}"
        yield self._decision(event, role, "proposes", event["candidate"], reason, event["author"])

    def _on_check(self, event: Event) -> Iterator[Decision]:
        if event["accepted"]:
            reasons = "; ".join(event.get("reasons", ()))
            yield self._decision(event, self._reviewer, "accepts", event["candidate"], reasons)
            return
        role = {"validator": "validator", "rules": "rules"}.get(event["by"], "check")
        yield self._decision(event, role, "refuses", event["candidate"], "; ".join(event["problems"]))

    def _on_repair(self, event: Event) -> Iterator[Decision]:
        yield self._decision(event, "judge", "asks for a repair of", listed(event["candidates"]), "")

    def _on_promotion_review(self, event: Event) -> Iterator[Decision]:
        deed = "approves the promotion of" if event["approve"] else "vetoes the promotion of"
        reasons = "; ".join(event["reasons"])
        yield self._decision(event, "validator", deed, event["candidate"], reasons, event["author"])

    # ------------------------------------------------------------ judge and person

    def _on_judged(self, event: Event) -> Iterator[Decision]:
        verdict = Verdict.model_validate(event["verdict"])
        for row in event.get("compared", ()):
            if row["came"] in ("dropped", "failed") and row["candidate"] not in self._dropped:
                self._dropped.add(row["candidate"])
                gain = "" if row["gain"] is None else f"gain {row['gain']:+.3f}; "
                yield self._decision(event, "judge", "drops", row["candidate"], f"{gain}{row['reason']}")
        deed = VERDICTS[verdict.decision, verdict.candidate is not None]
        kept = f"; parents: {listed(event['population'])}" if event["population"] and event["phase"] == "search" else ""
        yield self._decision(event, "judge", deed, verdict.candidate or "", f"{verdict.reason}{kept}")

    def _on_approval(self, event: Event) -> Iterator[Decision]:
        role, deed, reason = "person", "", event.get("reason", "")
        match event["status"]:
            case "asked":
                role, deed, reason = "judge", "asks a person about", event["verdict"]["reason"]
            case "approved":
                deed = "says yes to"
            case "refused":
                deed = "says no to"
            case "edited":
                deed = f"tries {event['edit']} in the place of"
        yield self._decision(event, role, deed, event["candidate"], reason)

    def _on_promoted(self, event: Event) -> Iterator[Decision]:
        gain = "taken as it is" if event["gain"] is None else f"gain {event['gain']:+.3f}"
        yield self._decision(event, "judge", "promotes", event["candidate"], gain)

    def _on_advanced(self, event: Event) -> Iterator[Decision]:
        if event["alarm"] is not None:
            reason = f"{event['alarm']}; the main run is that of stage {event['rolled_back_to']} again"
            yield self._decision(event, "judge", "rolls back the main run", "", reason)

    def _on_finished(self, event: Event) -> Iterator[Decision]:
        gain, promoted = event["gain"], event["promoted"] and event["best"] is not None
        measured = f"gain {gain['mean']:+.3f} {interval(gain['interval'], '+')}; " if gain is not None else ""
        deed = "ends with the promoted" if promoted else "ends without a promotion"
        about = event["best"]["candidate"] if promoted else ""
        yield self._decision(event, "run", deed, about, f"{measured}{event['reason']}")


def line(decision: Decision) -> RenderableType:
    """For people."""
    row = Table.grid(padding=(0, 1))
    for width in (6, 9):
        row.add_column(width=width, no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    style = "red" if decision.deed.startswith(NO) else "green" if decision.deed == "promotes" else ""
    said = Text(printable(decision.deed, 120), style)
    if decision.about:
        said.append(f" {printable(decision.about, 120)}", "bold")
    if decision.author:
        said.append(f" ({printable(decision.author, 60)})", "dim")
    if decision.reason:
        said.append(f": {printable(decision.reason, WORDS)}", "not bold")
    row.add_row(Text(decision.place, "dim"), Text(decision.role, ROLE_STYLES.get(decision.role, "yellow")), said)
    return row
