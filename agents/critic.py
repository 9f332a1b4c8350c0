"""The critic role played by a model, held to the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from marlsmith.agents.asking.client import Client
from marlsmith.prompts import Prompts
from marlsmith.schemas import Citation, Diagnosis, DiagnosisBrief, Finding, printable

TOLERANCE = 0.01
LONGEST_TEXT = 400
MOST_COUNTED = 12
"""Whole numbers up to here count things ("2 of 3 agents") and need no evidence."""
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.(\d+))?(?:[eE][+-]?\d+)?)(\s?%)?(?![\w])")


class ModelCritic:
    def __init__(self, client: Client, prompts: Prompts | None = None) -> None:
        self.name = client.name
        self._client = client
        self._prompts = prompts or Prompts()

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        """A diagnosis in which every claim cites evidence that stands in the brief.

        Ungrounded citations are sent back once, then dropped. Raises AnswerError where the model gives no
        usable diagnosis (the caller notes it and goes on) and PausingError where no answer can be had.
        """
        evidence = brief.evidence
        answer = self._client.ask(
            "critic",
            f"s{brief.stage}r{brief.round}",
            self._prompts.render("critic/system", brief=brief),
            self._prompts.render("critic/user", brief=brief),
            Diagnosis,
            complaints=lambda diagnosis: grounded(_own_words(diagnosis), evidence)[1],
            combine=lambda first, second: max(
                second, first, key=lambda diagnosis: len(grounded(diagnosis, evidence)[0].findings)
            ),
        )
        return grounded(_own_words(answer), evidence)[0]


def _own_words(diagnosis: Diagnosis) -> Diagnosis:
    """What was dropped is for `grounded` to say, and for no model to fill in."""
    return diagnosis.model_copy(update={"dropped": ()})


def grounded(diagnosis: Diagnosis, evidence: Mapping[str, float]) -> tuple[Diagnosis, list[str]]:
    """The diagnosis without what the evidence does not bear out, which it names in `dropped`, and the faults.

    A citation holds when its key exists and its value is within 1% of the number there, as it was shown. A
    finding needs one citation that holds, unless it says that nothing is wrong. The summary cites nothing, so
    it stands only beside findings that all hold and with numbers that stand in the evidence, and else gives
    way to one of what is left. Numbers in an advice are what to try, not what was seen: they are let pass.
    """
    dropped: list[str] = []
    kept = []
    for finding in diagnosis.findings:
        wrong = [fault for citation in finding.evidence if (fault := _fault(citation, evidence))]
        dropped += [f"{finding.failure}: {fault}" for fault in wrong]
        holding = tuple(citation for citation in finding.evidence if not _fault(citation, evidence))
        if holding or finding.failure == "none":
            advice = printable(finding.advice, LONGEST_TEXT)
            kept.append(finding.model_copy(update={"evidence": holding, "advice": advice}))
        elif not wrong:
            dropped.append(f"the finding '{finding.failure}' cites no evidence")
    dropped += [
        f"the summary says {number}, which stands nowhere in the evidence"
        for number in _unfounded(diagnosis.summary, evidence)
    ]
    summary = _summary(kept) if dropped or not kept else diagnosis.summary
    faults = [printable(fault, LONGEST_TEXT) for fault in dropped]
    said = Diagnosis(
        summary=printable(summary, LONGEST_TEXT), findings=tuple(kept), dropped=(*diagnosis.dropped, *faults)
    )
    return said, faults


def _unfounded(summary: str, evidence: Mapping[str, float]) -> Iterator[str]:
    """Numbers of a prose that no evidence rounds to. Digits inside names, such as s1r2c3, are none."""
    for found in _NUMBER.finditer(summary):
        digits, decimals, percent = found.groups()
        number, rounding = float(digits), 0.5 * 10.0 ** -len(decimals or "")
        if not decimals and not percent and number <= MOST_COUNTED:
            continue
        scale = 100.0 if percent else 1.0
        seen = (abs(value) * scale for value in evidence.values())
        if not any(abs(value - number) <= max(rounding, TOLERANCE * value) * 1.001 for value in seen):
            yield found.group().strip()


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
