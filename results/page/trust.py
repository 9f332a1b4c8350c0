"""What a run was asked and with what, what it cost, and how far its answer may be trusted."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Index
from marlsmith.agents.settings import MANUAL, NOBODY, OFFLINE
from marlsmith.agents.templates import prompts_of
from marlsmith.graph import toml
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.naming import is_confirmation, is_plain
from marlsmith.graph.telling import jail
from marlsmith.graph.telling.speech import count, listed, money, price
from marlsmith.results.page.parts import Pair, Table, Tone
from marlsmith.results.page.words import FILE, whom
from marlsmith.results.past import PastRun
from marlsmith.schemas import JailReport, UserError

OWN = "own: an agent's features read that agent's own observation and nothing else, so it can act by itself"
TEAM = (
    "team: features may read the other agents' observations. An agent then cannot act on what it sees alone: wherever "
    "the policy runs, all observations must reach all agents at every step, which breaks decentralised execution"
)
HIDDEN = "this machine's own, see run.toml"
"""A page is given away: which episodes decide and where models answer stays at home."""


# ---------------------------------------------------------------- what was asked


def asked(run: PastRun, manifest: Mapping[str, Any]) -> tuple[Pair, ...]:
    settings = run.settings
    return (
        ("task", settings.task),
        ("method", f"{settings.method_name}, evolves {settings.method.evolve}, scope {settings.method.scope}"),
        ("search", _search(settings)),
        ("training", _training(settings)),
        *_players(settings),
        ("begun", str(manifest.get("created", "unknown"))),
        ("versions", ", ".join(f"{name} {said}" for name, said in dict(manifest.get("versions", {})).items())),
        ("system", str(dict(manifest.get("jail", {})).get("system", "unknown"))),
        ("run", str(run.path)),
    )


def read_manifest(run: PastRun) -> tuple[str, Mapping[str, Any]]:
    """run.toml without what is hidden, as text and as it reads; it was opened before, and is whole."""
    manifest = tomllib.loads((run.path / "run.toml").read_text(encoding="utf-8"))
    settings = manifest["settings"]
    settings["evaluation"]["seed"] = HIDDEN
    for model in settings.get("roles", {}).get("models", {}).values():
        model.update({"base_url": HIDDEN} if "base_url" in model else {})
    return toml.dumps(manifest), manifest


def addresses(run: PastRun) -> tuple[str, ...]:
    """Of the models, and their hosts with ports, as messages may quote them."""
    urls = [model.base_url for model in run.settings.roles.models.values() if model.base_url]
    return tuple(sorted({*urls, *(urlsplit(url).netloc for url in urls)} - {""}, key=len, reverse=True))


def _search(settings: RunSettings) -> str:
    method = settings.method
    rounds = f"{count(method.rounds, 'round')} of {count(method.candidates, 'candidate')}"
    if not method.adapts:
        return f"{rounds}; {count(method.population, 'parent')} kept by {method.selection}"
    before = f"a search from scratch in {count(method.opening, 'stage')}, then " if method.opening else ""
    asks = f", the first {method.proposing_stages} with proposals" if method.proposing_stages < method.stages else ""
    return f"{before}{count(method.stages, 'stage')} of one main run{asks}; in each {rounds}"


def _training(settings: RunSettings) -> str:
    method, train = settings.method, settings.train
    rewards = "its reward replaces the native one" if method.reward_mode == "replace" else "its reward is added"
    if method.adapts:
        trained = f"{count(method.search_seeds, 'member')}, {method.branch_steps:,} steps a stage and a branch"
    else:
        trained = f"{train.whole_steps:,} environment steps a candidate and seed, {method.search_seeds} seeds"
    return f"{train.algorithm} on {train.device}: {trained}; {rewards}; {count(settings.workers, 'worker')}"


def _players(settings: RunSettings) -> Iterator[Pair]:
    roles = settings.roles
    for role, name in roles.cast:
        if role == "critic" and not settings.method.diagnose:
            name = NOBODY
        model = roles.models.get(name)
        if model is None:
            known = {OFFLINE: "built-in rules, no model", MANUAL: "a person", NOBODY: "nobody"}
            yield role, known.get(name, name)
            continue
        named = f"{name}, " if name != model.model else ""
        where = f" at {HIDDEN}" if model.base_url else ""
        yield role, f"{named}{model.model}{where}"


# ---------------------------------------------------------------- what it cost


def costs(run: PastRun) -> tuple[tuple[Pair, ...], Table | None]:
    """Of the whole run so far, and by role where anybody was paid or asked."""
    last: Mapping[str, Any] = run.events[-1] if run.events else {}
    whole, parts = _steps(run)
    trained = sum(evaluation.seconds for evaluation in run.evaluations.values())
    pairs = [
        ("environment steps", f"{whole:,}"),
        *((name, f"{number:,}") for name, number in parts.items() if len(parts) > 1),
        ("time", f"{last.get('seconds', 0.0):.0f} s from the first event to the last, pauses left out"),
        ("training", f"{trained:.0f} s in {count(len(run.evaluations), 'training')}, some of them side by side"),
        ("models", price(last.get("tokens", 0), last.get("money"))),
    ]
    return tuple(pairs), _by_role(run)


def _steps(run: PastRun) -> tuple[int, dict[str, int]]:
    """Of all trainings, over all seeds; what was tried beside what was kept."""
    finished = run.finished
    if finished is not None and (main := finished.get("main")) is not None:
        plain = sum(each.environment_steps for name, each in run.evaluations.items() if is_plain(name))
        kept = {"of them the main run": main["main_steps"], "of them beside it": main["search_steps"]}
        among = {"beside it, the plain training to compare with": plain} if plain else {}
        return sum(kept.values()), kept | among
    found = {"of them the search": 0, "of them the comparison on fresh seeds": 0}
    for name, each in run.evaluations.items():
        fresh = is_confirmation(name) and not run.settings.method.adapts
        found[list(found)[fresh]] += each.environment_steps
    return sum(found.values()), {name: steps for name, steps in found.items() if steps}


def _by_role(run: PastRun) -> Table | None:
    """From the record of every call, failed ones included."""
    spent: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0, 0.0, 0.0])
    for line in Index(book.read(run.path / FILE)).lines():
        if "role" not in line or not (book.is_request(line) or "begun" in line):
            continue
        row, usage = spent[line["role"], whom(line["asked"])], book.usage_of(line)
        row[0] += 1
        row[1] += book.failed(line)
        row[2] += usage.tokens if usage is not None else 0
        row[3] += line.get("seconds") or 0.0
        row[4] += line.get("money") or 0.0
    if not spent:
        return None
    rows = tuple(
        (role, who, f"{calls:,.0f}", f"{failed:,.0f}", f"{tokens:,.0f}", f"{seconds:.1f}", money(paid) if paid else "")
        for (role, who), (calls, failed, tokens, seconds, paid) in spent.items()
    )
    head = ("role", "played by", "calls", "failed", "tokens", "seconds", "money")
    return Table("What each role took", head, rows, frozenset({2, 3, 4, 5, 6}))


# ---------------------------------------------------------------- how far to trust it


def trust(run: PastRun) -> tuple[Pair, ...]:
    settings = run.settings
    episodes = settings.evaluation.episodes
    found = [
        ("compared", _compared(run)),
        ("decided by", _decided_by(settings)),
        *_seeds(run),
        ("evaluation", f"{count(episodes, 'episode')} a seed, drawn from a seed that is {HIDDEN}"),
        ("tried", f"{count(len(run.of('proposal')), 'candidate')}; the best of many flatters itself on its own seeds"),
        ("scope", TEAM if settings.method.scope == "team" else OWN),
        ("prompts", _prompts(run)),
        ("jail", _jail(run)),
    ]
    if settings.roles.replay:
        found.append(("replay", f"nobody was asked: the answers are those of {settings.roles.replay}"))
    return tuple(found)


def _compared(run: PastRun) -> str:
    finished = run.finished
    if finished is None:
        return "not yet: what stands here are scores on the seeds that choose, which flatter the best"
    if finished["native"] is None or finished["best"] is None:
        return "nothing: there is no pair of scores on the same seeds"
    pairs = count(len(finished["best"]["scores"]), "seed")
    if finished.get("main") is not None:
        return f"the main run with the same training without a signal, {pairs}, on episodes that chose nothing"
    if finished["phase"] == "confirm":
        return f"with the native task on {pairs} that the search never saw, paired seed by seed"
    return f"on the {pairs} of the search, which flatter the best: nothing came to a comparison on fresh ones"


def _decided_by(settings: RunSettings) -> str:
    method = settings.method
    if method.adapts and not method.gate:
        return "nothing: this method takes what is proposed and validates none of it"
    tests = f" / {method.candidates} (the candidates of a round share it)" if method.adapts else ""
    bound = f"the lower bound of a one-sided paired t interval at level {method.level:g}{tests} above {method.margin:g}"
    again = ", then once more on fresh random numbers and episodes" if method.adapts else ", on fresh seeds"
    return f"{bound}{again}{'; and by a person' if method.approve else ''}"


def _seeds(run: PastRun) -> Iterator[Pair]:
    """A main run has the same members in all its stages; a search has others in each."""
    begun, method = run.of("stage_started"), run.settings.method
    search = list(dict.fromkeys(", ".join(map(str, event["search_seeds"])) for event in begun))
    yield "seeds of the search", "; ".join(search) or "none yet"
    scratch = [event for event in begun if not method.at(event["stage"]).adapts]
    fresh = list(dict.fromkeys(", ".join(map(str, event["confirm_seeds"])) for event in scratch))
    if method.adapts:
        fresh.append("the same members, on fresh random numbers and episodes")
    yield "seeds of the comparison", "; ".join(fresh) or "none yet"


def _prompts(run: PastRun) -> str:
    roles = run.settings.roles
    if not roles.models and MANUAL not in roles.players:
        return "none: no model and no person was asked"
    version = f" (version {roles.prompts_version})" if roles.prompts_version else ""
    try:
        changed = prompts_of(roles, run.path).overridden
    except UserError:
        return f"templates that have been changed, or lost, since the run began{version}"
    other = f", with words that are not ours as of today in {listed(changed)}" if changed else ", as we have them"
    return f"those that the run began with{version}{other}"


def _jail(run: PastRun) -> str:
    reports = [event.get("jail") for event in run.of("run_started")]
    known = [JailReport.model_validate(report) for report in reports if report is not None]
    if not known:
        return "nobody wrote down what it refuses"
    layers = listed(known[-1].layers) if known[-1].layers else "no layer"
    lacking = f"; missing: {', '.join(known[-1].missing)}" if known[-1].missing else ""
    return f"{jail.summary(known[-1])}; {layers}{lacking}"


def acts(manifest: Mapping[str, Any]) -> Table | None:
    """Every forbidden act that a locked-down worker tried, as run.toml has them."""
    found = dict(manifest.get("jail", {}))
    rows = [
        (group, act, said)
        for said in ("open", "refused")
        for group, members in dict(found.get(said, {})).items()
        for act in members
    ]
    if not rows:
        return None
    tones: tuple[Tone, ...] = tuple("bad" if said == "open" else "" for *_, said in rows)
    return Table("What the jail was asked to refuse", ("group", "act", "what came of it"), tuple(rows), tones=tones)


def stamp(run: PastRun) -> str | None:
    """What the result bears where the jail was not sound, or was said not to matter."""
    finished = run.finished
    if finished is not None and (found := finished.get("jail")) is not None:
        return jail.standing(**found)
    insisted = "--unsafe-jail was given: candidate code may have run without a sound jail"
    return insisted if run.settings.unsafe_jail else None


def warnings(run: PastRun) -> tuple[str, ...]:
    """Each once, of the run and of its trainings."""
    of_run = [event["message"] for event in run.of("warning")]
    of_trainings = [f"{name}: {said}" for name, each in run.evaluations.items() for said in each.warnings]
    return tuple(dict.fromkeys(of_run + of_trainings))
