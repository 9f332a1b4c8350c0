"""Earlier rounds, each in a line for the next diagnosis: what was found, what was tried, what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marlsmith.schemas import Diagnosis, printable

LONGEST_LINE = 480
"""Characters, some 120 tokens."""
REASON, SUMMARY, LEAST = 70, 24, 90
"""Characters of why an attempt was refused at most, of its summary at least, and of both where a round has many."""


@dataclass(frozen=True)
class Attempt:
    """A candidate of the round, what it was in a few words, and what came of it."""

    id: str
    summary: str
    gain: float | None
    """Mean paired score difference to the control of its stage; None where it has no score."""
    came: str
    """`promoted`, `refused: the reason`, `dropped in the race`, `failed: the fault`; printed as it stands."""

    @property
    def promoted(self) -> bool:
        return self.came == PROMOTED


PROMOTED = "promoted"


def history_line(stage: int, round: int, diagnosis: Diagnosis | None, tried: Sequence[Attempt]) -> str:
    """One round in at most LONGEST_LINE characters, in this form:

        stage 2 round 1: found overlap, precision; promoted s2r1c1; s2r1c1 (reward: approach x1) gain +0.21, promoted;
        s2r1c2 (reward: reach x1) gain -0.04, refused: its lower bound -0.1 does not exceed the margin 0

    Up to the second semicolon it is the judge's word alone, for readers who go by rules: `found` lists failures
    of the taxonomy or `nothing`, and after it stands `promoted ID` or `nothing promoted`. What follows has words
    of others in it. What was promoted comes first, then by gain, so that what is cut off matters least.
    """
    named = ", ".join(dict.fromkeys(finding.failure for finding in diagnosis.findings)) if diagnosis is not None else ""
    winner = next((attempt.id for attempt in tried if attempt.promoted), None)
    outcome = f"promoted {winner}" if winner is not None else "nothing promoted"
    line = f"stage {stage} round {round}: found {named or 'nothing'}; {outcome}"
    share = max(LEAST, (LONGEST_LINE - len(line)) // max(1, len(tried)))
    pieces = [_told(attempt, share - len("; ")) for attempt in sorted(tried, key=_weight)]
    return printable("; ".join([line, *pieces]), LONGEST_LINE)


def rollback_line(stage: int, to: int, reason: str) -> str:
    """For a stage whose training was undone."""
    line = f"stage {stage}: the main run went back to how it was after stage {to}: {reason}"
    return printable(line, LONGEST_LINE)


def _weight(attempt: Attempt) -> tuple[bool, float, str]:
    return (not attempt.promoted, float("inf") if attempt.gain is None else -attempt.gain, attempt.id)


def _told(attempt: Attempt, room: int) -> str:
    """What came of it stands whole where it can; the summary has the rest of the room."""
    gain = f"gain {attempt.gain:+.3g}, " if attempt.gain is not None else ""
    outcome = f"{gain}{_plain(attempt.came, REASON)}"
    left = room - len(f"{attempt.id} () {outcome}")
    return printable(f"{attempt.id} ({_plain(attempt.summary, max(SUMMARY, left))}) {outcome}", room)


def _plain(words: str, limit: int) -> str:
    """Semicolons part the line's pieces."""
    return printable(words.replace(";", ","), limit)
