"""The ring keeps the last steps in order, and what is drawn from it lies in one piece."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marlsmith.marl.algorithms.base import Rollout
from marlsmith.marl.algorithms.replay import Replay

P, E, N, D = 2, 3, 2, 4


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def numbered(first: int, count: int, horizon: int = 5, masked: bool = False) -> Rollout:
    """Steps first .. first + count - 1 of a training, whose observations say member, environment and step."""
    step = torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1).expand(count, P, E)
    where = torch.arange(P * E, dtype=torch.float32).view(1, P, E).expand(count, P, E)
    observation = torch.stack((step, where, -step, torch.zeros_like(step)), -1).unsqueeze(3).repeat(1, 1, 1, N, 1)
    observation[..., 3] = torch.arange(N)
    done = (step + 1) % horizon == 0
    mask = (step.unsqueeze(-1) + torch.arange(N)) % 3 > 0
    return Rollout(
        observation,
        observation + 1,
        (step.unsqueeze(-1) + torch.arange(N)).long() % 7,
        torch.stack((step, 3 * step), -1),
        done & (step % 2 == 0),
        done,
        available_after=mask.unsqueeze(-1).repeat(1, 1, 1, 1, 7) if masked else None,
        active=mask if masked else None,
        active_after=~mask if masked else None,
        origin={"wide": step.double().unsqueeze(-1) / 7, "goal": where.long()},
    )


def filled(replay: Replay, rollouts: list[int], masked: bool = False) -> int:
    first = 0
    for count in rollouts:
        replay.add(numbered(first, count, masked=masked))
        first += count
    return first


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 5),
    blocks=st.integers(2, 5),
    rollouts=st.lists(st.integers(1, 10), min_size=1, max_size=12),
    masked=st.booleans(),
)
def test_what_is_drawn_is_a_run_of_steps_that_are_still_held(
    length: int, blocks: int, rollouts: list[int], masked: bool
) -> None:
    replay = Replay(blocks * length, P, E, N, D, length)
    total = filled(replay, [min(count, replay.capacity) for count in rollouts], masked)
    if replay.sequences == 0:
        return
    batch = replay.gather(replay.draw(40, generators(1, 2)))
    step = batch.observation[..., 0, 0]
    assert torch.equal(step, step[..., :1] + torch.arange(length)), "not one run"
    assert int(step.min()) >= total - int(replay.filled), "overwritten"
    assert int(step.max()) < total, "not yet written"
    where = batch.observation[..., 0, 1].long()
    assert torch.equal(where // E, torch.arange(P).view(P, 1, 1).expand_as(where)), "another member's"
    assert torch.equal(where, where[..., :1].expand_as(where)), "another environment's"
    # Every field belongs to the same step.
    own = numbered(0, total, masked=masked)
    at, member, environment = step.long(), where // E, where % E
    assert torch.equal(batch.after, own.after[at, member, environment])
    assert torch.equal(batch.action, own.action[at, member, environment])
    assert torch.equal(batch.terminated, own.terminated[at, member, environment])
    assert torch.equal(batch.done, own.done[at, member, environment])
    for name in ("available_after", "active", "active_after"):
        mask = getattr(own, name)
        assert (getattr(batch, name) is None) == (mask is None)
        assert mask is None or torch.equal(getattr(batch, name), mask[at, member, environment])


def test_all_that_can_be_drawn_is_drawn_evenly() -> None:
    """Torn or not: 2 x 3 whole blocks of 2 out of 3, drawn 6,000 times."""
    replay = Replay(6, P, E, N, D, 2)
    filled(replay, [4, 3])
    assert replay.sequences == 2 * E
    begins, counts = replay.draw(6000, generators(1, 2))[1].unique(return_counts=True)
    assert len(begins) == 2 * E
    assert int(counts.min()) > 850
    assert int(counts.max()) < 1150


def test_whole_episodes_are_drawn_where_all_are_as_long_as_a_sequence() -> None:
    replay = Replay(20, P, E, N, D, 5)
    filled(replay, [10, 10, 10])
    done = replay.gather(replay.draw(50, generators(1, 2))).done
    assert torch.equal(done, torch.tensor([False, False, False, False, True]).expand_as(done))


def test_a_member_draws_the_same_beside_others_or_alone() -> None:
    together, alone = Replay(10, P, E, N, D, 1), Replay(10, 1, E, N, D, 1)
    filled(together, [7])
    rollout = numbered(0, 7)
    own = {
        name: getattr(rollout, name)[:, 1:]
        for name in ("observation", "after", "action", "reward", "terminated", "done")
    }
    alone.add(Rollout(**own))
    seen = together.gather(together.draw(9, generators(1, 2))).observation[1]
    assert torch.equal(seen, alone.gather(alone.draw(9, generators(2))).observation[0])


def test_the_reward_is_the_mean_of_those_that_took_part() -> None:
    replay = Replay(4, P, E, N, D, 1)
    rollout = replace(numbered(2, 1), reward=torch.tensor([2.0, 6.0]).expand(1, P, E, N))
    for active, expected in (((True, True), 4.0), ((False, True), 6.0), ((False, False), 0.0)):
        replay = Replay(4, P, E, N, D, 1)
        replay.add(replace(rollout, active=torch.tensor(active).expand(1, P, E, N)))
        assert replay.gather(replay.draw(3, generators(1, 2))).reward.unique().tolist() == [expected]


def test_relabelling_sees_the_steps_in_order_and_changes_nothing_else() -> None:
    for rollouts in ([4], [8, 5], [8, 8, 3]):
        replay = Replay(10, P, E, N, D, 2)
        total = filled(replay, rollouts, masked=True)
        held = min(total, 10)

        def longer(rollout: Rollout, total: int = total, held: int = held) -> Rollout:
            own = numbered(total - held, held, masked=True)
            assert torch.equal(rollout.observation, own.observation)
            assert torch.equal(rollout.after, own.after)
            assert torch.equal(rollout.action, own.action)
            assert torch.equal(rollout.done, own.done)
            torch.testing.assert_close(rollout.origin["wide"], own.origin["wide"].float())
            assert torch.equal(rollout.origin["goal"], own.origin["goal"])
            assert rollout.active is not None
            assert torch.equal(rollout.active, own.active)
            return replace(
                rollout,
                observation=torch.cat((rollout.observation, rollout.observation[..., :1] * 2), -1),
                after=torch.cat((rollout.after, rollout.after[..., :1] * 3), -1),
                reward=rollout.origin["goal"].unsqueeze(-1).expand(-1, -1, -1, N).float(),
            )

        replay.relabel(longer)
        batch = replay.gather(replay.draw(30, generators(1, 2)))
        assert batch.observation.shape[-1] == D + 1
        assert torch.equal(batch.observation[..., 4], 2 * batch.observation[..., 0])
        assert torch.equal(batch.after[..., 4], 3 * batch.after[..., 0])
        assert batch.active is not None
        took_part = batch.active.any(-1)
        assert torch.equal(batch.reward[took_part], batch.observation[..., 0, 1][took_part])
        own = numbered(0, total, masked=True)
        at, where = batch.observation[..., 0, 0].long(), batch.observation[..., 0, 1].long()
        assert torch.equal(batch.action, own.action[at, where // E, where % E])
        # What is written next goes behind the rest.
        replay.add(
            replace(
                numbered(total, 2, masked=True),
                observation=torch.full((2, P, E, N, D + 1), 99.0),
                after=torch.full((2, P, E, N, D + 1), 99.0),
            )
        )
        seen: list[Rollout] = []
        replay.relabel(lambda rollout, seen=seen: seen.append(rollout) or rollout)  # type: ignore[func-returns-value]
        assert (seen[0].observation[-2:] == 99).all()
        assert (seen[0].observation[:-2] != 99).all()


def test_an_empty_ring_has_nothing_to_relabel() -> None:
    def never(rollout: Rollout) -> Rollout:
        raise AssertionError("called for nothing")

    Replay(10, P, E, N, D, 1).relabel(never)


def test_a_saved_ring_goes_on_bit_for_bit() -> None:
    first, second = Replay(10, P, E, N, D, 2), Replay(10, P, E, N, D, 2)
    filled(first, [8, 5], masked=True)
    saved = {name: tensor.clone() for name, tensor in first.tensors()}
    second.make_room(saved)
    assert {name: tensor.shape for name, tensor in second.tensors()} == {k: v.shape for k, v in saved.items()}
    for name, tensor in second.tensors():
        tensor.copy_(saved[name])
    for replay in (first, second):
        replay.add(numbered(13, 4, masked=True))
    for (name, one), (_, other) in zip(first.tensors(), second.tensors(), strict=True):
        assert torch.equal(one, other), name
    drawn = [replay.gather(replay.draw(20, generators(1, 2))) for replay in (first, second)]
    assert torch.equal(drawn[0].observation, drawn[1].observation)
