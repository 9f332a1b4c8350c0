"""Signals that are the same under another spelling: their training is spent once.

Told first by form (`marl.signals.normal`), which costs nothing, then by what they do on stored states. Only
candidates that were accepted for training count: one that was refused may come again, mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marlsmith.graph.context import Context
from marlsmith.graph.methods import branch_rows
from marlsmith.graph.state import State
from marlsmith.marl.signals.normal import normal_form
from marlsmith.schemas import Candidate, Failure, Fingerprint, Signal, SignalValues

TOLERANCE = 1e-6
"""Of the sums of a part, by the largest of them: what rounding in another order may change."""


def accepted(state: State, context: Context) -> list[str]:
    """All that were accepted for training so far, in the order of their proposal.

    Of an adapted main run those of the stage: what was of no use at one time may be at another.
    """
    trained = {outcome["candidate"] for outcome in state["evaluated"].values()}
    known = [id for id in state["proposed"] if id in trained or id in state["accepted"]]
    adapts = context.method(state["stage"]).adapts
    return [id for id in known if not adapts or context.directory.candidate(id).stage == state["stage"]]


def forms(ids: Sequence[str], context: Context) -> dict[str, str]:
    """Normal form -> the first candidate that has it."""
    found: dict[str, str] = {}
    for id in ids:
        found.setdefault(normal_form(context.directory.candidate(id).signal), id)
    return found


def in_other_words(signal: Signal, forms: Mapping[str, str]) -> list[str]:
    """What speaks against a signal that has the form of another; empty where none has it."""
    twin = forms.get(normal_form(signal))
    return [f"it is {twin} in other words, which was already tried: propose something else"] if twin else []


class Twins:
    """What candidates do, told by their fingerprints: of those accepted before, and of those met in this pass."""

    def __init__(self, ids: Sequence[str], context: Context) -> None:
        self._context = context
        self._known: dict[str, Fingerprint] = {}
        for id in ids:
            self.meet(context.directory.candidate(id), values(context.directory.candidate(id), context))

    def meet(self, candidate: Candidate, found: SignalValues | None) -> list[str]:
        """What speaks against the candidate; where nothing does, it is known from now on.

        One whose values could not be told is let pass: its training will show what is wrong with it.
        """
        if found is None:
            return []
        for id, fingerprint in self._known.items():
            if same(fingerprint, found.fingerprint):
                return [f"it behaves exactly as {id}, which was already tried: propose something else"]
        self._known[candidate.id] = found.fingerprint
        return []


def values(candidate: Candidate, context: Context) -> SignalValues | None:
    """As they are kept in the run directory, so that a resumed run decides alike."""
    settings = context.settings
    rows = branch_rows(settings)

    def probe() -> SignalValues:
        found = context.parts.executor.probe(candidate.signal, settings.task, rows=rows)
        if isinstance(found, Failure):
            raise _UntoldError
        return found

    try:
        return context.directory.once(f"{candidate.id}-values", SignalValues, probe)
    except _UntoldError:
        return None


class _UntoldError(Exception):
    """The probe gave no values: nothing is kept."""


def same(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two signals do the same on all stored states. A constant factor makes a difference."""
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and _close(one.reward, other.reward)
        and _close(one.features, other.features)
    )


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    largest = max(map(abs, (*one, *other)), default=0.0)
    return len(one) == len(other) and all(abs(a - b) <= TOLERANCE * largest for a, b in zip(one, other, strict=True))
