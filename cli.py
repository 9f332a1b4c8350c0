"""The command line. Heavy imports stand inside the commands, so that --help answers at once."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from marlsmith.graph.context import Parts
    from marlsmith.graph.methods import RunSettings
    from marlsmith.graph.run import Stop
    from marlsmith.graph.run_directory import RunDirectory
    from marlsmith.graph.trace import Event
    from marlsmith.marl.config import TrainConfig
    from marlsmith.marl.tasks import Task as MadeTask
    from marlsmith.schemas import Evaluation, Signal, TaskCard

USAGE, WAITING, PAUSED, KILLED = 2, 10, 75, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Designs learning signals for cooperative multi-agent RL, and promotes only what the statistics support.",
)

Task = Annotated[
    str,
    typer.Option(
        "--task",
        help="Task, as listed by `marlsmith tasks`; or pettingzoo:MODULE:FACTORY, gymnasium:MODULE:ID, CARD.toml.",
    ),
]
TaskOptions = Annotated[
    list[str] | None,
    typer.Option("--task-option", metavar="KEY=VALUE", help="Parameter of the task; may be given more than once."),
]
Algorithm = Annotated[str, typer.Option("--algorithm", help="Learning algorithm: mappo, ippo, vdn or qmix.")]
TrainOptions = Annotated[
    list[str] | None,
    typer.Option("--train-option", metavar="KEY=VALUE", help="Setting of the training, such as network=gru."),
]
Device = Annotated[str, typer.Option("--device", help="Where to train: cpu, cuda or cuda:NUMBER.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Environment steps of each seed.")]
Episodes = Annotated[int, typer.Option("--episodes", min=1, help="Evaluation episodes of each seed.")]
Scope = Annotated[str, typer.Option("--scope", help="What features may read: own (own observation) or team.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain lines instead of the live view.")]
BranchSeconds = Annotated[float, typer.Option("--branch-seconds", min=1, help="Time limit of one branch, in seconds.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def main() -> None:
    """The console script: every error of the user's is one sentence on stderr and a non-zero exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no bars still gets the words
    app()


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what the user can mend into a sentence and an exit code."""
    from marlsmith.schemas import EndpointError, SignalError, UserError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was begun is tidied up
    try:
        yield
        sys.stdout.flush()
    except (UserError, SignalError, EndpointError) as error:
        _refuse(str(error))
    except BrokenPipeError:  # `marlsmith show RUN | head`: the reader has what it wanted
        _close_stdout()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(KILLED)


def _close_stdout() -> None:
    """Python flushes at its end, into a pipe that nobody reads any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _refuse(sentence: str, code: int = USAGE) -> NoReturn:
    print(f"marlsmith: {sentence}", file=sys.stderr)
    sys.exit(code)


# ---------------------------------------------------------------- run, resume, approve


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"marlsmith {version('marlsmith')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What stands before any command."""


@app.command()
def run(
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    method: Annotated[str, typer.Option("--method", help="lero, or an ablation: lr, lo, lro, ler, leo.")] = "lero",
    algorithm: Algorithm = "mappo",
    train_option: TrainOptions = None,
    device: Device = "cpu",
    generator: Annotated[str, typer.Option("--generator", help="offline, or MODEL[@BASE_URL].")] = "offline",
    critic: Annotated[str, typer.Option("--critic", help="offline, or MODEL[@BASE_URL].")] = "offline",
    validator: Annotated[str, typer.Option("--validator", help="offline, or MODEL[@BASE_URL].")] = "offline",
    steps: Steps = 30_000,
    episodes: Episodes = 50,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Seeds of a candidate in the search.")] = None,
    confirm_seeds: Annotated[int | None, typer.Option("--confirm-seeds", min=2, help="Fresh seeds at the end.")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Proposal rounds.")] = None,
    candidates: Annotated[int | None, typer.Option("--candidates", min=1, help="Candidates of a round.")] = None,
    population: Annotated[int | None, typer.Option("--population", min=1, help="Parents that are kept.")] = None,
    evolve: Annotated[str | None, typer.Option("--evolve", help="reward, observation or both.")] = None,
    selection: Annotated[str | None, typer.Option("--selection", help="top-k, tournament or rank.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="What features may read: own or team.")] = None,
    signals: Annotated[str | None, typer.Option("--signals", help="config, or any (config and code).")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Ask a person before a promotion.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the whole run: same seed, same run.")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Branches at once; default: cores.")] = None,
    branch_seconds: BranchSeconds = 600,
    out: Annotated[Path | None, typer.Option("--out", help="Run directory; default: runs/DATE-TASK-METHOD.")] = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Search for a learning signal, compare the best with the native task on fresh seeds, promote what holds."""
    with _explained():
        task = _reference(task, task_option)
        overrides = {
            "rounds": rounds, "candidates": candidates, "population": population, "evolve": evolve,
            "selection": selection, "scope": scope, "signals": signals, "search_seeds": seeds,
            "confirm_seeds": confirm_seeds, "approve": approve or None,
        }  # fmt: skip
        settings = _run_settings(
            task, method, _train_config(task, algorithm, steps, device, train_option), (generator, critic, validator),
            episodes, seed, workers, branch_seconds,
            {name: value for name, value in overrides.items() if value is not None},
        )  # fmt: skip
        _preflight(settings)
        _verify_external(task)
        path = out or _default_directory(task, method)

        def events(stop: Stop) -> Iterator[Event]:
            from marlsmith.graph.run import start

            return start(settings, lambda directory: _equip(settings, directory), path, stop=stop)

        _follow(events, as_json=as_json, plain=plain, run=path)


@app.command()
def resume(run: Run, as_json: Json = False, plain: Plain = False) -> None:
    """Go on with a run that was paused or killed; finished branches are not trained again."""
    _continue(run, None, as_json=as_json, plain=plain)


@app.command()
def approve(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes/--no", help="Promote the candidate, or keep what there is.")],
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Answer a run that waits for an approval, and go on with it."""
    _continue(run, yes, as_json=as_json, plain=plain)


def _continue(path: Path, answer: bool | None, *, as_json: bool, plain: bool) -> None:
    from marlsmith.graph.run_directory import RunDirectory

    def events(stop: Stop) -> Iterator[Event]:
        from marlsmith.graph.run import resume as go_on

        return go_on(path, lambda directory: _equip(directory.settings, directory), stop=stop, approve=answer)

    with _explained():
        _follow(events, as_json=as_json, plain=plain, run=path, past=list(RunDirectory.open(path).events()))


def _run_settings(
    task: str,
    method: str,
    train: TrainConfig,
    roles: tuple[str, str, str],
    episodes: int,
    seed: int,
    workers: int | None,
    branch_seconds: float,
    overrides: dict[str, object],
) -> RunSettings:
    from pydantic import ValidationError

    from marlsmith.graph.methods import RoleSettings, RunSettings, method_from
    from marlsmith.marl.config import EvaluationConfig
    from marlsmith.schemas import UserError

    generator, critic, validator = map(_resolved, roles)
    try:
        return RunSettings(
            task=task,
            method_name=method,
            method=method_from(method, overrides),
            train=train,
            evaluation=EvaluationConfig(episodes=episodes),
            roles=RoleSettings(generator=generator, critic=critic, validator=validator),
            seed=seed,
            workers=workers or _cores(),
            branch_seconds=branch_seconds,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg']}") from None


def _train_config(task: str, algorithm: str, steps: int, device: str, options: list[str] | None) -> TrainConfig:
    """The tuned settings for this task and algorithm, changed as the command line says."""
    from marlsmith.marl.algorithms import Spaces, find_algorithm
    from marlsmith.marl.devices import checked_device
    from marlsmith.marl.presets import parse_settings, train_config
    from marlsmith.marl.tasks import make_task

    factory = find_algorithm(algorithm)
    changes = {"steps": steps, "device": device, **parse_settings(options or [])}
    card = make_task(task).card
    config = train_config(card, algorithm, changes)
    checked_device(config.device)
    factory.require_sense(Spaces.of(card, card.observation_size), config)
    return config


def _resolved(role: str) -> str:
    """The role with its address written out: a resume from another shell must reach the same model."""
    from marlsmith.agents.endpoint import parse_model
    from marlsmith.agents.make import OFFLINE

    return OFFLINE if role == OFFLINE else str(parse_model(role))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_directory(task: str, method: str) -> Path:
    from datetime import datetime

    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = re.sub(r"[^A-Za-z0-9]+", "_", task.rsplit("/", 1)[-1].removesuffix(".toml")).strip("_")
    return Path("runs") / f"{stamp}-{name}-{method}"


def _reference(task: str, options: list[str] | None) -> str:
    """The task with its parameters, as it must be kept to be found again from another directory."""
    from marlsmith.marl.external.read import absolute
    from marlsmith.marl.tasks.reference import with_options

    return absolute(with_options(task, options or []))


def _verify_external(task: str) -> None:
    """Refuses an environment of others that fails at once or contradicts its card, before anything is written.

    Tasks of this package are compared with their cards by its tests.
    """
    from marlsmith.marl.tasks.reference import TaskReference, is_external

    if is_external(TaskReference.parse(task).name):
        from marlsmith.marl.tasks.verify import verify_steps

        _compare(task, verify_steps)


def _compare(task: str, verify: Callable[[MadeTask], None]) -> None:
    """Compares a task with its card; a fault of its environment is the user's to mend."""
    from marlsmith.marl.external.wire import EnvironmentFault
    from marlsmith.marl.tasks import make_task
    from marlsmith.schemas import UserError

    try:
        verify(make_task(task))
    except EnvironmentFault as fault:
        raise UserError(f"The environment of {task} failed: {fault}. Mend it and try again.") from None


def _preflight(settings: RunSettings) -> None:
    """Asks every role for a sign of life before anything is written."""
    from marlsmith.agents.make import OFFLINE, make_roles
    from marlsmith.agents.offline.draft import Draft
    from marlsmith.marl.tasks import make_task

    roles = settings.roles
    if roles.generator == OFFLINE:
        method = settings.method
        Draft.blank(make_task(settings.task).card, method.scope, method.evolve)  # raises where it has no means
    _, clients = make_roles(roles.generator, roles.critic, roles.validator, Path(os.devnull))
    for client in clients:
        client.preflight()


def _equip(settings: RunSettings, directory: RunDirectory) -> Parts:
    from marlsmith.agents.make import make_roles, tokens
    from marlsmith.graph.context import Parts
    from marlsmith.marl.local import LocalExecutor
    from marlsmith.marl.signals.writer import to_code
    from marlsmith.marl.tasks import make_task

    roles = settings.roles
    made, clients = make_roles(roles.generator, roles.critic, roles.validator, directory.path / "llm.jsonl")
    return Parts(
        card=make_task(settings.task).card,
        roles=made,
        executor=LocalExecutor(settings.workers, branch_seconds=settings.branch_seconds),
        signal_to_code=to_code,
        tokens=lambda: tokens(clients),
    )


def _follow(events: Any, *, as_json: bool, plain: bool, run: Path, past: Sequence[Event] = ()) -> None:
    """Shows a run's events until it ends, pauses or asks. Ctrl-C pauses; a second one ends at once."""
    from marlsmith.graph.display import make_trace
    from marlsmith.graph.run import Paused, Stop, WaitingForApproval
    from marlsmith.schemas import EndpointError

    stop = Stop()
    with make_trace(as_json=as_json, plain=plain) as trace, _interruptible(stop):
        try:
            trace.recall(past)
            for event in events(stop):
                trace.tell(event)
        except Paused as reason:
            code, sentence = PAUSED, str(reason)
        except WaitingForApproval as question:
            code, sentence = WAITING, str(question)
        except BrokenPipeError:
            _close_stdout()
            code, sentence = PAUSED, f"nobody reads the output any more; go on with `marlsmith resume {run}`"
        except EndpointError as error:
            code, sentence = PAUSED, f"{error}; the run is paused, go on with `marlsmith resume {run}`"
        else:
            return
    _refuse(sentence, code)


@contextmanager
def _interruptible(stop: Stop) -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        if stop.requested.is_set():
            os._exit(KILLED)
        print("\nmarlsmith: pausing (again to end at once)", file=sys.stderr)
        stop.request()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- show, tasks, graph


@app.command()
def show(
    run: Run,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the trace into an SVG file instead.")] = None,
    as_json: Json = False,
) -> None:
    """Tell the story of a run again: who decided what, why, and what came of it."""
    from marlsmith.graph.display import JsonTrace, OutputConsole, Story, draw
    from marlsmith.graph.run_directory import RunDirectory

    with _explained():
        directory = RunDirectory.open(run)
        if as_json:
            for event in directory.events():
                JsonTrace().tell(event)
            return
        story = Story()
        lines = (line for event in directory.events() for line in story.lines(event))
        if svg is not None:
            draw(lines, svg)
            return
        console = OutputConsole(highlight=False)
        for line in lines:
            console.print(line)


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="One task: its whole card.")] = None,
    task_option: TaskOptions = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show the card of one as the roles are given it."""
    with _explained():
        from marlsmith.marl.tasks import TASKS, make_task
        from marlsmith.marl.tasks.verify import verify
        from marlsmith.schemas import UserError

        if task_option and not name:
            raise UserError("--task-option is of one task: write marlsmith tasks NAME --task-option KEY=VALUE")
        chosen = [_reference(name, task_option)] if name else list(TASKS)
        if name:
            _compare(chosen[0], verify)
        cards = [make_task(each).card for each in chosen]
        if as_json:
            for card in cards:
                print(card.model_dump_json())
            return
        from marlsmith.graph.display import OutputConsole

        for card in cards:
            _print_card(OutputConsole(highlight=False), card, whole=name is not None)


def _print_card(console: Any, card: TaskCard, *, whole: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from marlsmith.marl.signals.view import COMMON_FIELDS
    from marlsmith.schemas import agents_by_number

    console.print(Text(f"{card.name}: {card.agents} agents, {card.horizon} steps, score {card.score}", "bold"))
    if not whole:
        return
    console.print(Text(" ".join(card.description.split())))
    console.print(Text(f"Sparsity: {card.sparsity}."))
    tables: dict[str, list[tuple[str, ...]]] = {
        "state, as in every task": [(name, shape, "", meaning) for name, (shape, meaning) in COMMON_FIELDS.items()],
        "state, of this task": [(f.name, f.shape, f.unit, f.meaning) for f in card.fields],
        "observation": [
            (p.name, f"[{p.start}:{p.stop}]", "" if p.agents is None else agents_by_number(p.agents), p.meaning)
            for p in card.observation
        ],
        **{
            "actions" if len(agents) == card.agents else f"actions of {agents_by_number(agents)}": _action_rows(
                meanings, "-1..1" if card.actions.kind == "continuous" else ""
            )
            for agents, meanings in card.actions.by_agents()
        },
        "metrics": [(m.name, "", m.unit, m.meaning) for m in card.metrics],
    }
    for title, rows in tables.items():
        if not rows:
            continue
        table = Table(box=None, show_header=False, title=title, title_justify="left", padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


def _action_rows(meanings: tuple[str, ...], unit: str) -> list[tuple[str, ...]]:
    """One by one, or a long list in short."""
    from marlsmith.schemas import MOST_LISTED, listed

    if len(meanings) > MOST_LISTED:
        return [(listed(meanings),)]
    return [(str(number), "", unit, meaning) for number, meaning in enumerate(meanings)]


@app.command()
def graph() -> None:
    """Print the state machine as a Mermaid diagram."""
    from marlsmith.graph.wiring import mermaid

    print(mermaid())


# ---------------------------------------------------------------- train, check


@app.command()
def train(
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    algorithm: Algorithm = "mappo",
    train_option: TrainOptions = None,
    device: Device = "cpu",
    signal_file: Annotated[
        Path | None, typer.Option("--signal", help="Signal, .py or .json; without it the native task.")
    ] = None,
    scope: Scope = "own",
    steps: Steps = 30_000,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds, trained side by side.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31, help="The first of the seeds.")] = 0,
    episodes: Episodes = 50,
    branch_seconds: BranchSeconds = 600,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the checkpoint in this new directory.")] = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Train a given signal, or the native task, without any role."""
    with _explained():
        from marlsmith.marl.tasks import make_task
        from marlsmith.schemas import NATIVE

        task = _reference(task, task_option)
        card = make_task(task).card
        config = _train_config(task, algorithm, steps, device, train_option)
        designed = NATIVE if signal_file is None else _read_signal(signal_file)
        _verify_external(task)
        evaluation = _train(
            designed, signal_file, task, config, _known_scope(scope), range(seed, seed + seeds), episodes,
            branch_seconds, out, plain or as_json,
        )  # fmt: skip
        for warning in evaluation.warnings:
            print(f"marlsmith: warning: {warning}", file=sys.stderr)
        if as_json:
            print(_train_json(evaluation))
            return
        from rich.console import Console

        console = Console(highlight=False)
        low, high = evaluation.interval or (0.0, 0.0)
        console.print(
            f"{card.score} {evaluation.score:.3f} [{low:.3f}, {high:.3f}] over {seeds} seeds: "
            f"{', '.join(f'{score:.3f}' for score in evaluation.scores)}",
            markup=False,
        )
        console.print(", ".join(f"{name} {value:.4g}" for name, value in evaluation.metrics.items()), markup=False)
        speed = f"{evaluation.steps_per_second:,.0f} environment steps/s"
        console.print(f"{evaluation.steps:,} steps a seed in {evaluation.seconds:.1f} s, {speed}", markup=False)
        if out is not None:
            console.print(f"checkpoint {out}/checkpoint.safetensors", markup=False)


def _train(
    designed: Signal,
    file: Path | None,
    task: str,
    config: TrainConfig,
    scope: str,
    seeds: range,
    episodes: int,
    branch_seconds: float,
    out: Path | None,
    quiet: bool,
) -> Evaluation:
    """One branch outside any run; the signal is checked first. Raises UserError where it fails."""
    from marlsmith.marl.config import BranchRequest, EvaluationConfig
    from marlsmith.marl.local import LocalExecutor
    from marlsmith.schemas import UserError

    request = BranchRequest(
        branch="train",
        candidate=file.name if file else "native",
        task=task,
        seeds=tuple(seeds),
        train=config,
        evaluation=EvaluationConfig(episodes=episodes),
    )
    executor = LocalExecutor(1, branch_seconds=branch_seconds)
    try:
        if not designed.is_native and (problems := executor.check(designed, task, scope)):  # type: ignore[arg-type]
            raise UserError(f"{file} is refused ({problems[0].stage}): {problems[0].message}")
        with _checkpoint_directory(out) as directory, _training_bar(config.steps, quiet) as progress:
            evaluation = executor.train(request, designed, directory, progress)
            if evaluation.error is not None:
                raise UserError(f"the training failed ({evaluation.error.stage}): {evaluation.error.message}")
    finally:
        executor.close()
    return evaluation


@contextmanager
def _checkpoint_directory(out: Path | None) -> Iterator[Path]:
    """Where the checkpoint goes: a new directory that stays only if the training succeeds, or one for scratch."""
    import shutil
    import tempfile

    from marlsmith.schemas import UserError

    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{out} exists: choose another directory") from None
    except OSError as error:
        reason = (error.strerror or "fault").lower()
        raise UserError(f"cannot create {out} ({reason}): choose another directory") from None
    try:
        yield out
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


@contextmanager
def _training_bar(steps: int, quiet: bool) -> Iterator[Any]:
    """A progress bar with remaining time on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("training", total=steps)
        yield lambda said: bars.update(bar, completed=said.steps)


def _train_json(evaluation: Evaluation) -> str:
    import json

    keys = ("score", "scores", "interval", "metrics", "steps_per_second", "seconds")
    data = evaluation.model_dump(mode="json")
    return json.dumps({key: data[key] for key in keys})


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Signals, .py or .json.")],
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    scope: Scope = "own",
    as_json: Json = False,
) -> None:
    """Check signal files for a task without training them. Exit 0 when all are accepted, 1 otherwise."""
    import json

    with _explained():
        from marlsmith.marl.local import LocalExecutor
        from marlsmith.marl.tasks import make_task
        from marlsmith.schemas import SignalError

        task = _reference(task, task_option)
        make_task(task)
        allowed = _known_scope(scope)
        texts = {file: _read_text(file) for file in files}
        _verify_external(task)
        executor = LocalExecutor(_cores())
        accepted = True
        try:
            for file in files:
                try:
                    designed = _parse_signal(file, texts[file])
                    failures = executor.check(designed, task, allowed)  # type: ignore[arg-type]
                    stage, problems = (failures[0].stage if failures else None), [f.message for f in failures]
                except SignalError as error:
                    stage, problems = error.stage, list(error.problems)
                accepted = accepted and not problems
                if as_json:
                    verdict = {"file": str(file), "accepted": not problems, "stage": stage, "problems": problems}
                    print(json.dumps(verdict), flush=True)
                else:
                    print(f"{file}: {'accepted' if not problems else f'refused ({stage}): ' + '; '.join(problems)}")
        finally:
            executor.close()
    raise typer.Exit(0 if accepted else 1)


def _known_scope(scope: str) -> str:
    from marlsmith.schemas import UserError

    if scope not in {"own", "team"}:
        raise UserError(f"there is no scope {scope!r}: say own or team")
    return scope


def _read_text(file: Path) -> bytes:
    from marlsmith.schemas import UserError

    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {(error.strerror or 'unreadable').lower()}") from None


def _parse_signal(file: Path, data: bytes) -> Signal:
    from marlsmith.marl.signals.files import read_signal
    from marlsmith.schemas import SignalError

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise SignalError("is not UTF-8 text: save it as UTF-8") from None
    return read_signal(file.name, text)


def _read_signal(file: Path) -> Signal:
    from marlsmith.schemas import SignalError, UserError

    try:
        return _parse_signal(file, _read_text(file))
    except SignalError as error:
        raise UserError(f"{file} is refused ({error.stage}): {error}") from None


if __name__ == "__main__":
    main()
