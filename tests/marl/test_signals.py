"""Both forms of the genome: every config prints as code that is accepted, runs, and means what it says."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from states import check_program, check_signal, random_play, sample_states

from marlsmith.marl.signals.files import parse_config, read_signal
from marlsmith.marl.signals.join import join
from marlsmith.marl.signals.program import StateView, build_program
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.schemas import (
    AnyFeature,
    AnyTerm,
    Approach,
    Code,
    Collision,
    Crowding,
    Fade,
    Feature,
    Native,
    ObservationConfig,
    Progress,
    Reach,
    RewardConfig,
    Signal,
    SignalError,
    SlowNearTarget,
    Speed,
    TargetDistance,
    TargetIndex,
    TargetOffset,
    TeamDistance,
    TeamSuccess,
    Term,
    UniqueCoverage,
)

TASK = make_task("mpe/simple_spread")
CARD = TASK.card


def kinds(base: type) -> list[type]:
    return sorted((kind for kind in base.__subclasses__()), key=lambda kind: kind.__name__)


def with_rules(kind: type) -> list[object]:
    rules = ("nearest", "optimal", "own") if "assignment" in kind.model_fields else (None,)
    return [kind() if rule is None else kind(assignment=rule) for rule in rules]


EVERY_TERM = [term for kind in kinds(Term) for term in with_rules(kind)]
EVERY_FEATURE = [feature for kind in kinds(Feature) for feature in with_rules(kind)]


def only(term: Term) -> Signal:
    return Signal(reward=RewardConfig(alpha=1.0 if term.credit == "agent" else 0.0, terms=(term,)))


def observing(*features: Feature, scope: str = "own") -> Signal:
    return Signal(observation=ObservationConfig(scope=scope, features=features))


def view(agents: list[list[float]], landmarks: list[list[float]], prev: list[list[float]] | None = None) -> StateView:
    """One hand-made state of three agents and three landmarks, with its observations."""
    now = {"agent_pos": agents, "landmark_pos": landmarks}
    before = {"agent_pos": prev or agents, "landmark_pos": landmarks}

    def fields(raw: dict[str, list[list[float]]]) -> dict[str, torch.Tensor]:
        tensors = {name: torch.tensor(value)[None] for name, value in raw.items()}
        return {**tensors, "agent_vel": torch.full((1, 3, 2), 0.3)}

    state = fields(now)
    obs = TASK.observe({name: value[None].double() for name, value in state.items()})[0]
    common = {
        "obs": obs,
        "prev_obs": obs,
        "action": torch.zeros(1, 3, dtype=torch.int64),
        "reward": torch.tensor([[-1.0, -2.0, -3.0]]),
        "time": torch.tensor([0.5]),
        "training_progress": torch.tensor([0.25]),
        "gamma": 0.9,
    }
    return StateView({**common, **state, "prev": StateView({**common, **fields(before)})})


def reward(signal: Signal, state: StateView) -> list[float]:
    total, _ = build_program(signal, CARD).reward(state, 1, 3)
    return [round(value, 5) for value in total[0].tolist()]


def features(signal: Signal, state: StateView) -> list[list[float]]:
    found = build_program(signal, CARD).features(state.obs, None)[0]
    return [[round(value, 5) for value in row] for row in found.tolist()]


# Two agents are nearest to landmark 0; shared out, agent 1 takes landmark 1 and agent 2 the far one.
AGENTS = [[0.0, 0.05], [0.0, 0.3], [0.9, 0.0]]
LANDMARKS = [[0.0, 0.0], [0.0, 0.9], [0.9, -0.4]]
STATE = view(AGENTS, LANDMARKS)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Approach(assignment="nearest"), [-0.05, -0.3, -0.4]),
        (Approach(assignment="optimal"), [-0.05, -0.6, -0.4]),
        (Approach(assignment="optimal", form="squared", weight=2), [-0.005, -0.72, -0.32]),
        (Approach(assignment="own", credit="team"), [-0.35] * 3),
        (Reach(assignment="nearest", threshold=0.35), [1, 1, 0]),
        (Reach(assignment="optimal", threshold=0.5), [1, 0, 1]),
        (UniqueCoverage(threshold=0.5, credit="team"), [round(2 / 3, 5)] * 3),
        (UniqueCoverage(threshold=0.5), [1, 0, 1]),
        (TeamDistance(), [round(-(0.05 + 0.6 + 0.4) / 3, 5)] * 3),
        (TeamSuccess(threshold=0.61), [1, 1, 1]),
        (TeamSuccess(threshold=0.59), [0, 0, 0]),
        (Collision(), [-1, -1, 0]),
        (Crowding(radius=0.5), [-0.5, -0.5, 0]),
        (SlowNearTarget(assignment="nearest", threshold=0.1), [round(-(0.18**0.5), 5), 0, 0]),
        (Native(weight=2), [-2, -4, -6]),
        (Native(fade=Fade(start=0, end=0.5)), [-0.5, -1, -1.5]),
        (TeamDistance(fade=Fade(start=0.5, end=1)), [round(-(0.05 + 0.6 + 0.4) / 3, 5)] * 3),
    ],
    ids=lambda value: value.kind if isinstance(value, Term) else "",
)
def test_terms_mean_what_they_say(term: Term, expected: list[float]) -> None:
    assert reward(only(term), STATE) == pytest.approx(expected, abs=1e-5)


def test_progress_and_potential_compare_with_the_step_before() -> None:
    moved = view([[0.0, 0.05], [0.0, 0.5], [0.9, 0.0]], LANDMARKS, prev=AGENTS)
    assert reward(only(Progress(assignment="optimal")), moved) == pytest.approx([0, 0.2, 0])
    shaped = reward(only(Approach(assignment="optimal", potential=True)), moved)
    assert shaped == pytest.approx([0.9 * -0.05 + 0.05, 0.9 * -0.4 + 0.6, 0.9 * -0.4 + 0.4], abs=1e-5)


def test_hybrid_reward_is_equation_one() -> None:
    signal = Signal(reward=RewardConfig(alpha=0.25, terms=(Native(), TeamSuccess(threshold=3.0, weight=8))))
    assert reward(signal, STATE) == pytest.approx([0.25 * -1 + 6, 0.25 * -2 + 6, 0.25 * -3 + 6])
    per_agent = "ALPHA = [0.0, 0.5, 1.0]\ndef agent_reward(state):\n    return state.reward\n"
    per_agent += "def global_reward(state):\n    return state.time * 20\n"
    assert reward(Signal(reward=Code(source=per_agent)), STATE) == pytest.approx([10, 4, -3])


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (TargetOffset(assignment="optimal"), [[0, -0.05], [0, 0.6], [0, -0.4]]),
        (TargetOffset(assignment="own"), [[0, -0.05], [0, 0.6], [0, -0.4]]),
        (TargetOffset(assignment="nearest"), [[0, -0.05], [0, -0.3], [0, -0.4]]),
        (TargetDistance(assignment="optimal"), [[0.05], [0.6], [0.4]]),
        (TargetIndex(assignment="optimal"), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (Speed(), [[0.18**0.5]] * 3),
    ],
    ids=lambda value: value.kind if isinstance(value, Feature) else "",
)
def test_features_mean_what_they_say(feature: Feature, expected: list[list[float]]) -> None:
    found = features(observing(feature), STATE)
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("n", [3, 5])
def test_agents_that_see_alone_agree_on_the_optimal_assignment(n: int) -> None:
    """Scope own: each agent shares out the targets from its own observation, and all find the same."""
    task = SimpleSpread(agents=n)
    state = random_play(task)
    program = build_program(observing(TargetIndex(assignment="optimal")), task.card)
    chosen = program.features(state.obs, None).argmax(-1)
    distance = (state.agent_pos.unsqueeze(2) - state.landmark_pos.unsqueeze(1)).norm(dim=-1)
    orders = torch.tensor(list(itertools.permutations(range(n))))
    best = orders[distance[:, torch.arange(n), orders].sum(-1).argmin(-1)]
    assert (chosen == best).all(-1).float().mean() > 0.995  # ties but for rounding


def test_beyond_six_agents_the_assignment_is_greedy_and_still_one_to_one() -> None:
    task = SimpleSpread(agents=8)
    program = build_program(observing(TargetIndex(assignment="optimal")), task.card)
    state = random_play(task)
    taken = program.features(state.obs[:64], None).sum(1)
    assert torch.equal(taken, torch.ones_like(taken))


@pytest.mark.parametrize("term", EVERY_TERM, ids=lambda term: f"{term.kind}-{getattr(term, 'assignment', '')}")
@pytest.mark.parametrize("potential", [False, True])
def test_every_term_passes_its_own_checks(term: Term, potential: bool) -> None:
    if potential and term.kind in {"progress", "native"}:
        with pytest.raises(ValidationError, match="potential"):
            type(term)(potential=True)
        return
    changed = term.model_copy(update={"potential": potential, "fade": Fade(start=0.2, end=0.8)})
    check_program(build_program(Signal(reward=RewardConfig(terms=(changed, Approach()))), CARD), TASK, "own")


@pytest.mark.parametrize("feature", EVERY_FEATURE, ids=lambda one: f"{one.kind}-{getattr(one, 'assignment', '')}")
def test_every_feature_passes_its_own_checks(feature: Feature) -> None:
    team = feature.kind == "teammate_observations"
    signal = observing(feature, scope="team" if team else "own")
    check_program(build_program(signal, CARD), TASK, "team" if team else "own")
    if team:
        with pytest.raises(SignalError, match="SCOPE"):
            check_program(build_program(signal, CARD), TASK, "own")


TERMS = st.lists(st.sampled_from(EVERY_TERM), min_size=1, max_size=6)
FEATURES = st.lists(
    st.sampled_from([f for f in EVERY_FEATURE if f.kind != "teammate_observations"]), min_size=1, max_size=6
)


@given(TERMS, FEATURES, st.floats(0, 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_any_config_prints_as_code_that_is_the_same_signal(
    terms: list[AnyTerm], features: list[AnyFeature], alpha: float
) -> None:
    config = Signal(
        reward=RewardConfig(alpha=round(alpha, 3), terms=tuple(terms)),
        observation=ObservationConfig(features=tuple(features)),
    )
    text = to_code(config, CARD)
    code = read_signal("printed.py", text)
    assert code.reward == code.observation == Code(source=text)
    state = random_play(TASK)
    one, other = build_program(config, CARD), build_program(code, CARD)
    rows, agents = state.reward.shape
    assert torch.equal(one.reward(state, rows, agents)[0], other.reward(state, rows, agents)[0])
    assert torch.equal(one.features(state.obs, None), other.features(state.obs, None))
    assert len(one.reward(state, rows, agents)[1]) == len(terms)


def test_config_schema_round_trips_through_json() -> None:
    for kind, every in ((AnyTerm, EVERY_TERM), (AnyFeature, EVERY_FEATURE)):
        adapter = TypeAdapter(kind)
        for one in every:
            assert adapter.validate_json(one.model_dump_json()) == one


# ---------------------------------------------------------------- dynamic checks

REFUSED = {
    "wrong shape": ("def agent_reward(state):\n    return state.reward[:, :2]", "returned shape"),
    "a number": ("def global_reward(state):\n    return 1.0", "float"),
    "nan": ("def agent_reward(state):\n    return torch.log(state.agent_pos[..., 0])", "NaN or infinity"),
    "nan at the edge": (
        "def agent_reward(state):\n    d = state.agent_pos.norm(dim=-1)\n    return torch.where(d > 0, d, d) / d",
        "zeros",
    ),
    "double": ("def agent_reward(state):\n    return state.reward.double()", "float32"),
    "constant": ("def agent_reward(state):\n    return torch.ones_like(state.reward)", "same in every state"),
    "huge": ("def agent_reward(state):\n    return state.reward * 1e6", "keep |reward|"),
    "leak": ("def agent_reward(state):\n    return state.reward - state.reward.mean()", "other states of the batch"),
    "mutation": (
        "def agent_reward(state):\n    r = state.reward\n    r[:, 0] = 0.5\n    return r",
        "changes its input",
    ),
    "random": ("def agent_reward(state):\n    return state.reward + torch.rand_like(state.reward)", "rand_like"),
    "unknown field": ("def agent_reward(state):\n    return state.obs[..., 0] + state.prev_obs[..., 99]", "index"),
    "state of its own": (
        "COUNT = [0.0]\ndef agent_reward(state):\n    COUNT.append(1.0)\n    return state.reward * len(COUNT)",
        "changing COUNT, which stands at module level",
    ),
    "memory of the first call": (
        "SCALE = []\ndef agent_reward(state):\n    if len(SCALE) == 0:\n        SCALE.append(state.reward.std())\n"
        "    return state.reward * SCALE[0]",
        "changing SCALE, which stands at module level",
    ),
    "infinite at the start": (
        "def agent_reward(state):\n    return state.reward / state.training_progress.unsqueeze(-1)",
        "NaN or infinity",
    ),
    "a name that is an escape": ('def global_reward(state):\n    return {"\\x1b[2J": state.time}', "has a term named"),
    "too many terms": (
        'def global_reward(state):\n    return {f"t{i}": state.time for i in range(99)}',
        "99 terms",
    ),
    "action one step before": (
        "def agent_reward(state):\n    return (state.action - state.prev.action).float()",
        "no field 'action'",
    ),
    "huge features": ("def enhance_observation(obs):\n    return obs * 1e30", "scale features"),
    "other rows": (
        "def enhance_observation(obs):\n    return obs.mean(1, keepdim=True).expand_as(obs)",
        "other agents",
    ),
    "feature shape": ("def enhance_observation(obs):\n    return obs[:, :, 0]", "returned shape"),
    "feature nan": ("def enhance_observation(obs):\n    return 1 / obs[..., :2]", "NaN or infinity"),
    "too wide": ("def enhance_observation(obs):\n    return obs.repeat(1, 1, 20)", "features"),
    "alpha": ("ALPHA = 3.0\ndef agent_reward(state):\n    return state.reward", "ALPHA"),
    "scope": ('SCOPE = "all"\ndef enhance_observation(obs):\n    return obs * 2', "SCOPE"),
    "slow": (
        "def agent_reward(state):\n    x = torch.ones(200, 200)\n    for i in range(3000):\n        x = x @ x * 0.001\n"
        "    return state.reward + x[0, 0]",
        "vectorise",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unsound_code_is_refused_with_a_reason(case: str) -> None:
    source, message = REFUSED[case]
    with pytest.raises((SignalError, IndexError, AttributeError), match=message):
        check_signal(read_signal("case.py", f"import torch\n{source}\n"), TASK, "own")


ACCEPTED = {
    "plain": "def agent_reward(state):\n    return -state.agent_pos.norm(dim=-1)",
    "history": "def enhance_observation(obs, history):\n    return history[:, -1, :, :2] - history[:, -2, :, :2]",
    "leros name": "def stateEnhance(obs):\n    return obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)",
    "terms and time": (
        "def global_reward(state):\n    near = (state.time > 0.5).float()\n"
        '    return {"late": near, "pos": state.agent_pos.mean((1, 2))}'
    ),
    "numpy and math": (
        "import math\nimport numpy as np\nSCALE = float(np.sqrt(2.0)) * math.pi\n"
        "def agent_reward(state):\n    return state.reward * SCALE / 4"
    ),
    "helper": (
        "def gap(a, b):\n    return (a - b).norm(dim=-1)\n"
        "def agent_reward(state):\n    return -gap(state.agent_pos, state.prev.agent_pos)"
    ),
    "a bonus for success alone": (
        "def global_reward(state):\n    d = torch.cdist(state.landmark_pos, state.agent_pos).amin(-1)\n"
        "    return (d < 0.1).all(-1).float()"
    ),
    "default argument": "def enhance_observation(obs, scale=2.0):\n    return obs[..., :2] * scale",
    "prints": "def agent_reward(state):\n    print('x')\n    return state.reward",
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_honest_code_is_accepted(case: str) -> None:
    check_signal(read_signal("case.py", f"import torch\n{ACCEPTED[case]}\n"), TASK, "own")


@pytest.mark.parametrize(
    "signal",
    [
        Signal(reward=Code(source="def agentreward(state):\n    return state.reward\n")),
        Signal(reward=Code(source="def enhance_observation(obs):\n    return obs\n")),
        Signal(observation=Code(source="def enhance(obs):\n    return obs\n")),
        Signal(observation=Code(source="def agent_reward(state):\n    return state.reward\n")),
    ],
)
def test_a_part_must_define_its_own_function(signal: Signal) -> None:
    """Otherwise a misspelled proposal would train natively under a candidate's name."""
    with pytest.raises(SignalError, match="defines none of"):
        build_program(signal, CARD)


@pytest.mark.parametrize(
    ("source", "form"),
    [
        (
            "def agent_reward(self, state, world):\n    return 0.0\ndef global_reward(a, b):\n    return a\n",
            r"\(world\)",
        ),
        ("def enhance_observation():\n    return 0.0\n", r"enhance_observation\(obs, history\)"),
    ],
)
def test_other_parameters_are_refused_with_the_right_form(source: str, form: str) -> None:
    with pytest.raises(SignalError, match=form):
        read_signal("form.py", source)


@pytest.mark.parametrize(
    "term", [Reach(threshold=5e-5), Collision(distance=1e-5), Approach(form="exponential", scale=3e-5)]
)
def test_small_numbers_are_printed_as_python(term: Term) -> None:
    build_program(only(term), CARD)


def test_no_digit_is_lost_in_print() -> None:
    config = RewardConfig(
        alpha=0.123456789, terms=(Approach(weight=1.23456789, fade=Fade(start=0.9999999, end=1)), TeamDistance())
    )
    text = to_code(Signal(reward=config), CARD)
    for number in ("0.123456789", "1.23456789", "0.9999999"):
        assert number in text


def test_team_scope_is_accepted_where_it_is_allowed() -> None:
    source = 'SCOPE = "team"\ndef enhance_observation(obs):\n    return obs.roll(1, 1)\n'
    program = build_program(read_signal("team.py", source), CARD)
    check_program(program, TASK, "team")
    with pytest.raises(SignalError, match="--scope team"):
        check_program(program, TASK, "own")


def test_sampled_states_are_what_training_meets() -> None:
    views = sample_states(TASK)
    state = views["random play"]
    assert state.obs.shape == (256, 3, 18)
    assert state.prev.agent_pos.shape == state.agent_pos.shape
    moved = (state.agent_pos - state.prev.agent_pos).norm(dim=-1)
    assert 0 < float(moved.max()) < 0.5  # agents that overlap push each other apart
    assert float(views["a state of zeros"].agent_pos.abs().max()) == 0


# ---------------------------------------------------------------- files and joining


def test_files_become_signals() -> None:
    source = "def agent_reward(state):\n    return state.reward\ndef enhance_observation(obs):\n    return obs\n"
    both = read_signal("both.py", source)
    assert both.reward == both.observation == Code(source=source)
    config = read_signal("config.json", json.dumps({"terms": [{"kind": "reach"}], "features": [{"kind": "speed"}]}))
    assert config == Signal(reward=RewardConfig(terms=(Reach(),)), observation=ObservationConfig(features=(Speed(),)))
    kept = config.model_dump_json()
    assert read_signal("nested.json", kept) == config
    assert read_signal("candidate.json", f'{{"id": "s1r1c1", "signal": {kept}}}') == config


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "[]", "object"),
        ("a.json", "{}", "neither"),
        ("a.json", '{"terms": [{"kind": "fly"}]}', "fly"),
        ("a.json", '{"terms": [{"kind": "reach", "threshold": -1}]}', "greater than 0"),
        ("a.json", '{"terms": [], "speed": 1}', "object with"),
        ("a.py", "def f(:", "line 1"),
        ("a.py", "x = 1", "defines none of"),
        ("a.py", "", "defines none of"),
    ],
)
def test_files_that_are_no_signals_are_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        read_signal(name, text)


def test_parse_config_names_the_faulty_place() -> None:
    with pytest.raises(SignalError, match=r"features\.0"):
        parse_config({"features": [{"kind": "speed", "colour": "red"}]})


def test_joined_modules_keep_their_parameters_imports_and_alpha() -> None:
    first = "import torch\nfrom math import pi\nK = 5.0\ndef weigh(x):\n    return x * K\nALPHA = 0.25\n"
    first += "def agent_reward(state):\n    return weigh(state.reward)\n"
    first += "def global_reward(state):\n    return state.time * pi\n"
    second = "import torch\nALPHA: float = 0.9\nK = 100.0\npi = 3.0\ndef weigh(x, K):\n    return x * K\n"
    second += (
        "def enhance_observation(obs):\n    return weigh(obs, 2.0) + torch.stack([K * 0 + pi * k for k in obs * 0])\n"
    )
    joined = build_program(read_signal("joined.py", join(first, second)), CARD)
    assert torch.equal(joined.features(STATE.obs, None), STATE.obs * 2)
    assert joined.alpha.tolist() == [0.25] * 3
    total, _ = joined.reward(STATE, 1, 3)
    torch.testing.assert_close(total, 0.25 * STATE.reward * 5 + 0.75 * STATE.time[:, None] * 3.14159265)


def test_what_cannot_be_joined_is_refused_and_never_crashes() -> None:
    deep = "def agent_reward(state):\n    return state.reward\nx = 0" + " + 1" * 3000 + "\n"
    with pytest.raises(SignalError):
        join(deep, "def enhance_observation(obs):\n    return obs\n")


def test_two_modules_join_without_mixing_their_helpers() -> None:
    first = "import torch\nK = 2.0\ndef help(x):\n    return x * K\n"
    first += "def agent_reward(state):\n    return help(state.reward)\n"
    first += "def enhance_observation(obs):\n    return obs * 100\n"
    second = (
        "import torch\nK = 3.0\ndef help(x):\n    return x * K\ndef enhance_observation(obs):\n    return help(obs)\n"
    )
    joined = build_program(read_signal("joined.py", join(first, second)), CARD)
    assert torch.equal(joined.features(STATE.obs, None), STATE.obs * 3)
    assert torch.equal(joined.reward(STATE, 1, 3)[0], STATE.reward * 2)
    mixed = Signal(reward=Code(source=first), observation=ObservationConfig(features=(TargetOffset(),)))
    program = build_program(mixed, CARD)
    assert torch.equal(program.reward(STATE, 1, 3)[0], STATE.reward * 2)
    assert program.features(STATE.obs, None).shape == (1, 3, 2)
