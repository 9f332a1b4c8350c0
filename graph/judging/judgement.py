"""Who is kept, who is best, and whether a gain is believed. Pure functions of scores; higher is better."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from marlsmith.graph.methods import Method, Selection
from marlsmith.graph.naming import control_branch
from marlsmith.graph.state import CONTROL_ID, NATIVE_ID, Outcome
from marlsmith.marl.statistics import PairedGain, paired_gain
from marlsmith.schemas import NATIVE, Code, Evaluation, Signal, Verdict, canonical

Strengths = Mapping[str, float]


def strengths(evaluated: Mapping[str, Outcome]) -> dict[str, float]:
    """Of every candidate that the search could score: its score minus that of its own stage's control.

    Within a stage this orders as the score does; across stages, whose seeds differ, it takes out their luck.
    Where a stage's control failed there is nothing to take out, and the score itself stands.
    """
    found: dict[str, float] = {}
    for outcome in evaluated.values():
        changes = outcome["candidate"] not in (NATIVE_ID, CONTROL_ID)
        if outcome["phase"] == "search" and changes and outcome["score"] is not None:
            control = evaluated.get(control_branch(outcome["stage"]))
            reference = control["score"] if control is not None else None
            found[outcome["candidate"]] = outcome["score"] - (reference or 0.0)
    return found


def ranked(strengths: Strengths) -> list[str]:
    """Best first; equals by id, so that the order never depends on who finished first."""
    return sorted(strengths, key=lambda id: (-strengths[id], id))


# ---------------------------------------------------------------- selection (LERO, section 3.3)


def top_k(strengths: Strengths, count: int, generator: random.Random) -> list[str]:
    """The `count` best."""
    return ranked(strengths)[:count]


def tournament(strengths: Strengths, count: int, generator: random.Random) -> list[str]:
    """Binary tournaments (Goldberg & Deb 1991) without replacement: a winner leaves the pool."""
    pool, winners = ranked(strengths), list[str]()
    while pool and len(winners) < count:
        pair = generator.sample(range(len(pool)), min(2, len(pool)))
        winners.append(pool.pop(min(pair)))
    return winners


def rank(strengths: Strengths, count: int, generator: random.Random) -> list[str]:
    """Linear ranking (Baker 1985) without replacement: the i-th of n is drawn with weight n - i, i = 0.. ."""
    pool, drawn = ranked(strengths), list[str]()
    while pool and len(drawn) < count:
        weights = range(len(pool), 0, -1)
        drawn.append(pool.pop(generator.choices(range(len(pool)), weights)[0]))
    return drawn


SELECTIONS: dict[Selection, Callable[[Strengths, int, random.Random], list[str]]] = {
    "top-k": top_k,
    "tournament": tournament,
    "rank": rank,
}


def select(strengths: Strengths, count: int, selection: Selection, seed: int) -> list[str]:
    """At most `count` distinct ids, best first."""
    kept = SELECTIONS[selection](strengths, count, random.Random(seed))
    return ranked({id: strengths[id] for id in kept})


# ---------------------------------------------------------------- admission


Refuser = Literal["rules", "executor", "validator"]


def breaches(signal: Signal, method: Method, tried: Mapping[str, str], incumbent: Signal = NATIVE) -> list[str]:
    """What the method's own rules hold against a signal; `tried` maps canonical texts to candidates.

    `incumbent` is what a main run carries: against it, to give up a part is a change too.
    """
    found: list[str] = []
    if not incumbent.is_native and signal == incumbent:
        found.append("it is what the main run has already: change something")
    elif signal.is_native and incumbent.is_native:
        found.append("it changes nothing: give it a reward part, an observation part, or both")
    elif (twin := tried.get(canonical(signal))) is not None:
        found.append(f"it is identical to {twin}, which was already tried: propose something else")
    if method.evolve == "reward" and signal.observation not in (None, incumbent.observation):
        found.append("this run evolves the reward only: leave the observation part out")
    if method.evolve == "observation" and signal.reward not in (None, incumbent.reward):
        found.append("this run evolves the observation only: leave the reward part out")
    if method.signals == "config" and any(isinstance(part, Code) for part in (signal.reward, signal.observation)):
        found.append("this run allows config signals only: write the terms and features as config")
    return found


# ---------------------------------------------------------------- verdicts


def gain_over(control: Evaluation, candidate: Evaluation, level: float) -> PairedGain | None:
    """The paired gain over the seeds that both were trained with; None for fewer than two."""
    controls = dict(zip(control.seeds, control.scores, strict=False))
    candidates = dict(zip(candidate.seeds, candidate.scores, strict=False))
    shared = sorted(controls.keys() & candidates.keys())
    if len(shared) < 2:
        return None
    return paired_gain([candidates[s] for s in shared], [controls[s] for s in shared], level)


def search_verdict(strengths: Strengths, confirmed: Sequence[str], last_round: bool) -> Verdict:
    """After a round of search: go on, or send the best that was never confirmed into confirmation."""
    if not last_round:
        return Verdict(decision="refine", reason="rounds are left")
    hopefuls = {id: strength for id, strength in strengths.items() if id not in confirmed}
    if not hopefuls:
        return Verdict(decision="keep", reason="no candidate has a score")
    best = ranked(hopefuls)[0]
    return Verdict(
        decision="confirm",
        candidate=best,
        reason=f"{best} leads the search; it is compared with the native task on fresh seeds",
    )


def confirm_verdict(candidate: Evaluation, control: Evaluation, method: Method, promoted_gain: float | None) -> Verdict:
    """The gate: accept only where the gain's one-sided lower bound exceeds the margin.

    A later stage replaces what an earlier one promoted only with a greater gain.
    """
    name = candidate.candidate
    for evaluation in (candidate, control):
        if evaluation.error is not None:
            reason = f"{evaluation.branch} failed ({evaluation.error.stage}): {evaluation.error.message}"
            return Verdict(decision="keep", candidate=name, reason=reason)
    gain = gain_over(control, candidate, method.level)
    if gain is None:
        return Verdict(decision="keep", candidate=name, reason="fewer than two seeds in common: no interval")
    seeds = f"on {len(candidate.seeds)} fresh seeds"
    bound = f"one-sided {1 - method.level:.0%} lower bound {gain.lower_bound:+.3f}"
    bound = f"{bound} of the mean gain {gain.mean:+.3f} {seeds}"
    accepted = gain.lower_bound > method.margin
    reason = f"{bound} {'exceeds' if accepted else 'does not exceed'} the margin {method.margin:g}"
    if accepted and promoted_gain is not None and gain.mean <= promoted_gain:
        accepted = False
        reason = f"gain {gain.mean:+.4g} {seeds} is no more than that of the signal promoted before"
    return Verdict(
        decision="accept" if accepted else "keep",
        candidate=name,
        reason=reason,
        gain=gain.mean,
        interval=gain.interval,
        lower_bound=gain.lower_bound,
        level=method.level,
    )
