"""The critic role played by a model, held to the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marlsmith.agents.asking.client import Client
from marlsmith.prompts import Prompts
from marlsmith.schemas import Citation, Diagnosis, DiagnosisBrief, Finding, printable

TOLERANCE = 0.01
LONGEST_TEXT = 400


class ModelCritic:
    def __init__(self, client: Client, prompts: Prompts | None = None) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        """A diagnosis in which every claim cites evidence that stands in the brief.

        Ungrounded citations are sent back once, then dropped. Raises AnswerError where the model gives no
        usable diagnosis (the caller notes it and goes on) and EndpointError where no answer can be had.
        """
        answer = self._client.ask(
            "critic",
            f"s{brief.stage}r{brief.round}",
            self._prompts.render("critic/system"),
            self._prompts.render("critic/user", brief=brief),
            Diagnosis,
            complaints=lambda diagnosis: grounded(diagnosis, brief.evidence)[1],
            combine=lambda first, second: max(
                second, first, key=lambda diagnosis: len(grounded(diagnosis, brief.evidence)[0].findings)
            ),
        )
        return grounded(answer, brief.evidence)[0]


def grounded(diagnosis: Diagnosis, evidence: Mapping[str, float]) -> tuple[Diagnosis, list[str]]:
    """The diagnosis without what the evidence does not bear out, and what that was.

    A citation holds when its key exists and its value is within 1% of the number there, as it was shown. A
    finding needs one citation that holds, unless it says that nothing is wrong. The summary cites nothing,
    so it stands only beside findings that all hold, and else gives way to one of what is left.
    """
    faults: list[str] = []
    kept = []
    for finding in diagnosis.findings:
        wrong = [fault for citation in finding.evidence if (fault := _fault(citation, evidence))]
        faults += wrong
        holding = tuple(citation for citation in finding.evidence if not _fault(citation, evidence))
        if holding or finding.failure == "none":
            advice = printable(finding.advice, LONGEST_TEXT)
            kept.append(finding.model_copy(update={"evidence": holding, "advice": advice}))
        elif not wrong:
            faults.append(f"the finding '{finding.failure}' cites no evidence")
    summary = printable(_summary(kept) if faults or not kept else diagnosis.summary, LONGEST_TEXT)
    return Diagnosis(summary=summary, findings=tuple(kept)), faults


def _summary(findings: Sequence[Finding]) -> str:
    said = [
        f"{finding.failure} ({', '.join(f'{citation.key} = {citation.value:.4g}' for citation in finding.evidence)})"
        for finding in findings
        if finding.evidence
    ]
    return f"The evidence bears out: {'; '.join(said)}." if said else "The evidence bears out nothing of what was said."


def _fault(citation: Citation, evidence: Mapping[str, float]) -> str | None:
    actual = evidence.get(citation.key)
    if actual is None:
        return f"there is no evidence under the key '{citation.key}'"
    shown = float(f"{actual:.4g}")  # the digits that the prompt gives
    if abs(citation.value - shown) > TOLERANCE * abs(shown):
        return f"'{citation.key}' stands at {shown:.4g}, not at {citation.value:.4g}"
    return None
