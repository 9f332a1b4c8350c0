"""The offline critic: rules over the evidence. Every finding cites the number that it stands on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from marlsmith.schemas import Citation, Diagnosis, DiagnosisBrief, FailureKind, Finding, TaskCard


@dataclass(frozen=True)
class Rule:
    """Beyond `threshold`, the evidence under `key` (of the main run or best candidate) speaks for this failure."""

    failure: FailureKind
    key: str
    threshold: float
    words: str
    advice: str
    below: bool = False
    """Whether it speaks where it is less than the threshold."""
    in_reaches: bool = False
    """Whether the threshold is in multiples of the distance at which a target counts as reached."""


NEAR = 3.5
"""Multiples of the reach within which agents have found their way to targets."""
AT_HAND = 2.0
"""Multiples of the reach at which hardly anything is left to go: random agents are not so near."""
REWARDED, UNPAID = "behaviour.rewarded_steps", 0.01
"""Where fewer steps than this share are rewarded, the native reward hardly speaks."""

RULES: tuple[Rule, ...] = (
    Rule(
        "overlap",
        "behaviour.overlap",
        0.3,
        "two agents head for the same target in {value:.0%} of the steps",
        "give each agent a target of its own, in the reward and in what it sees",
    ),
    Rule(
        "exploration",
        "behaviour.distance_nearest_end",
        NEAR,
        "agents end {value:.2f} away from the nearest target",
        "strengthen the pull towards targets and pay progress",
        in_reaches=True,
    ),
    Rule(
        "exploration",
        "behaviour.distance_own_end",
        NEAR,
        "agents end {value:.2f} away from their own target",
        "strengthen the pull towards each agent's own target and pay progress",
        in_reaches=True,
    ),
    Rule(
        "exploration",
        REWARDED,
        UNPAID,
        "the native reward says something in {value:.1%} of the steps",
        "do not rely on the native reward: pay for the way to what it rewards",
        below=True,
    ),
    Rule(
        "communication",
        "behaviour.message_information",
        0.3,
        "words tell {value:.0%} of what they could of the goals",
        "tie the speaker to the listener's result, so that it pays to tell",
        below=True,
    ),
    Rule(
        "precision",
        "behaviour.near_miss",
        0.08,
        "{value:.0%} of the targets are missed by less than a reach",
        "pay for standing within reach and show the margin",
    ),
    Rule(
        "precision",
        "behaviour.left_after_reaching",
        0.08,
        "{value:.0%} of the targets are reached and left again",
        "make it worth staying: a bonus within reach, a charge on speed there",
    ),
    Rule(
        "collision",
        "behaviour.crowded",
        0.08,
        "agents touch another one in {value:.0%} of the steps",
        "charge for collisions, or for standing close before they happen",
    ),
    Rule(
        "instability",
        "spread",
        0.25,
        "the seeds differ by {value:.2f} in score",
        "soften the reward, so that all seeds learn it",
    ),
    Rule(
        "instability",
        "drop_from_peak",
        0.15,
        "the score fell by {value:.2f} from its best during the training",
        "soften the reward, or rely less on its strongest term",
    ),
)

MOST_FINDINGS = 3
MOST_SEVERE = 5.0
"""Of a number that is too small, however small it is."""
SILENT = 0.001
"""Share of the reward below which a term says nothing."""
CHARGES = ("collision", "crowding", "slow_near_target")
"""Terms that are silent where all is well."""

ROUND = re.compile(r"stage \d+ round \d+: found (?P<found>[^;]*); (?P<came>[^;]*)")
"""How the history tells of a round."""

MAIN = "main"
"""The subject where one training is adapted: its own state, and not that of a candidate."""


class OfflineCritic:
    name = "offline critic"

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        evidence = brief.evidence
        subject = _subject(brief)
        if f"{subject}.score" not in evidence:
            return Diagnosis(summary="Nothing has been trained yet, so there is nothing to diagnose.")
        refused = _refused(brief.history) if subject == MAIN else Counter()
        found = sorted(_findings(subject, brief), key=lambda each: (refused[each[2].failure], -each[0]))[:MOST_FINDINGS]
        score = evidence[f"{subject}.score"]
        named = "the main run" if subject == MAIN else subject
        if not found:
            best = Citation(key=f"{subject}.score", value=score)
            finding = Finding(failure="none", evidence=(best,), advice="vary the weights and look for a simpler design")
            return Diagnosis(summary=f"{named} scores {score:.2f} and shows no clear weakness.", findings=(finding,))
        words = "; ".join(said for _, said, _ in found)
        return Diagnosis(summary=f"{named} scores {score:.2f}, but {words}.", findings=tuple(f for _, _, f in found))


def _subject(brief: DiagnosisBrief) -> str:
    if f"{MAIN}.score" in brief.evidence:
        return MAIN
    return brief.elites[0].candidate.id if brief.elites else "native"


def _findings(subject: str, brief: DiagnosisBrief) -> list[tuple[float, str, Finding]]:
    """(severity, words, finding): severity is by how many times the number is beyond its threshold."""
    evidence, card = brief.evidence, brief.task
    unpaid = _near_and_unpaid(subject, brief)
    found = []
    for rule in RULES:
        key = f"{subject}.{rule.key}"
        value = evidence.get(key)
        if value is None or _beside_the_point(rule, subject, brief) or (unpaid and rule.key == REWARDED):
            continue
        threshold = rule.threshold * (card.reach or 1.0) if rule.in_reaches else rule.threshold
        beyond = threshold / max(value, threshold / MOST_SEVERE) if rule.below else value / threshold
        if beyond > 1:
            finding = Finding(failure=rule.failure, evidence=(Citation(key=key, value=value),), advice=rule.advice)
            found.append((beyond, rule.words.format(value=value), finding))
    return [*unpaid, *found, *_hacking(subject, evidence), *_drowned(subject, evidence), *_silent(subject, evidence)]


def _beside_the_point(rule: Rule, subject: str, brief: DiagnosisBrief) -> bool:
    if rule.failure == "overlap":
        return not _each_may_have_its_own(brief.task)
    # Whoever gets to its own target was told where it is, in words or otherwise.
    there = brief.evidence.get(f"{subject}.behaviour.distance_own_end")
    return rule.failure == "communication" and there is not None and there < (brief.task.reach or 0.0)


def _each_may_have_its_own(card: TaskCard) -> bool:
    """Whether two agents at one target are too many: not where targets need several, nor where goals may agree."""
    return card.goal is None and card.has_rule("optimal")


def _near_and_unpaid(subject: str, brief: DiagnosisBrief) -> list[tuple[float, str, Finding]]:
    """Agents find their way and the task is not done: it is the last bit that fails, not the search for it."""
    evidence, paid = brief.evidence, f"{subject}.{REWARDED}"
    ends = (f"{subject}.behaviour.distance_own_end", f"{subject}.behaviour.distance_nearest_end")
    end = next((key for key in ends if key in evidence), None)
    if end is None or evidence.get(paid, 1.0) >= UNPAID or evidence[end] > AT_HAND * (brief.task.reach or 1.0):
        return []
    cited = tuple(Citation(key=key, value=evidence[key]) for key in (end, paid))
    words = (
        f"agents end only {evidence[end]:.2f} away from a target, and the native reward says something in "
        f"{evidence[paid]:.1%} of the steps"
    )
    advice = "pay for the last stretch: for being within reach, and for what the whole team has done"
    return [(MOST_SEVERE, words, Finding(failure="precision", evidence=cited, advice=advice))]


def _hacking(subject: str, evidence: dict[str, float]) -> list[tuple[float, str, Finding]]:
    """Shaped return up, score down: the agents have found something else that pays."""
    shaped, score = f"{subject}.trend.shaped_return", f"{subject}.trend.score"
    if evidence.get(shaped, 0.0) <= 0 or evidence.get(score, 0.0) >= -0.05:
        return []
    cited = tuple(Citation(key=key, value=evidence[key]) for key in (shaped, score))
    advice = "drop or weaken the term that pays without serving the task"
    words = f"the shaped return rose while the score fell by {-evidence[score]:.2f}"
    return [(MOST_SEVERE, words, Finding(failure="reward_hacking", evidence=cited, advice=advice))]


def _drowned(subject: str, evidence: dict[str, float]) -> list[tuple[float, str, Finding]]:
    """One term makes up nearly all of the reward: the others teach nothing."""
    shares = {k: v for k, v in evidence.items() if k.startswith(f"{subject}.term.") and k.endswith(".share")}
    if len(shares) < 2:
        return []
    key, share = max(shares.items(), key=lambda item: item[1])
    if share < 0.85:
        return []
    name = key.removeprefix(f"{subject}.term.").removesuffix(".share")
    finding = Finding(
        failure="credit_assignment", evidence=(Citation(key=key, value=share),), advice="balance the weights"
    )
    return [(share / 0.85, f"the term {name} makes up {share:.0%} of the reward", finding)]


def _silent(subject: str, evidence: dict[str, float]) -> list[tuple[float, str, Finding]]:
    """A term that pays in no step teaches nothing: what it pays for is out of reach."""
    prefix = f"{subject}.term."
    for key, share in evidence.items():
        name = key.removeprefix(prefix).removesuffix(".share")
        if key == f"{prefix}{name}.share" and share < SILENT and not name.startswith(CHARGES):
            finding = Finding(
                failure="exploration",
                evidence=(Citation(key=key, value=share),),
                advice="pay for the way to what it rewards, or reward less than that",
            )
            return [(1.0, f"the term {name} makes up {share:.1%} of the reward", finding)]
    return []


def _refused(history: Sequence[str]) -> Counter[str]:
    """How often each failure was named since the last promotion, and no remedy for it held: others come first then."""
    counts: Counter[str] = Counter()
    for line in history:
        if (said := ROUND.match(line)) is None:
            continue
        if said["came"].startswith("promoted"):
            counts.clear()
        else:
            counts.update(said["found"].split(", "))
    return counts
