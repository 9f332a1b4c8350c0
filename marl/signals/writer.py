"""Prints any signal as one Python module. Configs run by this print alone, so what is read is what is trained."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable
from typing import NoReturn

from marlsmith.marl.signals.join import join
from marlsmith.schemas import (
    MOST_TEAMMATE_COLUMNS,
    AnyFeature,
    AnyTerm,
    Code,
    ObservationConfig,
    ObservationPart,
    RewardConfig,
    Scope,
    Signal,
    SignalError,
    TaskCard,
    TeamDistance,
    TeamSuccess,
    UniqueCoverage,
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
        return (a.unsqueeze(-2) - b.unsqueeze(-3)).float().norm(dim=-1)
''')

AMONG = _dedent('''
    def among(distance, there):
        """Distances [..., N, M] to the targets that are there [..., M]; infinite to the others."""
        return torch.where(there.unsqueeze(-2), distance, torch.inf)
''')

FINITE = _dedent('''
    def finite(values, otherwise=0.0):
        """The values, and `otherwise` where there is no target."""
        return torch.where(values.isfinite(), values, otherwise)
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

TOGETHER = _dedent('''
    def together(distance):
        """For all the one target with the least summed distance: distance [..., N, M] -> [..., N].

        Rounded, so that agents that sum in another order agree.
        """
        total = distance.sum(-2).round(decimals=3)
        return total.argmin(-1, keepdim=True).expand(distance.shape[:-1])
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


def _target(card: TaskCard, kind: str) -> str:
    """The entity to be reached."""
    if card.target is None:
        raise SignalError(
            f"{kind} needs targets, and the card of {card.name} names none: use 'native' as the reward, features that "
            "need no target, or code"
        )
    return card.target


def _assignment(name: str, card: TaskCard, helpers: dict[str, str]) -> str:
    """Sees to it that the helper of this assignment is printed; its name."""
    agents, targets = card.agents, card.entity(_target(card, f"assignment {name!r}")).count
    if name == "optimal" and card.vanishes:
        raise SignalError(
            f"assignment 'optimal' needs a target for every agent, and those of {card.name} vanish: use 'nearest' or "
            "'together'"
        )
    if name == "optimal" and agents > targets:
        raise SignalError(
            f"assignment 'optimal' needs as many targets as agents, and {card.name} has {targets} for {agents}: "
            "use 'nearest'"
        )
    if name == "own" and not card.has_rule("own"):
        raise SignalError(
            f"assignment 'own' needs targets that stay, and those of {card.name} vanish: use 'nearest' or 'together'"
        )
    helpers.setdefault("pick", PICK)
    texts = {
        "nearest": NEAREST,
        "own": OWN,
        "together": TOGETHER,
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
        functions[name] = f'def {name}(state):\n    """{_meaning(term, card)}"""\n' + textwrap.indent(body, "    ")
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

WITH_GOALS = "In a task with goals: "


def _meaning(term: AnyTerm, card: TaskCard) -> str:
    """The first line of the term's docstring, or what that says of tasks with goals."""
    said = type(term).__doc__ or ""
    goals = said.partition(WITH_GOALS)[2] if card.goal is not None else ""
    line = (goals or said).partition("\n")[0]
    return line[:1].upper() + line[1:]


def _term_name(term: AnyTerm) -> str:
    marks = [getattr(term, name, None) for name in ("assignment", "threshold", "distance", "radius")]
    words = [term.kind, *(str(mark) for mark in marks if mark is not None)]
    return re.sub(r"\W", "_", "_".join(words))


def _free(name: str, taken: Iterable[str]) -> str:
    return next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2))) if n not in taken)


def _term(term: AnyTerm, card: TaskCard, helpers: dict[str, str]) -> str:
    """The body of the term's function: state -> [B, N], or [B] where the term is the team's."""
    match term.kind:
        case "native":
            return "return state.reward"
        case "collision":
            return f"{_to_agents(card, term.kind, helpers)}\nreturn -((distance < {term.distance!r}) * others).sum(-1)"
        case "crowding":
            return (
                f"{_to_agents(card, term.kind, helpers)}\n"
                f"return -((1 - distance / {term.radius!r}).clamp(min=0) * others).sum(-1)"
            )
        case "unique_coverage" | "team_distance" | "team_success":
            return _team_term(term, card, helpers)
    distance = _to_targets(card, term.kind, helpers)
    if term.assignment == "own" and card.goal is not None:
        target, has = f"state.{card.goal}.clamp(min=0)", f"(state.{card.goal} >= 0)"
        helpers.setdefault("pick", PICK)
    else:
        target, has = f"{_assignment(term.assignment, card, helpers)}(distance)", ""
    # A goal of -1 is none: such an agent's value is 0.
    times_has = f" * {has}  # 0 for who has no goal" if has else ""
    if term.kind == "progress":
        before = distance.replace("state.", "state.prev.").replace("distance =", "before =")
        nearer = _guarded("pick(before, target) - pick(distance, target)", card.vanishes, helpers)
        nearer = f"({nearer}){times_has}" if has else nearer
        return f"{distance}\n{before}\ntarget = {target}\nreturn {nearer}"
    remaining = f"pick(distance, {target})"
    if term.kind == "approach":
        forms = {
            "linear": "-remaining",
            "squared": "-remaining.square()",
            "exponential": f"torch.exp(-remaining / {term.scale!r})",
        }
        remaining = _guarded(remaining, card.vanishes, helpers)
        return f"{distance}\nremaining = {remaining}\nreturn {forms[term.form]}{times_has}"
    within = f"{distance}\nremaining = {remaining}\n"
    if term.kind == "reach":
        return f"{within}return (remaining < {term.threshold!r}).float(){times_has}"
    velocity = card.entity("agent").velocity
    if velocity is None:
        raise SignalError(f"slow_near_target needs velocities, which {card.name} has not: use another term")
    speed = f"speed = state.{velocity}.norm(dim=-1)\n"
    return f"{within}{speed}return -speed * (remaining < {term.threshold!r}){times_has}"


def _team_term(term: UniqueCoverage | TeamDistance | TeamSuccess, card: TaskCard, helpers: dict[str, str]) -> str:
    """Terms over targets, or over agents where each has a goal. Where targets vanish, `left` are those that count."""
    lines = [_to_targets(card, term.kind, helpers)]
    if card.goal is not None:
        return "\n".join([*lines, *_over_goals(term, card.goal, helpers)])
    if term.kind == "unique_coverage" and term.credit == "agent":
        return "\n".join([
            *lines,
            "closest = distance == distance.amin(-2, keepdim=True)",
            f"return (closest & (distance < {term.threshold!r})).any(-1).float()",
        ])  # fmt: skip
    lines.append("closest = distance.amin(-2)")
    if not card.vanishes:
        match term.kind:
            case "unique_coverage":
                lines.append(f"return (closest < {term.threshold!r}).float().mean(-1)")
            case "team_distance":
                lines.append("return -closest.mean(-1)")
            case "team_success":
                lines.append(f"return (closest < {term.threshold!r}).all(-1).float()")
        return "\n".join(lines)
    match term.kind:
        case "unique_coverage":
            lines += [
                "left = closest.isfinite().float()",
                f"return (closest < {term.threshold!r}).float().sum(-1) / left.sum(-1).clamp(min=1)",
            ]
        case "team_distance":
            lines.append(f"return -{_guarded('closest', True, helpers)}.mean(-1)")
        case "team_success":
            lines += [
                "left = closest.isfinite()",
                f"return (((closest < {term.threshold!r}) | ~left).all(-1) & left.any(-1)).float()",
            ]
    return "\n".join(lines)


def _over_goals(term: UniqueCoverage | TeamDistance | TeamSuccess, goal: str, helpers: dict[str, str]) -> list[str]:
    """Each agent counts with its own goal, whoever else shares it; one that has none (-1) counts not at all."""
    helpers.setdefault("pick", PICK)
    lines = [
        f"has = state.{goal} >= 0",
        f"mine = torch.where(has, pick(distance, state.{goal}.clamp(min=0)), torch.inf)  # [B, N], to its own goal",
    ]
    match term:
        case UniqueCoverage(credit="agent"):
            lines.append(f"return (mine < {term.threshold!r}).float()")
        case UniqueCoverage():
            lines += [
                "left = mine.isfinite().float()",
                f"return (mine < {term.threshold!r}).float().sum(-1) / left.sum(-1).clamp(min=1)",
            ]
        case TeamDistance():
            lines.append(f"return -{_guarded('mine', True, helpers)}.sum(-1) / has.float().sum(-1).clamp(min=1)")
        case TeamSuccess():
            lines += [
                "left = mine.isfinite()",
                f"return (((mine < {term.threshold!r}) | ~left).all(-1) & left.any(-1)).float()",
            ]
    return lines


def _to_targets(card: TaskCard, kind: str, helpers: dict[str, str]) -> str:
    """The line that computes `distance` [B, N, M], infinite to targets that are gone."""
    target = card.entity(_target(card, f"term {kind}"))
    helpers.setdefault("distances", DISTANCES)
    distance = f"distances(state.{card.entity('agent').position}, state.{target.position})"
    if target.present is None:
        return f"distance = {distance}"
    helpers.setdefault("among", AMONG)
    return f"distance = among({distance}, state.{target.present} > 0)"


def _to_agents(card: TaskCard, kind: str, helpers: dict[str, str]) -> str:
    """The lines that compute `distance` [B, N, N] between agents, and `others`, 0 for itself and else 1."""
    if not any(entity.name == "agent" for entity in card.entities):
        raise SignalError(
            f"term {kind} needs the agents' positions, and the card of {card.name} names none: use 'native', or code"
        )
    helpers.setdefault("distances", DISTANCES)
    agents = f"state.{card.entity('agent').position}"
    return f"distance = distances({agents}, {agents})\nothers = 1 - torch.eye({card.agents})"


def _guarded(value: str, needed: bool, helpers: dict[str, str]) -> str:
    """The value with a zero in place of what is infinite, where that can be."""
    if not needed:
        return value
    helpers.setdefault("finite", FINITE)
    return f"finite({value})"


# ---------------------------------------------------------------- the observation part


def _write_observation(config: ObservationConfig, card: TaskCard, helpers: dict[str, str]) -> str:
    setup: dict[str, str] = {}
    columns = [_Columns(feature, config.scope, card, helpers, setup).text() for feature in config.features]
    lines = [
        *setup.values(),
        "return torch.cat((\n" + "".join(f"    {column},\n" for column in columns) + "), -1)",
    ]
    docstring = f'"""Features for each agent, obs [B, N, {card.observation_size}] -> [B, N, K]."""'
    return "def enhance_observation(obs):\n" + textwrap.indent("\n".join([docstring, *lines]), "    ")


class _Columns:
    """One feature's expression; what it builds on is added to `setup`, once for all features."""

    def __init__(
        self, feature: AnyFeature, scope: Scope, card: TaskCard, helpers: dict[str, str], setup: dict[str, str]
    ) -> None:
        self.feature, self.scope, self.card, self.helpers, self.setup = feature, scope, card, helpers, setup
        self.seers = set(range(card.agents))
        """The agents whose observation has all that was read."""

    def text(self) -> str:
        columns = self._expression()
        card, seers = self.card, sorted(self.seers)
        if not seers:
            self._refuse(f"reads columns that no agent of {card.name} has together: use another")
        if len(seers) == card.agents:
            return columns
        name = "seen_by_" + "_".join(map(str, seers))
        marks = [[float(agent in seers)] for agent in range(card.agents)]
        self.setup.setdefault(name, f"{name} = torch.tensor({marks})  # the others do not observe what this reads")
        return f"{columns} * {name}"

    def _refuse(self, problem: str) -> NoReturn:
        raise SignalError(f"feature {self.feature.kind} {problem}")

    def _sight(self, of: str) -> tuple[ObservationPart, ...]:
        parts = self.card.sight(of)
        if parts is None:
            raise SignalError(
                f"feature {self.feature.kind} needs to know where each {of!r} is, which the observation of "
                f"{self.card.name} does not tell: use another"
            )
        self.seers &= set(self.card.seers(*parts))
        return parts

    def _offsets(self, name: str, of: str, count: int) -> bool:
        """Sets up the offsets `name` [B, N, count, 2]; whether some may be unseen, as `name_seen` then says."""
        parts = self._sight(of)
        place = parts[0]
        if place.stop - place.start != count * place.stride:
            self._refuse(
                f"needs {count} times {place.stride} columns of {of!r} in the observation, and the card of "
                f"{self.card.name} gives {place.stop - place.start}: correct the card, or use another"
            )
        first_two = "" if place.stride == 2 else "[..., :2]"
        columns = f"obs[..., {place.start}:{place.stop}].unflatten(-1, ({count}, {place.stride})){first_two}"
        if name in self.setup:
            return place.unseen is not None
        lines = [f"{name} = {columns}  # " + ("positions" if len(parts) > 1 else "seen from the agent")]
        if place.unseen is not None:
            lines.append(f"{name}_seen = ({name} != {place.unseen!r}).any(-1)")
        if len(parts) > 1:
            own = parts[1].start
            lines.append(f"{name} = {name} - obs[..., {own}:{own + 2}].unsqueeze(-2)  # seen from the agent")
        if place.unseen is not None:
            lines.append(f"{name} = torch.where({name}_seen.unsqueeze(-1), {name}, 0.0)")
        self.setup[name] = "\n".join(lines)
        return place.unseen is not None

    def _targets(self) -> tuple[int, bool]:
        """Sets up `targets` and `distance` [B, N, M]; how many, and whether some may be unseen."""
        card = self.card
        target = card.entity(_target(card, f"feature {self.feature.kind}"))
        unseen = self._offsets("targets", target.name, target.count)
        if card.vanishes and not unseen:
            self._refuse(
                f"cannot tell which targets of {card.name} are gone, for its card says nothing of 'unseen': use another"
            )
        seen = "torch.where(targets_seen, targets.norm(dim=-1), torch.inf)" if unseen else "targets.norm(dim=-1)"
        self.setup.setdefault("distance", f"distance = {seen}  # [B, N, M]")
        return target.count, unseen

    def _others(self) -> bool:
        """Sets up `others`, the offsets of the other agents; whether some may be unseen."""
        if self.card.agents == 1:
            self._refuse(f"needs other agents, and {self.card.name} has one alone: use another")
        return self._offsets("others", "agent", self.card.agents - 1)

    def _team(self) -> None:
        """Sets up `matrix`, distances from itself and the others to all targets."""
        _, unseen = self._targets()
        hidden = self._others()
        self.helpers.setdefault("distances", DISTANCES)
        where = "itself first" + ("; who is not seen counts where itself is" if hidden else "")
        self.setup.setdefault(
            "team", f"team = torch.cat((torch.zeros_like(others[..., :1, :]), others), -2)  # {where}"
        )
        matrix = "distances(team, targets)"
        if unseen:
            self.helpers.setdefault("among", AMONG)
            matrix = f"among({matrix}, targets_seen)"
        self.setup.setdefault("matrix", f"matrix = {matrix}  # [B, N, itself and the others, M]")

    def _assigned(self, rule: str) -> str:
        """The name of the assigned target's index [B, N]."""
        self._targets()
        name = f"{rule}_target"
        if rule == "own" and self.card.goal is not None:
            self.setup.setdefault(name, f"{name} = {self._own_goal()}")
            self.helpers.setdefault("pick", PICK)
        elif rule in ("optimal", "together"):
            helper = _assignment(rule, self.card, self.helpers)
            self._team()
            self.setup.setdefault(name, f"{name} = {helper}(matrix)[..., 0]")
        else:
            self.setup.setdefault(name, f"{name} = {_assignment(rule, self.card, self.helpers)}(distance)")
        return name

    def _own_goal(self) -> str:
        card, part = self.card, self.card.goal_part(self.scope)
        if part is None:
            shared = card.goal_part("team") is not None
            remedy = "use 'nearest'"
            if shared:
                remedy += (
                    ', or set "scope": "team" in the configuration (and allow --scope team), where the partner\'s '
                    "observation shows it"
                )
            raise SignalError(
                f"feature {self.feature.kind} with assignment 'own': agents of {card.name} do not observe their own "
                f"goal: {remedy}"
            )
        targets = card.entity(_target(card, self.feature.kind)).count
        if part.stop - part.start != targets:
            self._refuse(f"needs a column of the goal for each of {targets} targets: correct the card, or use another")
        columns = f"[..., {part.start}:{part.stop}].argmax(-1)  # the largest mark is the goal's"
        if part.of == "self":
            self.seers &= set(card.seers(part))
            return f"obs{columns}"
        self.seers &= {1 - agent for agent in card.seers(part)}
        return f"obs.roll(1, 1){columns}, in the partner's row"

    def _expression(self) -> str:
        feature = self.feature
        match feature.kind:
            case "target_offset":
                target = self._assigned(feature.assignment)
                return f"targets.gather(-2, {target}[..., None, None].expand(*{target}.shape, 1, 2)).squeeze(-2)"
            case "target_distance":
                return f"{self._remaining(feature.assignment)}.unsqueeze(-1)"
            case "threshold_margin":
                remaining = self._remaining(feature.assignment, otherwise=2 * feature.threshold)
                return f"({feature.threshold!r} - {remaining}).unsqueeze(-1)"
            case "target_index":
                targets, unseen = self._targets()
                chosen = f"torch.arange({targets}) == {self._assigned(feature.assignment)}.unsqueeze(-1)"
                return f"(({chosen}) & targets_seen).float()" if unseen else f"({chosen}).float()"
            case "target_distances":
                _, unseen = self._targets()
                return _guarded("distance", unseen, self.helpers)
            case "target_claims":
                _, unseen = self._targets()
                self._team()
                nearest = "matrix[..., 0, :] <= matrix.amin(-2)"
                return f"(({nearest}) & targets_seen).float()" if unseen else f"({nearest}).float()"
            case "agent_distances":
                self._others()
                return "others.norm(dim=-1)"
            case "nearest_agent_offset":
                away = "others.norm(dim=-1)"
                if self._others():
                    away = f"torch.where(others_seen, {away}, torch.inf)"
                self.setup.setdefault("closest", f"closest = {away}.argmin(-1)[..., None, None]")
                return "others.gather(-2, closest.expand(*closest.shape[:-1], 2)).squeeze(-2)"
            case "speed":
                part = self.card.part("velocity", "self")
                if part is None:
                    raise SignalError(
                        f"feature speed needs the agent's velocity in the observation of {self.card.name}: use another"
                    )
                self.seers &= set(self.card.seers(part))
                return f"obs[..., {part.start}:{part.stop}].norm(dim=-1, keepdim=True)"
            case "teammate_observations":
                n = self.card.agents
                if n == 1:
                    self._refuse(f"needs other agents, and {self.card.name} has one alone: use another")
                if self.card.teammate_columns > MOST_TEAMMATE_COLUMNS:
                    self._refuse(
                        f"would add {self.card.teammate_columns} columns, and at most {MOST_TEAMMATE_COLUMNS} are "
                        "allowed: use another, or code that reads part of them"
                    )
                rolls = ", ".join(f"obs.roll(-{shift}, 1)" for shift in range(1, n))
                return f"torch.cat(({rolls}{',' if n == 2 else ''}), -1)"

    def _remaining(self, rule: str, otherwise: float = 0.0) -> str:
        """The distance of the assigned target, or `otherwise` where none is seen."""
        _, unseen = self._targets()
        distance = f"pick(distance, {self._assigned(rule)})"
        if not unseen:
            return distance
        self.helpers.setdefault("finite", FINITE)
        return f"finite({distance}, {otherwise!r})" if otherwise else f"finite({distance})"
