"""A candidate that carries the incumbent's columns: both parts' features, side by side, and the checks let it pass."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import test_honest as honest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from marlsmith.marl.algorithms import ALGORITHMS
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.samples import sample
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.signals.carrying import carried
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import HISTORY, build_program
from marlsmith.marl.signals.static import checked_tree
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    NATIVE,
    AgentDistances,
    AnyFeature,
    Approach,
    Code,
    NearestAgentOffset,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    SignalError,
    Speed,
    TargetClaims,
    TargetDistance,
    TargetDistances,
    TargetIndex,
    TargetOffset,
    TaskCard,
    TeammateObservations,
    ThresholdMargin,
)

TASKS = {name: make_task(name) for name in ("mpe/simple_spread_sparse", "mpe/simple_reference", "lbf/8x8-2p-2f-coop")}
SPREAD = TASKS["mpe/simple_spread_sparse"]
REWARD = RewardConfig(terms=(Approach(),))
CORPUS: dict[str, list[tuple[str, Signal]]] = {}
for file in honest.FILES:
    CORPUS.setdefault(honest.of(file)[0], []).append((file.name, read_signal(file.name, file.read_text())))
PAIRS = [
    (task, one, other)
    for task, files in CORPUS.items()
    for (one, first), (other, _) in itertools.product(files, files)
    if first.observation is not None and one != other
]


def of_corpus(task: str, name: str) -> Signal:
    return dict(CORPUS[task])[name]


def seen(card: TaskCard, rows: int = 24) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(7)
    history = torch.randn(rows, HISTORY, card.agents, card.observation_size, generator=draws)
    return history[:, -1].clone(), history


def features(signal: Signal, card: TaskCard) -> Tensor:
    obs, history = seen(card)
    return build_program(signal, card).features(obs, history)


def has_both(whole: Signal, first: Signal, second: Signal, card: TaskCard) -> None:
    """The columns of the first, to the bit, then those of the second."""
    parts = [features(one, card) for one in (first, second) if one.observation is not None]
    assert torch.equal(features(whole, card), torch.cat(parts, -1))


def team(signal: Signal, card: TaskCard) -> bool:
    return build_program(signal, card).scope == "team"


# ---------------------------------------------------------------- configurations


def test_what_is_not_there_is_not_carried() -> None:
    plain, seeing = Signal(reward=REWARD), Signal(observation=ObservationConfig(features=(Speed(),)))
    assert carried(NATIVE, seeing, SPREAD.card) == seeing
    assert carried(plain, NATIVE, SPREAD.card) == NATIVE
    assert carried(seeing, plain, SPREAD.card) == Signal(reward=REWARD, observation=seeing.observation)
    assert carried(seeing, NATIVE, SPREAD.card) == seeing
    assert carried(seeing, seeing, SPREAD.card) == seeing


def config(*kinds: AnyFeature, scope: Any = "own", reward: RewardConfig | None = None) -> Signal:
    return Signal(reward=reward, observation=ObservationConfig(scope=scope, features=kinds))


def test_features_of_both_stand_in_the_order_of_the_incumbent() -> None:
    incumbent = config(Speed(), TargetOffset(), reward=RewardConfig(terms=(Reach(),)))
    mixed = config(TargetDistance(), TargetOffset(), AgentDistances(), reward=REWARD)
    assert carried(incumbent, mixed, SPREAD.card) == config(
        Speed(), TargetOffset(), TargetDistance(), AgentDistances(), reward=REWARD
    )
    fewer = config(TargetOffset(), reward=REWARD)
    assert carried(incumbent, fewer, SPREAD.card) == config(Speed(), TargetOffset(), reward=REWARD)


def test_one_of_team_scope_makes_it_team_scope_where_it_adds_something() -> None:
    own, wide = config(Speed()), config(TeammateObservations(), scope="team")
    assert carried(own, wide, SPREAD.card) == config(Speed(), TeammateObservations(), scope="team")
    assert carried(wide, own, SPREAD.card) == config(TeammateObservations(), Speed(), scope="team")
    assert carried(own, config(Speed(), scope="team"), SPREAD.card) == own


def test_too_many_features_are_refused_in_one_sentence() -> None:
    many = [TargetDistance(), *(ThresholdMargin(threshold=0.1 * (i + 1)) for i in range(11))]
    with pytest.raises(SignalError) as refused:
        carried(config(*many), config(*(ThresholdMargin(threshold=9.0 + i) for i in range(5))), SPREAD.card)
    assert str(refused.value) == (
        "the policy already reads 12 features, and 5 new ones are too many: propose fewer, or repeat those that it "
        "reads"
    )


@st.composite
def vocabulary(draw: st.DrawFn, task: str) -> Signal:
    """Any configuration that its task accepts."""
    rule = st.sampled_from(("nearest", "own", "together", "optimal"))
    kinds: list[st.SearchStrategy[Any]] = [
        *(st.builds(kind, assignment=rule) for kind in (TargetOffset, TargetDistance, TargetIndex, ThresholdMargin)),
        *(st.builds(kind) for kind in (TargetDistances, TargetClaims, AgentDistances, NearestAgentOffset, Speed)),
        st.builds(TeammateObservations),
    ]
    kept = []
    scope = draw(st.sampled_from(("own", "team")))
    for feature in draw(st.lists(st.one_of(kinds), min_size=1, max_size=5)):
        try:
            alone = config(feature, scope=scope)
            checked_tree(alone, TASKS[task].card)
        except (SignalError, ValidationError):
            continue
        kept.append(feature)
    reward = draw(st.sampled_from((None, REWARD)))
    return config(*(kept or [Speed() if task.startswith("mpe") else TargetDistances()]), scope=scope, reward=reward)


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
def test_any_two_configurations_together_are_one(task: str, data: st.DataObject) -> None:
    card = TASKS[task].card
    first, second = data.draw(vocabulary(task)), data.draw(vocabulary(task))
    whole = carried(first, second, card)
    checked_tree(whole, card)
    assert isinstance(first.observation, ObservationConfig)
    assert isinstance(second.observation, ObservationConfig)
    assert isinstance(whole.observation, ObservationConfig)
    before, after = features(first, card), features(whole, card)
    assert torch.equal(after[..., : before.shape[-1]], before)
    new = [feature for feature in second.observation.features if feature not in first.observation.features]
    if new:
        has_both(whole, first, config(*new, scope=second.observation.scope), card)
    assert whole.reward == second.reward
    assert carried(first, whole, card).observation == whole.observation, "who carries them already is as it was"


# ---------------------------------------------------------------- code


def test_every_honest_signal_can_carry_every_other() -> None:
    """Statically all pairs of the corpus, those whose names clash among them; each reward stays its candidate's."""
    draw = random.Random(4)
    for task, one, other in draw.sample(PAIRS, 120):
        card, candidate = make_task(task).card, of_corpus(task, other)
        whole = carried(of_corpus(task, one), candidate, card)
        checked_tree(whole, card)
        assert whole.reward == candidate.reward, (one, other)


@pytest.mark.slow
def test_all_pairs_of_honest_signals() -> None:
    for task, one, other in PAIRS:
        card = make_task(task).card
        checked_tree(carried(of_corpus(task, one), of_corpus(task, other), card), card)


def test_columns_of_code_are_those_of_both_modules() -> None:
    draw = random.Random(5)
    for task, one, other in draw.sample(PAIRS, 40):
        card, first, second = make_task(task).card, of_corpus(task, one), of_corpus(task, other)
        if first.observation == second.observation:
            continue
        has_both(carried(first, second, card), first, second, card)


def test_carried_signals_pass_the_dynamic_check() -> None:
    """With samples of the task and the watch over scopes: what both may read, the two together may read."""
    draw = random.Random(6)
    task = "mpe/simple_spread"
    played = make_task(task)
    tried = sample(played, 200)
    for _, one, other in draw.sample([pair for pair in PAIRS if pair[0] == task], 6):
        first, second = of_corpus(task, one), of_corpus(task, other)
        whole = carried(first, second, played.card)
        scope = "team" if team(first, played.card) or team(second, played.card) else "own"
        assert team(whole, played.card) == (scope == "team"), (one, other)
        check_signal(whole, played, scope, tried, lambda: None)


def test_a_signal_carries_what_carried_others() -> None:
    """As in the stages of a run: each incumbent has all columns of those before it, whatever they were written in."""
    task = "mpe/simple_spread"
    card = make_task(task).card
    for seed in range(4):
        draw = random.Random(seed)
        files = [signal for _, signal in CORPUS[task] if signal.observation is not None]
        incumbent = draw.choice(files)
        for _ in range(5):
            candidate = draw.choice([*files, config(*draw.sample([Speed(), TargetOffset(), AgentDistances()], 2))])
            whole = carried(incumbent, candidate, card)
            checked_tree(whole, card)
            before, after = features(incumbent, card), features(whole, card)
            assert torch.equal(after[..., : before.shape[-1]], before)
            if candidate.observation != incumbent.observation:
                assert after.shape[-1] > before.shape[-1]
            incumbent = whole


CLASHING = {
    "helpers and constants": """
import torch
SCALE = 2.0
def helper(x):
    return x * SCALE
def enhance_observation(obs):
    return helper(obs[..., :1])
""",
    "the same names, other meanings": """
import numpy as torch_like
import torch
SCALE, OTHER = 3.0, 1.0
def helper(x, y):
    return x * SCALE + y * OTHER
def enhance_observation(obs, history):
    return helper(obs[..., 1:2], history[:, 0, :, :1])
""",
    "a local name like the other's function": """
import torch as T
def enhance_observation(obs):
    helper = obs[..., :2] + 1
    torch = helper.square()
    return T.cat((helper, torch), -1)
""",
    "changed in place, and an argument elsewhere": """
import torch
def first(x, obs2):
    return x + obs2
def enhance_observation(obs):
    history = torch.zeros_like(obs[..., :1])
    history.clamp_(1.0, 2.0)
    return first(history, obs[..., :1])
""",
    "a method": """
import torch
def helper(self, x):
    return x - 1
def stateEnhance(self, obs):
    return self.helper(obs[..., 2:4])
""",
    "a reward in the same module": """
import torch
from torch import cat
ALPHA = 0.25
SCOPE = "team"
TABLE = torch.tensor([1.0, 2.0])
def helper(state):
    return state.reward
def used(x):
    return cat((x, x * TABLE[1]), -1)
def agent_reward(state):
    return helper(state)
def enhance_observation(obs):
    return used(obs.roll(1, 1)[..., :1])
""",
    "arguments by name": """
import torch
def helper(x, SCALE=2.0, cat=1.0):
    return x * SCALE * cat
def enhance_observation(obs):
    return helper(x=obs[..., :1], cat=4.0)
""",
    "defaults from the module": """
import torch
TABLE = 5.0
def enhance_observation(obs, SCALE=TABLE):
    used = lambda helper: helper * SCALE
    return used(obs[..., :1])
""",
}


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(CLASHING, 2)))
def test_names_are_told_apart(one: str, other: str) -> None:
    """Whatever both modules call by one name goes on to mean what it meant."""
    card = SPREAD.card
    first, second = (Signal(observation=Code(source=CLASHING[name])) for name in (one, other))
    whole = carried(first, second, card)
    checked_tree(whole, card)
    has_both(whole, first, second, card)
    assert team(whole, card) == ("a reward in the same module" in (one, other))
    rewarded = carried(first, Signal(reward=Code(source=CLASHING["a reward in the same module"])), card)
    assert build_program(rewarded, card).agent_reward is not None
    assert torch.equal(features(rewarded, card), features(first, card))


def test_a_reward_is_left_behind() -> None:
    """What only the incumbent's reward needed does not pile up, stage after stage."""
    module = CLASHING["a reward in the same module"]
    both = Signal(reward=Code(source=module), observation=Code(source=module))
    whole = carried(both, config(Speed(), reward=REWARD), SPREAD.card)
    assert isinstance(whole.observation, Code)
    for gone in ("agent_reward", "def helper", "ALPHA"):
        assert gone not in whole.observation.source
    assert whole.reward == REWARD
    back = carried(config(Speed(), reward=REWARD), both, SPREAD.card)
    assert back.reward == both.reward
    has_both(back, config(Speed()), Signal(observation=Code(source=module)), SPREAD.card)
    assert build_program(back, SPREAD.card).alpha[0] == 0.25


def test_what_is_wrong_with_a_candidate_is_said_of_its_own_lines() -> None:
    incumbent = Signal(observation=Code(source=CLASHING["helpers and constants"]))
    wrong = Signal(
        observation=Code(source="import torch\n\ndef enhance_observation(obs):\n    return obs.tofile('x')\n")
    )
    with pytest.raises(SignalError, match=r"^line 4: .*tofile"):
        carried(incumbent, wrong, SPREAD.card)
    computed = 'SCOPE = "te" + "am"\ndef enhance_observation(obs):\n    return obs[..., :1]\n'
    with pytest.raises(SignalError, match=r'^line 1: SCOPE is computed: write SCOPE = "own"'):
        carried(incumbent, Signal(observation=Code(source=computed)), SPREAD.card)


def test_too_much_code_is_refused_in_one_sentence() -> None:
    def long(name: str) -> Signal:
        lines = "\n".join(f"    {name} = {name} + {i}.25" for i in range(550))
        return Signal(
            observation=Code(source=f"def enhance_observation(obs):\n    {name} = obs\n{lines}\n    return {name}\n")
        )

    checked_tree(long("x"), SPREAD.card)
    with pytest.raises(SignalError, match=r"^with the features that the policy already reads, the code has more than"):
        carried(long("x"), long("y"), SPREAD.card)


# ---------------------------------------------------------------- in training


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_training_switches_to_what_carries_and_plays_as_before(algorithm: str) -> None:
    """Configurations and code, own and team scope, with a history: real tasks, several switches in a row."""
    card = SPREAD.card
    small = TrainConfig(algorithm=algorithm, steps=2000, environments=4, rollout=20, hidden=16, replay=800, batch=16)
    made = Trainer(SPREAD, None, small, (1, 2), "add")
    chain = [
        config(TargetOffset(), reward=REWARD),
        Signal(reward=REWARD, observation=Code(source=CLASHING["the same names, other meanings"])),
        config(Speed(), TeammateObservations(), scope="team", reward=RewardConfig(terms=(Reach(),))),
        Signal(observation=Code(source=CLASHING["a method"])),
    ]
    incumbent = NATIVE
    for candidate in chain:
        made.advance()
        made.advance()
        before = made.evaluate(8, seed=3)
        whole = carried(incumbent, candidate, card)
        made.switch(build_program(whole, card), kept=made.observation.shape[-1])
        after = made.evaluate(8, seed=3)
        assert torch.equal(after.action, before.action)
        assert torch.equal(after.reward, before.reward)
        incumbent = whole
    made.advance()
    made.require_health()
    assert made.observation.shape[-1] == card.observation_size + 2 + 1 + 1 + 2 * card.observation_size + 2
    assert len(set(before.action.flatten().tolist())) > 1
