"""What is to be seen in an episode, for those who do not see it."""

from __future__ import annotations

from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering.particles import array
from marlsmith.schemas import TaskCard


def told(recording: Recording, card: TaskCard) -> str:
    """The score, and what became of the targets; `coverage 1.00: all 3 landmarks were reached by step 12`."""
    score = f"{card.score} {recording.metrics[card.score]:.2f}" if card.score in recording.metrics else "no score"
    found = _reached(recording, card)
    if found is None:
        return f"{score} after {recording.steps} steps"
    what, when = found
    done = [step for step in when if step is not None]
    if len(done) == len(when):
        return f"{score}: all {len(when)} {what} by step {max(done)}"
    return f"{score}: {len(done)} of {len(when)} {what} within {recording.steps} steps"


def _reached(recording: Recording, card: TaskCard) -> tuple[str, list[int | None]] | None:
    """What is to be reached, and after how many steps each first was; None where the card does not say."""
    target = next((entity for entity in card.entities if entity.name == card.target), None)
    agent = next((entity for entity in card.entities if entity.name == "agent"), None)
    if target is None or agent is None or card.reach is None:
        return None
    needed = {agent.position, target.position, target.present, card.goal} - {None}
    if not needed <= recording.fields.keys():
        return None
    if target.present is not None:
        eaten = array(recording.fields[target.present]) <= 0
        return f"{target.name}s were taken", [_first(gone) for gone in eaten.T.tolist()]
    places, bodies = array(recording.fields[agent.position]), array(recording.fields[target.position])
    near = ((places[:, :, None] - bodies[:, None]) ** 2).sum(-1) ** 0.5 < card.reach  # [T + 1, N, M]
    if card.goal is None:
        return f"{target.name}s were reached", [_first(flags) for flags in near.any(1).T.tolist()]
    goals = array(recording.fields[card.goal])[0].astype(int)
    own = [near[:, index, goal].tolist() for index, goal in enumerate(goals) if goal >= 0]
    return "targets were reached by their agents", [_first(flags) for flags in own]


def _first(flags: list[bool]) -> int | None:
    """The first step after which it was so; how an episode starts does not count."""
    return next((step for step, flag in enumerate(flags) if step and flag), None)
