"""The states on which signals are tried: sound, the same each time, and among them what training leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from states import random_play, samples_of
from torch import Tensor

from marlsmith.marl.checking.samples import (
    EDGE,
    ORIGINS,
    RANDOM,
    SLOW_ROWS,
    SOLVED,
    TOGETHER,
    TRAINED,
    Samples,
    pack,
    played,
    sample,
    unpack,
)
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.observing import Observer
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import Code, Signal, UserError

TASK = make_task("mpe/simple_spread")


@pytest.fixture(scope="module")
def samples() -> Samples:
    return samples_of("mpe/simple_spread")


def tensors(view: StateView, before: str = "") -> dict[str, Tensor]:
    found = {}
    for name, value in vars(view).items():
        if isinstance(value, StateView):
            found.update(tensors(value, f"{before}{name}."))
        else:
            found[before + name] = torch.as_tensor(value)
    return found


def same(one: Samples, other: Samples) -> bool:
    here, there = tensors(one.state), tensors(other.state)
    return (
        here.keys() == there.keys()
        and all(torch.equal(here[name], there[name]) and here[name].dtype == there[name].dtype for name in here)
        and torch.equal(one.origin, other.origin)
    )


def test_trained_play_covers_landmarks_at_its_end(samples: Samples) -> None:
    """Random play covers 2% of them; near the end of trained play, exploring included, it is more than half."""
    reached = covered(samples)
    late = samples.state.time > 0.9
    shares = {kind: float(reached[late & (samples.origin == kind)].float().mean()) for kind in (RANDOM, TRAINED)}
    assert shares[TRAINED] > 0.5
    assert shares[RANDOM] < 0.1
    whole_team = reached[samples.origin == TRAINED].all(-1)
    assert int(whole_team.sum()) >= 20


def covered(samples: Samples) -> Tensor:
    """Landmarks with an agent within reach, [B, M]."""
    distance = torch.cdist(samples.state.landmark_pos, samples.state.agent_pos).amin(-1)
    return distance < 0.1


def test_every_kind_of_state_is_there(samples: Samples) -> None:
    counts = torch.bincount(samples.origin, minlength=len(ORIGINS)).tolist()
    assert samples.rows == 1600
    assert counts == [400, 800, 200, 100, 100]
    assert bool(covered(samples)[samples.origin == SOLVED].all())
    together = samples.state.prev.agent_pos[samples.origin == TOGETHER]
    assert torch.equal(together, together[:, :1].expand_as(together))
    edge = samples.state.prev.agent_pos[samples.origin == EDGE].abs()
    assert float(edge.min()) > 0.9
    progress = samples.state.training_progress
    assert (float(progress.min()), float(progress.max())) == (0.0, 1.0)


def test_made_states_are_followed_by_a_step_of_the_simulator(samples: Samples) -> None:
    """Observations and rewards belong to the fields: what solves the sparse task is paid for."""
    state = samples.state
    fields = {name: vars(state)[name].double().unsqueeze(0) for name in ("agent_pos", "agent_vel", "landmark_pos")}
    torch.testing.assert_close(TASK.observe(fields)[0], state.obs, atol=1e-5, rtol=0)
    sparse = sample(make_task("mpe/simple_spread_sparse"))
    assert bool((sparse.state.reward[sparse.origin == SOLVED] == 1).all())
    assert not bool(sparse.state.reward[sparse.origin == RANDOM].any())


def test_the_same_arguments_give_the_same_states(samples: Samples) -> None:
    assert same(samples, sample(TASK))
    assert not same(sample(Foreign()), sample(Foreign(), seed=1))


def test_bytes_carry_them_whole(samples: Samples) -> None:
    assert same(samples, unpack(pack(samples)))
    with pytest.raises(UserError, match="damaged"):
        unpack(pack(samples)[:-9])


@pytest.mark.parametrize("rows", [0, 4_097])
def test_the_number_of_rows_is_bounded(rows: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        sample(TASK, rows)
    assert sample(Foreign(), 7).rows == 400


@pytest.mark.parametrize("name", ["mpe/simple_speaker_listener", "lbf/8x8-2p-2f-coop"])
def test_states_of_every_family_are_finite_and_of_their_own_batch(name: str) -> None:
    task = make_task(name)
    found = sample(task, 450)
    for field, value in tensors(found.state).items():
        assert bool(value.isfinite().all()), field
        assert value.dim() == 0 or len(value) == 450, field
    counts = torch.bincount(found.origin, minlength=len(ORIGINS)).tolist()
    assert counts == [114, 224, 56, 28, 28]
    solved = found.origin == SOLVED
    card = task.card
    targets = vars(found.state.prev)[card.entity(str(card.target)).position][solved]
    distance = torch.cdist(found.state.prev.agent_pos[solved], targets).amin(-1)
    assert bool((distance < card.reach).all())
    if card.goal is not None:
        goals = vars(found.state)[card.goal][solved]
        own = torch.cdist(found.state.prev.agent_pos[solved], targets).gather(-1, goals.clamp(min=0).unsqueeze(-1))
        assert bool((own.squeeze(-1) < 0.1)[goals >= 0].all())


def test_a_history_is_what_an_observer_would_show(samples: Samples) -> None:
    """Of random play, whose rows follow each other: what came before an episode is zero, and the last two are known."""
    view = random_play(TASK, 250)
    history = Samples(view, torch.zeros(250, dtype=torch.int64)).history()
    shown = histories(250)
    assert torch.equal(history[:, -2:], shown[:, -2:])
    zero = (shown == 0).flatten(2).all(-1)
    assert torch.equal((history == 0).flatten(2).all(-1), zero)
    assert int(zero.sum()) > 0
    assert samples.history().shape == (1600, 4, 3, 18)


def test_rows_in_order_come_as_the_rollout_of_a_training(samples: Samples) -> None:
    met: list[StateView] = []

    def reward(state: StateView) -> Tensor:
        met.append(state.clone())
        return state.reward

    built = build_program(Signal(reward=Code(source="def agent_reward(state):\n    return state.reward\n")), TASK.card)
    trainer = Trainer(TASK, replace(built, agent_reward=reward), TrainConfig(), (0, 1, 2, 3))
    trainer.advance()
    trainer.close()
    ordered = samples.in_order()
    for view, other in ((met[0], ordered.state), (met[0].prev, ordered.state.prev)):
        assert torch.equal(view.time, other.time)
        assert bool((view.training_progress == view.training_progress[0]).all())
    rows = ordered.state.agent_pos.flatten(1)
    assert torch.equal(rows.sort(0).values, samples.state.agent_pos.flatten(1).sort(0).values)
    assert torch.equal(torch.bincount(ordered.origin), torch.bincount(samples.origin))


def test_what_has_just_begun_is_what_is_seen_first(samples: Samples) -> None:
    begun = samples.just_begun()
    assert 40 < begun.rows < 100
    assert not bool(begun.state.obs[begun.origin <= TRAINED][..., :2].any())
    history = begun.history_of_none()
    assert torch.equal(history[:, -1], begun.state.obs)
    assert not bool(history[:, :-1].any())


def histories(rows: int) -> Tensor:
    """What the observation function is really given over the same random play."""
    given: list[Tensor] = []

    def enhance(obs: Tensor, history: Tensor) -> Tensor:
        given.append(history.clone())
        return obs

    signal = Signal(observation=Code(source="def enhance_observation(obs, history):\n    return obs\n"))
    built = build_program(signal, TASK.card)
    program = Program(None, None, enhance, True, built.alpha, "team")
    steps = played(TASK, None, rows, 0)
    observer, shown = Observer(program), []
    for t, observation in enumerate(steps.obs_before):
        if t % TASK.card.horizon == 0:
            observer.restart(observation)
        observer.observe(steps.obs_after[t])
        shown.append(given[-1])
    return torch.cat(shown)


class Foreign:
    """A task that cannot be set to a state, as those of others."""

    def __init__(self) -> None:
        self.inner = SimpleSpread()
        self.card = self.inner.card
        self.open = self.inner.open
        self.metrics = self.inner.metrics


def test_environments_of_others_are_stepped_little_and_never_set() -> None:
    task: Task = Foreign()
    found = sample(task)
    assert found.rows == 1600
    assert TRAINED not in found.origin
    played_rows = found.state.obs[found.origin == RANDOM]
    assert len(played_rows.flatten(1).unique(dim=0)) <= SLOW_ROWS + 16  # in whole steps of all environments
    assert bool(covered(found)[found.origin == SOLVED].all())
