"""The offline critic: rules over the evidence. Every finding cites the number that it stands on."""

from __future__ import annotations

from dataclasses import dataclass

from marlsmith.schemas import Citation, Diagnosis, DiagnosisBrief, FailureKind, Finding, TaskCard


@dataclass(frozen=True)
class Rule:
    """Beyond `threshold`, the evidence under `key` (of the best candidate) speaks for this failure."""

    failure: FailureKind
    key: str
    threshold: float
    words: str
    advice: str
    below: bool = False
    """Whether it speaks where it is less than the threshold."""
    in_reaches: bool = False
    """Whether the threshold is in multiples of the distance at which a target counts as reached."""


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
        3.5,
        "agents end {value:.2f} away from the nearest target",
        "strengthen the pull towards targets and pay progress",
        in_reaches=True,
    ),
    Rule(
        "exploration",
        "behaviour.distance_own_end",
        3.5,
        "agents end {value:.2f} away from their own target",
        "strengthen the pull towards each agent's own target and pay progress",
        in_reaches=True,
    ),
    Rule(
        "exploration",
        "behaviour.rewarded_steps",
        0.01,
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


class OfflineCritic:
    name = "offline critic"

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        subject = brief.elites[0].candidate.id if brief.elites else "native"
        evidence = brief.evidence
        if f"{subject}.score" not in evidence:
            return Diagnosis(summary="Nothing has been trained yet, so there is nothing to diagnose.")
        found = sorted(_findings(subject, brief), key=lambda pair: -pair[0])[:MOST_FINDINGS]
        score = evidence[f"{subject}.score"]
        if not found:
            best = Citation(key=f"{subject}.score", value=score)
            finding = Finding(failure="none", evidence=(best,), advice="vary the weights and look for a simpler design")
            return Diagnosis(summary=f"{subject} scores {score:.2f} and shows no clear weakness.", findings=(finding,))
        words = "; ".join(said for _, said, _ in found)
        return Diagnosis(summary=f"{subject} scores {score:.2f}, but {words}.", findings=tuple(f for _, _, f in found))


def _findings(subject: str, brief: DiagnosisBrief) -> list[tuple[float, str, Finding]]:
    """(severity, words, finding): severity is by how many times the number is beyond its threshold."""
    found, evidence, card = [], brief.evidence, brief.task
    for rule in RULES:
        key = f"{subject}.{rule.key}"
        value = evidence.get(key)
        if value is None or (rule.failure == "overlap" and not _each_may_have_its_own(card)):
            continue
        threshold = rule.threshold * (card.reach or 1.0) if rule.in_reaches else rule.threshold
        beyond = threshold / max(value, threshold / MOST_SEVERE) if rule.below else value / threshold
        if beyond > 1:
            finding = Finding(failure=rule.failure, evidence=(Citation(key=key, value=value),), advice=rule.advice)
            found.append((beyond, rule.words.format(value=value), finding))
    return [*found, *_hacking(subject, evidence), *_drowned(subject, evidence)]


def _each_may_have_its_own(card: TaskCard) -> bool:
    """Whether two agents at one target are too many: not where targets need several, nor where goals may agree."""
    return card.goal is None and card.has_rule("optimal")


def _hacking(subject: str, evidence: dict[str, float]) -> list[tuple[float, str, Finding]]:
    """Shaped return up, score down: the agents have found something else that pays."""
    shaped, score = f"{subject}.trend.shaped_return", f"{subject}.trend.score"
    if evidence.get(shaped, 0.0) <= 0 or evidence.get(score, 0.0) >= -0.05:
        return []
    cited = tuple(Citation(key=key, value=evidence[key]) for key in (shaped, score))
    advice = "drop or weaken the term that pays without serving the task"
    words = f"the shaped return rose while the score fell by {-evidence[score]:.2f}"
    return [(5.0, words, Finding(failure="reward_hacking", evidence=cited, advice=advice))]


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
