"""Prints any signal as one Python module. Configs run by this print alone, so what is read is what is trained."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable

from marlsmith.marl.signals.join import join
from marlsmith.schemas import (
    AnyFeature,
    AnyTerm,
    Code,
    ObservationConfig,
    RewardConfig,
    Signal,
    SignalError,
    TaskCard,
)

MOST_ORDERS = 720
"""Up to so many assignments are compared one by one (6 agents, 6 targets); beyond, the closest pair goes first."""


def to_code(signal: Signal, card: TaskCard) -> str:
    """The signal as one module. Raises SignalError where a config asks for what the task has not."""
    reward, observation = signal.reward, signal.observation
    if isinstance(reward, Code) and isinstance(observation, Code):
        return reward.source if reward == observation else join(reward.source, observation.source)
    configs = write_configs(
        reward if isinstance(reward, RewardConfig) else None,
        observation if isinstance(observation, ObservationConfig) else None,
        card,
    )
    if isinstance(reward, Code):
        return join(reward.source, configs) if observation else reward.source
    if isinstance(observation, Code):
        return join(configs, observation.source) if reward else observation.source
    return configs


def write_configs(reward: RewardConfig | None, observation: ObservationConfig | None, card: TaskCard) -> str:
    parts: list[str] = []
    helpers: dict[str, str] = {}
    constants: list[str] = []
    if reward is not None:
        constants.append(f"ALPHA = {reward.alpha!r}")
        parts += _write_reward(reward, card, helpers)
    if observation is not None:
        constants.append(f'SCOPE = "{observation.scope}"')
        parts.append(_write_observation(observation, card, helpers))
    if not parts:
        return f'"""The native signal of {card.name}: nothing is changed."""\n'
    head = f'"""Learning signal for {card.name}, printed by marlsmith from a config."""\n\nimport torch\n\n'
    return head + "\n".join(constants) + "\n\n\n" + "\n\n\n".join([*helpers.values(), *parts]) + "\n"


# ---------------------------------------------------------------- helpers that a printed module may need


def _dedent(text: str) -> str:
    return textwrap.dedent(text).strip()


DISTANCES = _dedent('''
    def distances(a, b):
        """Distances [..., N, M] between points a [..., N, 2] and b [..., M, 2]."""
        return (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(dim=-1)
''')

PICK = _dedent('''
    def pick(values, target):
        """The value of each one's target: values [..., N, M], target [..., N] -> [..., N]."""
        return values.gather(-1, target.unsqueeze(-1)).squeeze(-1)
''')

NEAREST = _dedent('''
    def nearest(distance):
        """Each agent's nearest target: distance [..., N, M] -> [..., N]."""
        return distance.argmin(-1)
''')

OWN = _dedent('''
    def own(distance):
        """Each agent keeps the target of its own number: distance [..., N, M] -> [..., N]."""
        agents, targets = distance.shape[-2:]
        return (torch.arange(agents) % targets).expand(distance.shape[:-1])
''')

GREEDY = _dedent('''
    def optimal(distance):
        """Closest pair first, each target once: distance [..., N, M] -> [..., N]."""
        free = distance
        target = torch.zeros(distance.shape[:-1], dtype=torch.long)
        agents, targets = distance.shape[-2:]
        for _ in range(agents):
            closest = free.flatten(-2).argmin(-1, keepdim=True)
            row = torch.arange(agents) == closest // targets
            column = torch.arange(targets) == closest % targets
            target = torch.where(row, closest % targets, target)
            free = torch.where(row.unsqueeze(-1) | column.unsqueeze(-2), torch.inf, free)
        return target
''')

FADE = _dedent('''
    def fade(state, start, end):
        """1 until `start`, 0 from `end` on, as shares of the training; [B]."""
        return ((end - state.training_progress) / (end - start)).clamp(0, 1)
''')


def _optimal(agents: int, targets: int) -> str:
    orders = list(itertools.islice(itertools.permutations(range(targets), agents), MOST_ORDERS + 1))
    if len(orders) > MOST_ORDERS:
        return GREEDY
    rows = textwrap.fill(", ".join(str(list(order)) for order in orders), 96, break_long_words=False)
    table = "ORDERS = torch.tensor([\n" + textwrap.indent(rows, "    ") + ",\n])"
    return (
        table
        + "\n\n\n"
        + _dedent(f'''
    def optimal(distance):
        """The assignment of least total distance, each target once: distance [..., N, M] -> [..., N]."""
        total = distance[..., torch.arange({agents}), ORDERS].sum(-1)
        return ORDERS[total.argmin(-1)]
''')
    )


def _assignment(name: str, card: TaskCard, helpers: dict[str, str]) -> str:
    """Sees to it that the helper of this assignment is printed; its name."""
    agents, targets = card.agents, card.entity(card.target).count
    if name == "optimal" and agents > targets:
        raise SignalError(
            f"assignment 'optimal' needs as many targets as agents, and {card.name} has {targets} for {agents}: "
            "use 'nearest'"
        )
    helpers.setdefault("distances", DISTANCES)
    helpers.setdefault("pick", PICK)
    texts = {
        "nearest": NEAREST,
        "own": OWN,
        "optimal": _optimal(agents, targets) if name == "optimal" else "",
    }
    helpers.setdefault(name, texts[name])
    return name


# ---------------------------------------------------------------- the reward part


def _write_reward(config: RewardConfig, card: TaskCard, helpers: dict[str, str]) -> list[str]:
    functions: dict[str, str] = {}
    entries: dict[str, list[str]] = {"agent": [], "team": []}
    for term in config.terms:
        body = _term(term, card, helpers)
        name = _free(_term_name(term), functions)
        functions[name] = f'def {name}(state):\n    """{type(term).__doc__}"""\n' + textwrap.indent(body, "    ")
        value = f"{name}(state)"
        if term.potential:
            value = f"(state.gamma * {name}(state) - {name}(state.prev))"
        if term.credit == "team" and term.kind not in TEAM_VALUED:
            value = f"{value}.mean(-1)"
        if term.fade is not None:
            helpers.setdefault("fade", FADE)
            faded = f"fade(state, {term.fade.start!r}, {term.fade.end!r})"
            value = f"{faded}{'.unsqueeze(-1)' if term.credit == 'agent' else ''} * {value}"
        entries[term.credit].append(f'        "{name}": {term.weight!r} * {value},')
    written = list(functions.values())
    for credit, function, docstring in (
        ("agent", "agent_reward", "Individual part, [B, N] a term; weighs ALPHA in the sum (LERO, Eq. 1)."),
        ("team", "global_reward", "Team part, [B] a term; weighs 1 - ALPHA."),
    ):
        if entries[credit]:
            lines = "\n".join(entries[credit])
            written.append(f'def {function}(state):\n    """{docstring}"""\n    return {{\n{lines}\n    }}')
    return written


TEAM_VALUED = ("team_distance", "team_success", "unique_coverage")
"""Terms that are one number for the team as they stand; others are averaged over agents for team credit."""


def _term_name(term: AnyTerm) -> str:
    marks = [getattr(term, name, None) for name in ("assignment", "threshold", "distance", "radius")]
    words = [term.kind, *(str(mark) for mark in marks if mark is not None)]
    return re.sub(r"\W", "_", "_".join(words))


def _free(name: str, taken: Iterable[str]) -> str:
    return next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2))) if n not in taken)


def _term(term: AnyTerm, card: TaskCard, helpers: dict[str, str]) -> str:
    """The body of the term's function: state -> [B, N], or [B] where the term is the team's."""
    agents, targets = f"state.{card.entity('agent').position}", f"state.{card.entity(card.target).position}"
    distance = f"distance = distances({agents}, {targets})"

    def assigned(rule: str) -> str:
        return f"{distance}\nremaining = pick(distance, {_assignment(rule, card, helpers)}(distance))"

    helpers.setdefault("distances", DISTANCES)
    match term.kind:
        case "approach":
            forms = {
                "linear": "-remaining",
                "squared": "-remaining.square()",
                "exponential": f"torch.exp(-remaining / {term.scale!r})",
            }
            return f"{assigned(term.assignment)}\nreturn {forms[term.form]}"
        case "progress":
            rule = _assignment(term.assignment, card, helpers)
            before = distance.replace("state.", "state.prev.").replace("distance =", "before =")
            return (
                f"{distance}\n{before}\ntarget = {rule}(distance)\nreturn pick(before, target) - pick(distance, target)"
            )
        case "reach":
            return f"{assigned(term.assignment)}\nreturn (remaining < {term.threshold!r}).float()"
        case "unique_coverage" if term.credit == "team":
            return f"{distance}\nreturn (distance.amin(-2) < {term.threshold!r}).float().mean(-1)"
        case "unique_coverage":
            return (
                f"{distance}\nclosest = distance == distance.amin(-2, keepdim=True)\n"
                f"return (closest & (distance < {term.threshold!r})).any(-1).float()"
            )
        case "team_distance":
            return f"{distance}\nreturn -distance.amin(-2).mean(-1)"
        case "team_success":
            return f"{distance}\nreturn (distance.amin(-2) < {term.threshold!r}).all(-1).float()"
        case "collision":
            return (
                f"distance = distances({agents}, {agents})\n"
                f"others = 1 - torch.eye({card.agents})\n"
                f"return -((distance < {term.distance!r}) * others).sum(-1)"
            )
        case "crowding":
            return (
                f"distance = distances({agents}, {agents})\n"
                f"others = 1 - torch.eye({card.agents})\n"
                f"return -((1 - distance / {term.radius!r}).clamp(min=0) * others).sum(-1)"
            )
        case "slow_near_target":
            velocity = card.entity("agent").velocity
            if velocity is None:
                raise SignalError(f"slow_near_target needs velocities, which {card.name} has not: use another term")
            return (
                f"{assigned(term.assignment)}\nspeed = state.{velocity}.norm(dim=-1)\n"
                f"return -speed * (remaining < {term.threshold!r})"
            )
        case "native":
            return "return state.reward"


# ---------------------------------------------------------------- the observation part


def _write_observation(config: ObservationConfig, card: TaskCard, helpers: dict[str, str]) -> str:
    setup: dict[str, str] = {}
    columns = [_feature(feature, card, helpers, setup) for feature in config.features]
    lines = [
        *setup.values(),
        "return torch.cat((\n" + "".join(f"    {column},\n" for column in columns) + "), -1)",
    ]
    docstring = f'"""Features for each agent, obs [B, N, {card.observation_size}] -> [B, N, K]."""'
    return "def enhance_observation(obs):\n" + textwrap.indent("\n".join([docstring, *lines]), "    ")


def _observed(kind: str, of: str, feature: str, card: TaskCard) -> tuple[int, int]:
    part = card.part(kind, of)
    if part is None:
        raise SignalError(
            f"feature {feature} needs the {kind} of {of!r} in the observation, which {card.name} has not: use another"
        )
    return part.start, part.stop


def _feature(feature: AnyFeature, card: TaskCard, helpers: dict[str, str], setup: dict[str, str]) -> str:
    """The expression of the feature's columns; what it builds on is added to `setup` once."""
    targets = card.entity(card.target).count

    def see_targets() -> None:
        start, stop = _observed("offset", card.target, feature.kind, card)
        setup.setdefault(
            "targets",
            f"targets = obs[..., {start}:{stop}].unflatten(-1, ({targets}, 2))  # seen from the agent",
        )
        setup.setdefault("distance", "distance = targets.norm(dim=-1)  # [B, N, M]")

    def see_others() -> None:
        start, stop = _observed("offset", "agent", feature.kind, card)
        setup.setdefault("others", f"others = obs[..., {start}:{stop}].unflatten(-1, ({card.agents - 1}, 2))")

    def see_team() -> None:
        see_targets()
        see_others()
        helpers.setdefault("distances", DISTANCES)
        setup.setdefault("team", "team = torch.cat((torch.zeros_like(others[..., :1, :]), others), -2)  # itself first")
        setup.setdefault("matrix", "matrix = distances(team, targets)  # [B, N, itself and the others, M]")

    def assign(rule: str) -> str:
        see_targets()
        name = f"{rule}_target"
        if rule == "optimal":
            see_team()
            setup.setdefault(name, f"{name} = {_assignment(rule, card, helpers)}(matrix)[..., 0]")
        else:
            setup.setdefault(name, f"{name} = {_assignment(rule, card, helpers)}(distance)")
        return name

    match feature.kind:
        case "target_offset":
            target = assign(feature.assignment)
            return f"targets.gather(-2, {target}[..., None, None].expand(*{target}.shape, 1, 2)).squeeze(-2)"
        case "target_distance":
            return f"pick(distance, {assign(feature.assignment)}).unsqueeze(-1)"
        case "target_index":
            return f"(torch.arange({targets}) == {assign(feature.assignment)}.unsqueeze(-1)).float()"
        case "threshold_margin":
            return f"{feature.threshold!r} - pick(distance, {assign(feature.assignment)}).unsqueeze(-1)"
        case "target_distances":
            see_targets()
            return "distance"
        case "target_claims":
            see_team()
            return "(matrix[..., 0, :] <= matrix.amin(-2)).float()"
        case "agent_distances":
            see_others()
            return "others.norm(dim=-1)"
        case "nearest_agent_offset":
            see_others()
            setup.setdefault("closest", "closest = others.norm(dim=-1).argmin(-1)[..., None, None]")
            return "others.gather(-2, closest.expand(*closest.shape[:-1], 2)).squeeze(-2)"
        case "speed":
            start, stop = _observed("velocity", "self", feature.kind, card)
            return f"obs[..., {start}:{stop}].norm(dim=-1, keepdim=True)"
        case "teammate_observations":
            n = card.agents
            rolls = ", ".join(f"obs.roll(-{shift}, 1)" for shift in range(1, n))
            return f"torch.cat(({rolls}{',' if n == 2 else ''}), -1)"
