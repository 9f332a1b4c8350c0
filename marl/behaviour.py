"""What agents do, as numbers that any task gives that has what they are about: the critic's evidence."""

from __future__ import annotations

import torch
from torch import Tensor

from marlsmith.marl.tasks.base import Episodes
from marlsmith.schemas import ContinuousActions, TaskCard

IDLE_SPEED = 0.05
"""Length per second below which an agent counts as idle."""

MESSAGE = "message"
"""The state field [.., N, W] in which words are said, one-hot; zero for who says nothing."""


def behaviour(episodes: Episodes, card: TaskCard) -> dict[str, float]:
    """Means over members, episodes, and where it fits agents and steps. Lengths in the task's unit.

    Only what happened while an episode ran counts. In a task with goals a target counts for the agents whose
    goal it is, one that is nobody's not at all, and neither an agent that has none (-1); targets that are gone
    are no targets.
    """
    ran = episodes.alive.float()
    found = {
        "rewarded_steps": _mean((episodes.reward != 0).any(-1).float(), ran),
        "episode_length": ran.sum(0).mean() / card.horizon,
        **_actions(episodes, card),
    }
    if any(entity.name == "agent" for entity in card.entities):
        found |= _movement(episodes, card)
    if card.target is not None:
        found |= _pursuit(episodes, card)
    if MESSAGE in episodes.state:
        found |= _messages(episodes, card)
    return {name: float(value) for name, value in found.items()}


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted by [T, P, E]; further axes of the value are averaged."""
    while value.dim() > weight.dim():
        value = value.mean(-1)
    return (value * weight).sum() / weight.sum().clamp(min=1)


def _movement(episodes: Episodes, card: TaskCard) -> dict[str, Tensor]:
    agent, ran, found = card.entity("agent"), episodes.alive.float(), {}
    if card.collide is not None:
        found["crowded"] = _mean(_crowded(episodes.state[agent.position][1:].float(), card.collide), ran)
    if agent.velocity is not None:
        speed = episodes.state[agent.velocity][1:].float().norm(dim=-1)
        found["idle"] = _mean((speed < IDLE_SPEED).float(), ran)
    return found


def _pursuit(episodes: Episodes, card: TaskCard) -> dict[str, Tensor]:
    assert card.target is not None
    assert card.reach is not None
    agent, target, alive = card.entity("agent"), card.entity(card.target), episodes.alive
    state = {name: value[1:] for name, value in episodes.state.items()}
    distance = (state[agent.position].unsqueeze(-2) - state[target.position].unsqueeze(-3)).float().norm(dim=-1)
    there = torch.ones_like(distance, dtype=torch.bool)
    if target.present is not None:
        there = there & (state[target.present] > 0).unsqueeze(-2)
    if card.goal is not None:
        there = there & (state[card.goal].unsqueeze(-1) == torch.arange(target.count))
    distance = torch.where(there, distance, torch.inf)
    ended = (alive.sum(0) - 1).clamp(min=0)
    of_agent, of_target = _pick(distance.amin(-1), ended), _pick(distance.amin(-2), ended)
    left = _pick(there.any(-2), ended)
    # [P, E, M]: how near a target was come to while it was there, and whether anybody's at all.
    closest = torch.where(alive.unsqueeze(-1), distance.amin(-2), torch.inf).amin(0)
    counted = (there.any(-2) & alive.unsqueeze(-1)).any(0)
    missed = (closest >= card.reach) & (closest < 2 * card.reach)
    # A target that is gone was not left: it was served.
    abandoned = (closest < card.reach) & left & (of_target >= card.reach)
    aims = torch.ones_like(of_agent) if card.goal is None else (_pick(state[card.goal], ended) >= 0).float()
    nearest_end = _finite(of_agent).sum() / aims.sum().clamp(min=1)
    found = {
        "distance_nearest_end" if card.goal is None else "distance_own_end": nearest_end,
        "distance_target_end": _finite(of_target).sum() / left.sum().clamp(min=1)
        if card.goal is not None
        else _finite(of_target).mean(),
        "near_miss": missed.sum() / counted.sum().clamp(min=1),
        "left_after_reaching": abandoned.sum() / counted.sum().clamp(min=1),
    }
    if card.goal is None:
        found["overlap"] = _mean(_same_target(distance).float(), alive.float())
    if agent.velocity is not None:
        speed = state[agent.velocity].float().norm(dim=-1)
        near = (distance.amin(-1) < 2 * card.reach) & alive.unsqueeze(-1)
        found["speed_near_target"] = (speed * near).sum() / near.sum().clamp(min=1)
    return found


def _pick(value: Tensor, step: Tensor) -> Tensor:
    """[T, P, E, K] at step [P, E] -> [P, E, K]."""
    return value.gather(0, step[None, ..., None].expand(1, *value.shape[1:])).squeeze(0)


def _finite(distance: Tensor) -> Tensor:
    """No target left is no distance left."""
    return torch.where(distance.isfinite(), distance, 0.0)


def _same_target(distance: Tensor) -> Tensor:
    """Whether two agents share their nearest target, [..., N, M] -> [...]."""
    nearest, n = distance.argmin(-1), distance.shape[-2]
    same = nearest.unsqueeze(-1) == nearest.unsqueeze(-2)
    others = ~torch.eye(n, dtype=torch.bool)
    return (same & others).flatten(-2).any(-1) & distance.isfinite().flatten(-2).any(-1)


def _crowded(position: Tensor, collide: float) -> Tensor:
    """Share of agents that touch another one, [..., N, 2] -> [...]."""
    n = position.shape[-2]
    distance = (position.unsqueeze(-2) - position.unsqueeze(-3)).norm(dim=-1)
    return ((distance < collide) & ~torch.eye(n, dtype=torch.bool)).any(-1).float().mean(-1)


def _actions(episodes: Episodes, card: TaskCard) -> dict[str, Tensor]:
    """Discrete: the entropy of an agent's actions as a share of the largest one, 0..1. Continuous: their spread."""
    alive = episodes.alive
    choices = [len(meanings) for meanings in card.actions.meanings]
    if isinstance(card.actions, ContinuousActions):
        spread = [
            episodes.action[..., agent, :size][alive].std(0, correction=0).mean() for agent, size in enumerate(choices)
        ]
        return {"action_spread": torch.stack(spread).mean()}
    counts = [
        torch.bincount(episodes.action[..., agent][alive], minlength=size).float()
        for agent, size in enumerate(choices)
        if size > 1
    ]
    return {"action_entropy": torch.stack([_entropy(c) / _largest(len(c)) for c in counts]).mean()} if counts else {}


def _messages(episodes: Episodes, card: TaskCard) -> dict[str, Tensor]:
    """The entropy of an agent's words, and what they tell of a goal: shares of the largest possible, 0..1.

    Means over the agents that say anything. Of the goals that one counts which an agent's words tell most of.
    """
    words = episodes.state[MESSAGE][1:].float() * episodes.alive[..., None, None]
    speakers = [agent for agent in range(words.shape[-2]) if bool(words[..., agent, :].any())]
    if not speakers or words.shape[-1] < 2:
        return {}
    said = [words[..., agent, :].flatten(0, -2) for agent in speakers]  # each [B, W]
    found = {"message_entropy": torch.stack([_entropy(w.sum(0)) for w in said]).mean() / _largest(words.shape[-1])}
    if card.goal is not None and card.target is not None and (m := card.entity(card.target).count) > 1:
        # An agent without a goal (-1) is a row of zeros, which tells nothing.
        goals = torch.nn.functional.one_hot(episodes.state[card.goal][1:].long() + 1, m + 1)[..., 1:].float()
        told = [torch.stack([_information(w, g.flatten(0, -2)) for g in goals.unbind(-2)]).amax() for w in said]
        found["message_information"] = torch.stack(told).mean() / _largest(min(m, words.shape[-1]))
    return found


def _information(words: Tensor, goals: Tensor) -> Tensor:
    """Mutual information in nats of what was said [B, W] and what was so [B, M], over rows that say something."""
    joint = words.mT @ goals
    return _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint.flatten())


def _entropy(counts: Tensor) -> Tensor:
    """In nats, of counts [K]."""
    share = counts / counts.sum().clamp(min=1e-12)
    return torch.special.entr(share).sum()


def _largest(choices: int) -> Tensor:
    return torch.log(torch.tensor(float(choices)))
