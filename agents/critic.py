"""The critic role played by a model, held to the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from marlsmith.agents.client import ChatClient
from marlsmith.prompts import render
from marlsmith.schemas import Citation, Diagnosis, DiagnosisBrief

RELATIVE, ABSOLUTE = 0.01, 0.005


class ModelCritic:
    def __init__(self, client: ChatClient) -> None:
        self.name = client.spec.model
        self._client = client

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        """A diagnosis in which every claim cites evidence that stands in the brief.

        Ungrounded citations are sent back once, then dropped. Raises AnswerError where the model gives no
        usable diagnosis (the caller notes it and goes on) and EndpointError where no answer can be had.
        """
        answer = self._client.ask(
            "critic",
            render("critic/system"),
            render("critic/user", brief=brief),
            Diagnosis,
            complaints=lambda diagnosis: grounded(diagnosis, brief.evidence)[1],
        )
        return grounded(answer, brief.evidence)[0]


def grounded(diagnosis: Diagnosis, evidence: Mapping[str, float]) -> tuple[Diagnosis, list[str]]:
    """The diagnosis without what the evidence does not bear out, and what that was.

    A citation holds when its key exists and its value is within 1% (or 0.005) of the number there. A
    finding needs one citation that holds, unless it says that nothing is wrong.
    """
    faults: list[str] = []
    kept = []
    for finding in diagnosis.findings:
        wrong = [fault for citation in finding.evidence if (fault := _fault(citation, evidence))]
        faults += wrong
        holding = tuple(citation for citation in finding.evidence if not _fault(citation, evidence))
        if holding or finding.failure == "none":
            kept.append(finding.model_copy(update={"evidence": holding}))
        elif not wrong:
            faults.append(f"the finding '{finding.failure}' cites no evidence")
    return diagnosis.model_copy(update={"findings": tuple(kept)}), faults


def _fault(citation: Citation, evidence: Mapping[str, float]) -> str | None:
    actual = evidence.get(citation.key)
    if actual is None:
        return f"there is no evidence under the key '{citation.key}'"
    if abs(citation.value - actual) > max(RELATIVE * abs(actual), ABSOLUTE):
        return f"'{citation.key}' stands at {actual:.4g}, not at {citation.value:.4g}"
    return None
