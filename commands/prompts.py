"""`marlsmith prompts`: what the roles are sent, word for word, and the templates behind it."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from marlsmith.agents import rehearsal
from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.ledger import Spent
from marlsmith.agents.asking.question import Message, Question, Role
from marlsmith.agents.offline import OfflineGenerator
from marlsmith.agents.roles import Roles
from marlsmith.agents.settings import MANUAL, RoleSettings
from marlsmith.agents.templates import prompts_of
from marlsmith.commands.local import Local
from marlsmith.commands.run import RunOptions, run_settings
from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.approving.second_opinion import second_opinion
from marlsmith.graph.briefing.briefs import code_of, diagnosis_brief, proposal_brief, review_brief
from marlsmith.graph.briefing.history import Attempt, history_line
from marlsmith.graph.context import Context, Parts
from marlsmith.graph.methods import RunSettings, branch_steps
from marlsmith.graph.naming import confirm_branch, confirm_control, control_branch, lap_branch
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.state import NATIVE_ID, Outcome, Refusal, State, initial_state
from marlsmith.graph.telling.journal import Journal
from marlsmith.graph.telling.trace import summary
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import NATIVE, AnswerError, Candidate, Evaluation, UserError, Verdict, printable

ROLES: tuple[Role, ...] = get_args(Role)
MADE_UP = "an example: what this candidate is and the numbers of its training are made up"
ABOUT_THE_MAIN_RUN = "an example: the numbers of the main run are made up"


@dataclass(frozen=True)
class Sent:
    """What goes to a role at one place."""

    role: str
    place: str
    messages: Sequence[Message]
    hint: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Templates:
    """Those in effect, and which of them are not ours."""

    version: str
    overridden: tuple[str, ...]


def known_role(name: str | None) -> Role | None:
    if name is not None and name not in ROLES:
        raise UserError(f"there is no role {printable(name, 80)!r}: say {', '.join(ROLES)}, or nothing for all")
    return name


def copy_templates(directory: Path, options: RunOptions) -> None:
    """Those in effect, to start from."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} is not empty: choose another directory")
    prompts = prompts_of(run_settings(options).roles, None)
    try:
        prompts.write(directory)
    except OSError as error:
        raise UserError(f"cannot write {directory} ({(error.strerror or 'fault').lower()}): choose another") from None
    print(
        f"{len(prompts.names)} templates are in {directory}: keep those that you change, and say --prompts {directory}"
    )


def show_prompts(role: str | None, options: RunOptions, *, as_json: bool) -> None:
    """As a run with these options would send them; what depends on results is an example and says so."""
    wanted, settings = known_role(role), run_settings(options)
    prompts, nobody = prompts_of(settings.roles, None), rehearsal.Nobody()
    roles = rehearsal.roles(nobody, prompts, tools=_tools(settings.roles))
    sent = [each for each in _rehearsed(settings, roles, nobody) if wanted in (None, each.role)]
    _show(sent, Templates(prompts.version, prompts.overridden), as_json=as_json)


def show_sent(role: str | None, run: Path, place: str | None, *, as_json: bool) -> None:
    """As it was really sent in a run."""
    wanted, directory = known_role(role), RunDirectory.open(run)
    lines = list(book.read(directory.path / book.FILE))
    found: dict[str, Sent] = {}
    for line in lines:
        if "messages" in line and wanted in (None, line["role"]) and place in (None, line["place"]):
            found.setdefault(line["hash"], Sent(line["role"], line["place"], line["messages"], line["hint"]))
    if not found:
        known = ", ".join(dict.fromkeys(line["place"] for line in lines)) or "none at all"
        raise UserError(f"{run} has no record of such a question: its places are {printable(known, 400)}")
    _show(list(found.values()), None, as_json=as_json)


# ---------------------------------------------------------------- printing


def _show(sent: Sequence[Sent], templates: Templates | None, *, as_json: bool) -> None:
    for line in _json(sent, templates) if as_json else _text(sent, templates):
        print(line)


def _json(sent: Sequence[Sent], templates: Templates | None) -> Iterator[str]:
    for each in sent:
        told: dict[str, Any] = {"role": each.role, "place": each.place, "example": each.note is not None}
        if templates is not None:
            told |= asdict(templates)
        yield json.dumps(told | {"messages": each.messages, "hint": each.hint}, ensure_ascii=False)


def _text(sent: Sequence[Sent], templates: Templates | None) -> Iterator[str]:
    """Each message under a line that says whose it is; one that stood there just before is not repeated."""
    if templates is not None:
        own = f", of which these are not ours: {', '.join(templates.overridden)}" if templates.overridden else ""
        yield f"templates {templates.version}{own}"
    before: Sequence[Message] = ()
    for each in sent:
        for index, message in enumerate(each.messages):
            head = f"===== {each.role}, {each.place}: {message['role']}"
            if index < len(before) and before[index] == message:
                yield f"{head} (as above) ====="
                continue
            yield f"{head} ====={f' ({each.note})' if each.note else ''}"
            yield str(message.get("content") or json.dumps(message, ensure_ascii=False))
        before = each.messages
    if hints := dict.fromkeys(each.hint for each in sent if each.hint):
        yield "===== besides, to a generator whose endpoint takes plain text only, or who is a person ====="
        yield from hints


# ---------------------------------------------------------------- rehearsing


def _rehearsed(settings: RunSettings, roles: Roles, nobody: rehearsal.Nobody) -> list[Sent]:
    """By the graph's own briefs: of a first round, and of what follows it with an example of a result."""
    notes: dict[str, str | None] = {}

    def note(words: str | None) -> None:
        for question in nobody.heard():
            notes.setdefault(question.place, words)

    with _context(settings, roles) as context:
        candidate: Candidate | None = None
        for stage in sorted({1, settings.method.opening + 1}):
            adapts = context.method(stage).adapts
            if adapts:
                _begin(stage - 1, candidate, context)
            first: State = {**initial_state(), "stage": stage, "round": 1}
            _ask(first, context, diagnose=adapts)
            note(ABOUT_THE_MAIN_RUN if adapts else None)
            candidate = _example(first, context)
            later = _after(candidate, first, context)
            _ask(later, context, diagnose=True, propose=adapts)
            _review(candidate, later, context)
            note(MADE_UP)
    order = [question for role in ROLES for question in nobody.heard() if question.role == role]
    return [_sent(question, notes[question.place]) for question in order]


def _begin(stage: int, winner: Candidate | None, context: Context) -> None:
    """Of the main run, at its start; `winner` of the search before it."""
    name = lap_branch(stage)
    incumbent, signal = (winner.id, winner.signal) if winner is not None else (NATIVE_ID, NATIVE)
    made_up = _evaluation(rehearsal.evaluation(context.parts.card, incumbent, name, 0.1), context)
    evaluation = made_up.model_copy(update={"terms": {}, "warnings": ()})
    at_the_start = Lap(
        stage=stage,
        branch=name,
        candidate=incumbent,
        signal=signal,
        trained=NATIVE,
        steps=0,
        checkpoints=(),
        evaluation=evaluation,
    )
    context.directory.write_lap(name, at_the_start)


def _ask(state: State, context: Context, *, diagnose: bool, propose: bool = True) -> None:
    roles = context.parts.roles
    if diagnose:
        with suppress(AnswerError):
            roles.critic.diagnose(diagnosis_brief(state, context))
    if propose:
        with suppress(AnswerError):
            roles.generators[0].propose(proposal_brief(state, context))


def _review(candidate: Candidate, state: State, context: Context) -> None:
    validator = context.parts.roles.validator
    assert validator is not None
    with suppress(AnswerError):
        validator.review(review_brief(candidate, state, context))
    with suppress(AnswerError):
        second_opinion(_verdict(candidate), state, context)


def _tools(roles: RoleSettings) -> bool:
    """Whether the generator may try its signals; where it is played offline, as for any model."""
    who = roles.generators[0]
    return roles.models[who].tools if who in roles.models else who != MANUAL


def _sent(question: Question, note: str | None) -> Sent:
    return Sent(question.role, question.place, question.messages, question.hint, note)


@contextmanager
def _context(settings: RunSettings, roles: Roles) -> Iterator[Context]:
    """Of a run that leaves nothing behind. No worker starts, for nothing is checked or trained."""
    executor = Local(unsafe_jail=True).engage(settings)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            directory = RunDirectory.create(Path(scratch) / "run", settings, "")
            parts = Parts(make_task(settings.task).card, roles, executor, to_code, Spent)
            yield Context(settings, directory, parts, Journal(directory), threading.BoundedSemaphore())
    finally:
        executor.close()


def _example(state: State, context: Context) -> Candidate:
    """A signal for this very task where the offline designer finds one."""
    brief, stage = proposal_brief(state, context), state["stage"]
    example = rehearsal.candidate(f"s{stage}r1c1").model_copy(update={"stage": stage})
    with suppress(UserError):
        example = example.model_copy(update={"signal": OfflineGenerator().propose(brief)[0].signal})
    return example


def _after(candidate: Candidate, state: State, context: Context) -> State:
    """A second round, in which the candidate is all that there is beside the control; a gate has refused it."""
    directory, card, stage = context.directory, context.parts.card, state["stage"]
    adapts, control = context.method(stage).adapts, control_branch(stage)
    directory.write_batch(f"s{stage}r1a0", [candidate], [code_of(candidate.signal, context)], None)
    evaluated: dict[str, Outcome] = {}
    for id, branch, score in ((NATIVE_ID, control, 0.3), (candidate.id, candidate.id, 0.4)):
        compared = confirm_branch(branch) if id == candidate.id else confirm_control(stage, 2, adapts=adapts)
        for each in (branch, compared):
            directory.write_evaluation(each, _evaluation(rehearsal.evaluation(card, id, each, score), context))
        evaluated[branch] = Outcome(candidate=id, stage=stage, phase="search", score=score, error=None)
    second: State = {**state, "round": 2, "proposed": [candidate.id], "evaluated": evaluated}
    if not adapts:
        return {**second, "population": [candidate.id]}
    reason = "the lower bound -0.020 of the mean gain +0.100 does not exceed the margin 0"
    refused = Refusal(gain=0.1, lower_bound=-0.02, reason=reason)
    tried = Attempt(candidate.id, summary(candidate.signal), 0.1, f"refused: {reason}")
    history = [history_line(stage, 1, None, [tried])]
    return {**second, "refusals": {candidate.id: refused}, "history": history}


def _evaluation(made_up: Evaluation, context: Context) -> Evaluation:
    settings = context.settings
    seeds = tuple(range(settings.method.search_seeds))
    return made_up.model_copy(update={"steps": branch_steps(settings), "seeds": seeds})


def _verdict(candidate: Candidate) -> Verdict:
    return Verdict(
        decision="accept", candidate=candidate.id, reason="made up", gain=0.1, interval=(0.05, 0.15), lower_bound=0.06
    )
