"""What came of a candidate: failures, evaluations, and what the jail around it enforces."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from marlsmith.schemas.base import FailureStage, Record, printable


class Failure(Record):
    """Why a check or a branch failed. The message comes from candidate code: untrusted, short, printable."""

    stage: FailureStage
    message: str
    line: int | None = Field(None, description="of the candidate, at which its time was up: chance, so no role is told")

    @field_validator("message")
    @classmethod
    def _printable(cls, message: str) -> str:
        return printable(message, 300)

    @property
    def told(self) -> str:
        """For people: the message, with the line where there is one."""
        return self.message if self.line is None else f"line {self.line}: {self.message}"


Plausible = Annotated[float, Field(ge=-1e12, le=1e12)]
"""A number by the word of a process that has run candidate code."""


class TermStatistics(Record):
    """One reward term over the last tenth of a training, before weighting by alpha."""

    mean: Plausible
    spread: Plausible = Field(description="standard deviation over agents, environments and steps")
    share: float = Field(ge=0, le=1.000001, description="of the summed mean absolute values of all terms")


WrittenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+\- ]{1,200}$")]
"""A term's, as candidate code gave it."""


class Values(Record):
    """Of a function on stored states, over all rows and agents."""

    mean: Plausible
    spread: Plausible = Field(description="standard deviation")
    least: Plausible
    most: Plausible
    share: float = Field(ge=0, le=1, description="of values that are not zero")


class TermValues(Values):
    """A reward term's, before weighting by alpha."""

    native: float | None = Field(
        None, ge=-1.000001, le=1.000001, description="correlation with the native reward; None where either is constant"
    )
    means: dict[WrittenName, Plausible] = Field(default_factory=dict, max_length=8, description="by the kind of states")


class Fingerprint(Record):
    """What a signal does on stored states, in some numbers: equal ones for signals that do the same.

    Of each part fixed random sums over all its values; none for a part that stays native.
    """

    rows: int = Field(ge=0)
    reward: tuple[Plausible, ...] = Field((), max_length=256)
    features: tuple[Plausible, ...] = Field((), max_length=256)
    columns: int = Field(0, ge=0, description="of the features")


class SignalValues(Record):
    """What a signal's terms and features come to on stored states, by the word of a process that ran its code."""

    rows: int = Field(ge=0)
    terms: dict[WrittenName, TermValues] = Field(default_factory=dict, max_length=64)
    reward: TermValues | None = Field(None, description="the whole reward; None where it stays native")
    features: tuple[Values, ...] = Field((), max_length=256, description="by column")
    fingerprint: Fingerprint


class CurvePoint(Record):
    """Where a training stood after so many steps, mean over members."""

    steps: int = Field(ge=0)
    score: Plausible = Field(description="greedy play on a few fixed episodes, other ones than those that decide")
    native_return: Plausible = Field(description="of the same play, per agent and episode")
    shaped_return: Plausible = Field(description="of the exploring policy in its last rollout, per agent and episode")
    scores: tuple[Plausible, ...] = Field((), max_length=10_000, description="the score, by seed")


class Evaluation(Record):
    """A branch's outcome. Failures are values: a failed branch has an error and no score."""

    candidate: str
    branch: str
    seeds: tuple[int, ...]
    steps: int = Field(description="environment steps of each seed")
    error: Failure | None = None
    score: float | None = Field(None, description="interquartile mean over seeds")
    scores: tuple[float, ...] = Field((), description="one per seed, mean over the evaluation episodes")
    interval: tuple[float, float] | None = Field(None, description="95%, stratified bootstrap")
    metrics: dict[str, float] = Field(default_factory=dict, description="interquartile mean over seeds")
    behaviour: dict[str, float] = Field(default_factory=dict, description="mean over seeds and agents")
    terms: dict[str, TermStatistics] = Field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    steps_per_second: float = Field(0.0, description="environment steps of all seeds together")
    checkpoint: str | None = Field(None, description="path relative to the run directory")

    @property
    def environment_steps(self) -> int:
        """Of all seeds together."""
        return self.steps * len(self.seeds)

    @model_validator(mode="after")
    def _score_or_error(self) -> Evaluation:
        if (self.error is None) == (self.score is None):
            raise ValueError("an evaluation has either a score or an error")
        return self


def paired_scores(control: Evaluation, candidate: Evaluation) -> list[tuple[float, float]]:
    """(candidate's score, control's) for each seed that both were trained with, in the candidate's order."""
    controls = dict(zip(control.seeds, control.scores, strict=False))
    scored = zip(candidate.seeds, candidate.scores, strict=False)
    return [(score, controls[seed]) for seed, score in scored if seed in controls]


# ---------------------------------------------------------------- the jail

ProbeGroup = Literal[
    "network",
    "exec",
    "read",
    "metadata",
    "write",
    "signals",
    "processes",
    "kernel",
    "limits",
    "descriptors",
    "environment",
]
"""`read` is what files and directories contain, `metadata` whether they exist, how large they are, where links lead."""
REQUIRED_GROUPS: tuple[ProbeGroup, ...] = ("network", "exec", "read", "signals")
"""Where one of these is open, nothing runs unless the user insists."""


class Probe(Record):
    """One forbidden act that a locked-down worker tried, against a victim made for the purpose."""

    act: str = Field(description="what was tried, for instance 'open a file of the user'")
    group: ProbeGroup
    refused: bool
    answer: str = Field(description="how it was refused (EPERM), or what came of it")


class JailReport(Record):
    """What the jail around candidate code enforces: said of what a probe saw refused, and of nothing else."""

    system: str = Field(description="kernel and processor, for instance 'Linux 6.18 x86_64'")
    profile: Literal["cpu", "accelerator"] = Field(
        "cpu", description="with the rights that a GPU's driver needs, or not"
    )
    layers: tuple[str, ...] = Field((), description="what was put in place, for instance 'landlock 7', 'seccomp'")
    probes: tuple[Probe, ...] = ()
    missing: tuple[str, ...] = Field((), description="what this system lacks, in words")
    unsafe: bool = Field(False, description="the user said --unsafe-jail: open acts do not stop the run")

    @property
    def open(self) -> tuple[Probe, ...]:
        return tuple(probe for probe in self.probes if not probe.refused)

    @property
    def sound(self) -> bool:
        """Whether every required group was tried, and refused throughout."""
        tried = {probe.group for probe in self.probes}
        return tried >= set(REQUIRED_GROUPS) and not any(probe.group in REQUIRED_GROUPS for probe in self.open)
