"""The command line: what may be said, and how a command ends. What it does is in `commands/`.

Each command imports its own file there when it is called, so that --help answers at once.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from marlsmith.commands.exits import KILLED, USAGE, Halted, close_stdout
from marlsmith.commands.words import (
    Algorithm,
    BranchSeconds,
    Budgets,
    Config,
    Critic,
    Device,
    Episodes,
    EvaluationSeed,
    Generators,
    Json,
    MethodName,
    NoValidator,
    Plain,
    Prompts,
    Run,
    Scope,
    Steps,
    Task,
    TaskOptions,
    Trackers,
    TrainOptions,
    TrustTask,
    UnsafeJail,
    Validator,
)

LONGEST = 2000
"""Characters of an error's sentence."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Designs learning signals for cooperative multi-agent RL, and promotes only what the statistics support.",
)


def main() -> None:
    """The console script: every error of the user's is one sentence on stderr and a non-zero exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no bars still gets the words
    app()


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what the user can mend into a sentence and an exit code."""
    from marlsmith.schemas import PausingError, SignalError, UserError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was begun is tidied up
    try:
        yield
        sys.stdout.flush()
    except (UserError, SignalError, PausingError) as error:
        _refuse(str(error), details=getattr(error, "details", ()))
    except Halted as halt:
        _refuse(str(halt), halt.code)
    except BrokenPipeError:  # `marlsmith show RUN | head`: the reader has what it wanted
        close_stdout()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(KILLED)


def _refuse(sentence: str, code: int = USAGE, details: Sequence[str] = ()) -> NoReturn:
    from marlsmith.schemas import printable

    print(f"marlsmith: {printable(sentence, LONGEST)}", file=sys.stderr)  # it may name a file, and files any name
    for line in details:
        print(line, file=sys.stderr)
    sys.exit(code)


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


def _require_alone(context: typer.Context, option: str, beside: Collection[str]) -> None:
    """Refuses what is said beside an option that settles everything else."""
    from marlsmith.schemas import UserError

    sources = {name: context.get_parameter_source(name) for name in context.params}
    said = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    known = (parameter for parameter in context.command.params if parameter.name in said - set(beside))
    if extra := [parameter.opts[0] for parameter in known]:
        raise UserError(f"{option} takes everything from the run that it names: leave out {', '.join(extra)}")


@app.command()
def run(
    context: typer.Context,
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    method: MethodName = "lero",
    algorithm: Algorithm = "mappo",
    train_option: TrainOptions = None,
    device: Device = "cpu",
    generator: Generators = None,
    critic: Critic = None,
    validator: Validator = None,
    no_validator: NoValidator = False,
    budget: Budgets = None,
    config: Config = None,
    prompts: Prompts = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, help="Environment steps of each seed: of a candidate (30000), or of an adapted main run."
        ),
    ] = None,
    stages: Annotated[int | None, typer.Option("--stages", min=1, help="Times that a main run may be adapted.")] = None,
    branch_steps: Annotated[
        int | None,
        typer.Option("--branch-steps", min=1, help="Of each seed in a stage and its branches (20000)."),
    ] = None,
    episodes: Episodes = 50,
    evaluation_seed: EvaluationSeed = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds of a candidate, or members of an adapted main run.")
    ] = None,
    confirm_seeds: Annotated[
        int | None, typer.Option("--confirm-seeds", min=2, help="Fresh seeds at the end of a search from scratch.")
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Proposal rounds, of each stage.")] = None,
    candidates: Annotated[int | None, typer.Option("--candidates", min=1, help="Candidates of a round.")] = None,
    population: Annotated[int | None, typer.Option("--population", min=1, help="Parents that are kept.")] = None,
    evolve: Annotated[str | None, typer.Option("--evolve", help="reward, observation or both.")] = None,
    selection: Annotated[str | None, typer.Option("--selection", help="top-k, tournament or rank.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="What features may read: own or team.")] = None,
    signals: Annotated[str | None, typer.Option("--signals", help="config, or any (config and code).")] = None,
    repairs: Annotated[
        int | None, typer.Option("--repairs", min=0, max=5, help="Times that a refused candidate may be mended.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Ask a person before a promotion.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the whole run: same seed, same run.")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Branches at once; default: cores.")] = None,
    branch_seconds: BranchSeconds = 600,
    unsafe_jail: UnsafeJail = False,
    out: Annotated[Path | None, typer.Option("--out", help="Run directory; default: runs/DATE-TASK-METHOD.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate calls, tokens, money, environment steps and minutes.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option("--replay", metavar="RUN", help="Run this run again from its record, without asking any model."),
    ] = None,
    track: Trackers = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Search for a learning signal, or adapt that of a training under way (llm-also), and promote what holds."""
    with _explained():
        if replay is not None:
            from marlsmith.commands.replay import OWN_OPTIONS, ReplayOptions, replay_run

            _require_alone(context, "--replay", OWN_OPTIONS)
            given = ReplayOptions(run=replay, out=out, workers=workers, unsafe_jail=unsafe_jail)
            replay_run(given, as_json=as_json, plain=plain)
            return
        from marlsmith.commands.options import BranchOptions
        from marlsmith.commands.roles import Choice
        from marlsmith.commands.run import RunOptions, run_search

        branch = BranchOptions(
            task=task, task_options=task_option or (), algorithm=algorithm, train_options=train_option or (),
            device=device, steps=steps, episodes=episodes, evaluation_seed=evaluation_seed,
            branch_seconds=branch_seconds, unsafe_jail=unsafe_jail,
        )  # fmt: skip
        overrides = {
            "stages": stages, "branch_steps": branch_steps, "rounds": rounds, "candidates": candidates,
            "population": population, "evolve": evolve, "selection": selection, "scope": scope, "signals": signals,
            "search_seeds": seeds, "confirm_seeds": confirm_seeds, "repairs": repairs, "approve": approve or None,
        }  # fmt: skip
        choice = Choice(
            generators=generator or (), critic=critic, validator=validator, no_validator=no_validator,
            budget=budget or (), prompts=prompts, config=config,
        )  # fmt: skip
        options = RunOptions(
            branch=branch, method=method, overrides=overrides, roles=choice, seed=seed, workers=workers, out=out
        )
        if dry_run:
            from marlsmith.commands.dry_run import estimate_run

            estimate_run(options, as_json=as_json)
        else:
            run_search(options, as_json=as_json, plain=plain, trackers=track or ())


@app.command()
def resume(
    run: Run,
    budget: Budgets = None,
    unsafe_jail: UnsafeJail = False,
    track: Trackers = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Go on with a run that was paused or killed; finished branches are not trained again."""
    with _explained():
        from marlsmith.commands.resume import go_on

        go_on(run, None, budget or (), unsafe_jail=unsafe_jail, as_json=as_json, plain=plain, trackers=track or ())


@app.command()
def approve(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", help="Promote the candidate.")] = False,
    no: Annotated[bool, typer.Option("--no", help="Keep what there is.")] = False,
    edit: Annotated[
        Path | None,
        typer.Option("--edit", metavar="FILE", help="Try this signal in its place, .py or .json; then ask again."),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why: critic and generator are told those of a --no.")
    ] = "",
    budget: Budgets = None,
    unsafe_jail: UnsafeJail = False,
    track: Trackers = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Answer a run that waits for an approval, and go on with it. `marlsmith show` tells what is asked."""
    with _explained():
        from marlsmith.commands.resume import answer_from, go_on

        answer = answer_from(yes=yes, no=no, edit=edit, reason=reason)
        go_on(run, answer, budget or (), unsafe_jail=unsafe_jail, as_json=as_json, plain=plain, trackers=track or ())


@app.command()
def roles(
    generator: Generators = None,
    critic: Critic = None,
    validator: Validator = None,
    no_validator: NoValidator = False,
    budget: Budgets = None,
    config: Config = None,
    ping: Annotated[
        bool, typer.Option("--ping", help="Ask each model something tiny, and say what it can do.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show who would play the roles of a run, and what that may cost. With --ping: exit 0 when all answer, else 1."""
    with _explained():
        from marlsmith.commands.roles import Choice, show_roles

        choice = Choice(
            generators=generator or (), critic=critic, validator=validator, no_validator=no_validator,
            budget=budget or (), config=config,
        )  # fmt: skip
        answered = show_roles(choice, ping=ping, as_json=as_json)
    raise typer.Exit(0 if answered else 1)


@app.command()
def prompts(
    context: typer.Context,
    role: Annotated[
        str | None, typer.Argument(metavar="[ROLE]", help="generator, critic or validator; else all.")
    ] = None,
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    method: MethodName = "lero",
    evolve: Annotated[str | None, typer.Option("--evolve", help="reward, observation or both.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="What features may read: own or team.")] = None,
    signals: Annotated[str | None, typer.Option("--signals", help="config, or any (config and code).")] = None,
    candidates: Annotated[int | None, typer.Option("--candidates", min=1, help="Candidates of a round.")] = None,
    generator: Generators = None,
    own: Prompts = None,
    config: Config = None,
    run: Annotated[Path | None, typer.Option("--run", metavar="RUN", help="What this run really sent.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="With --run: one place in it, such as s1r2.")] = None,
    copy: Annotated[
        Path | None, typer.Option("--copy", metavar="DIR", help="Write the templates there, to start from.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what the roles are sent in a run with these options, word for word; or copy the templates."""
    with _explained():
        from marlsmith.commands.options import BranchOptions
        from marlsmith.commands.prompts import copy_templates, show_prompts, show_sent
        from marlsmith.commands.roles import Choice
        from marlsmith.commands.run import RunOptions
        from marlsmith.schemas import UserError

        if run is not None:
            _require_alone(context, "--run", {"role", "run", "place", "as_json"})
            show_sent(role, run, place, as_json=as_json)
            return
        if place is not None:
            raise UserError("--place is one in a run: say which with --run RUN, or leave it out")
        branch = BranchOptions(
            task=task, task_options=task_option or (), algorithm="mappo", train_options=(), device="cpu",
            steps=None, episodes=50, evaluation_seed=0, branch_seconds=600, unsafe_jail=False,
        )  # fmt: skip
        overrides = {"evolve": evolve, "scope": scope, "signals": signals, "candidates": candidates}
        choice = Choice(generators=generator or (), prompts=own, config=config)
        options = RunOptions(
            branch=branch, method=method, overrides=overrides, roles=choice, seed=0, workers=1, out=None
        )
        if copy is not None:
            copy_templates(copy, options)
        else:
            show_prompts(role, options, as_json=as_json)


@app.command()
def answer(
    run: Run,
    request: Annotated[str | None, typer.Argument(metavar="[REQUEST]", help="One of those that are listed.")] = None,
    editor: Annotated[bool, typer.Option("--editor", help="Write the answer in $EDITOR, below the question.")] = False,
    file: Annotated[Path | None, typer.Option("--file", help="The answer; - is standard input.")] = None,
    as_json: Json = False,
) -> None:
    """List what a run asks of a person, where a role is `manual`; or answer it."""
    with _explained():
        from marlsmith.commands.answer import answer_request, list_requests

        if editor or file is not None:
            answer_request(run, request, None if editor else file)
        else:
            list_requests(run, request, as_json=as_json)


@app.command()
def show(
    run: Run,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on telling while another process works on it; Ctrl-C only ends that.")
    ] = False,
    decisions: Annotated[bool, typer.Option("--decisions", help="Only who decided what, and why.")] = False,
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="ID", help="All of one candidate, with its code.")
    ] = None,
    prompts: Annotated[
        bool, typer.Option("--prompts", help="What each role was sent and answered; also of one --candidate.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into an SVG file instead of printing it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell the story of a run again, or as it happens: who decided what, why, and what came of it."""
    with _explained():
        from marlsmith.commands.show import ShowOptions, show_run

        options = ShowOptions(
            follow=follow, decisions=decisions, candidate=candidate, prompts=prompts, svg=svg, as_json=as_json
        )
        show_run(run, options)


@app.command()
def report(
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", help="The page; default: report.html in the run.")] = None,
    no_animation: Annotated[bool, typer.Option("--no-animation", help="Leave the film of the behaviour out.")] = False,
    trust_task: TrustTask = False,
) -> None:
    """Write a run as one page that opens in any browser, also offline."""
    with _explained():
        from marlsmith.commands.report import write_report

        write_report(run, out, animation=not no_animation, trusted=trust_task)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, of finished runs.")],
    by: Annotated[
        Literal["run", "method"],
        typer.Option(
            "--by", help="method: runs that differ in --seed alone become one row, in which each counts once."
        ),
    ] = "run",
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw them: .svg, .png or .pdf.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="One row per run, seed and point.")] = None,
    marl_eval: Annotated[
        Path | None, typer.Option("--marl-eval", metavar="FILE", help="JSON that the field's plotting tools read.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put runs side by side, task by task: score, interval, probability of improvement over the first, cost."""
    with _explained():
        from marlsmith.commands.compare import CompareOptions, compare_runs

        compare_runs(runs, CompareOptions(by=by, plot=plot, csv=csv, marl_eval=marl_eval, as_json=as_json))


@app.command()
def export(
    run: Run,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory, or an empty one.")],
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="ID", help="Another one than what was promoted.")
    ] = None,
    trust_task: TrustTask = False,
) -> None:
    """Take a signal and its policy home: files that need no marlsmith."""
    with _explained():
        from marlsmith.commands.export import export_run

        export_run(run, directory, candidate, trusted=trust_task)


@app.command()
def reproduce(
    what: Annotated[str, typer.Argument(metavar="TABLE", help="table2: LERO's results; checks: what they rest on.")],
    out: Annotated[Path | None, typer.Option("--out", help="Its directory; default: runs/TABLE.")] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="A,B", help="native,lr,ler,lo,leo,lro,lero; of checks: arms.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B", help="mappo-spread and so on; of checks: tasks.")
    ] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", help="What features may read: own, team or both; default both, checks own.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=5, help="Fresh seeds of each cell, at least 5.")] = 8,
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, help="Of checks: runs of each arm, with seeds of their own (5).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all runs, which so have the same fresh seeds.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Environment steps of each seed of a candidate (30000).")
    ] = None,
    train_option: Annotated[
        list[str] | None,
        typer.Option(
            "--train-option", metavar="[COLUMN.]KEY=VALUE", help="Setting of the trainings, or of a column's."
        ),
    ] = None,
    generator: Generators = None,
    critic: Critic = None,
    validator: Validator = None,
    no_validator: NoValidator = False,
    budget: Budgets = None,
    config: Config = None,
    evaluation_seed: EvaluationSeed = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Branches at once; default: cores.")] = None,
    branch_seconds: BranchSeconds = 1800,
    unsafe_jail: UnsafeJail = False,
    finished: Annotated[bool, typer.Option("--finished", help="Only tell what has been run in --out.")] = False,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Run a whole table of a paper, cell by cell; what is there is not run again. A budget is of the whole table."""
    with _explained():
        from marlsmith.commands.reproduce import Wanted, reproduce_table
        from marlsmith.commands.roles import Choice

        choice = Choice(
            generators=generator or (), critic=critic, validator=validator, no_validator=no_validator,
            budget=budget or (), config=config,
        )  # fmt: skip
        wanted = Wanted(
            what=what, out=out, rows=rows, columns=columns, scope=scope, runs=runs, seeds=seeds, seed=seed, steps=steps,
            train_options=train_option or (), roles=choice, evaluation_seed=evaluation_seed, workers=workers,
            branch_seconds=branch_seconds, unsafe_jail=unsafe_jail,
        )  # fmt: skip
        reproduce_table(wanted, finished=finished, as_json=as_json, plain=plain)


@app.command()
def track(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    trackers: Annotated[list[str], typer.Option("--with", metavar="NAME", help="tensorboard or wandb.")],
) -> None:
    """Tell runs that exist to a tracker; `run --track NAME` does it while they happen."""
    with _explained():
        from marlsmith.commands.track import track_runs

        track_runs(runs, trackers)


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="One task: its whole card.")] = None,
    task_option: TaskOptions = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show the card of one as the roles are given it."""
    with _explained():
        from marlsmith.commands.tasks import show_tasks

        show_tasks(name, task_option or (), as_json=as_json)


@app.command()
def graph() -> None:
    """Print the state machine as a Mermaid diagram."""
    from marlsmith.commands.graph import print_graph

    print_graph()


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
    evaluation_seed: EvaluationSeed = None,
    branch_seconds: BranchSeconds = 600,
    unsafe_jail: UnsafeJail = False,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the checkpoint in this new directory.")] = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Train a given signal, or the native task, without any role."""
    with _explained():
        from marlsmith.commands.options import BranchOptions
        from marlsmith.commands.train import TrainingOptions, train_signal

        branch = BranchOptions(
            task=task, task_options=task_option or (), algorithm=algorithm, train_options=train_option or (),
            device=device, steps=steps, episodes=episodes, evaluation_seed=evaluation_seed,
            branch_seconds=branch_seconds, unsafe_jail=unsafe_jail,
        )  # fmt: skip
        options = TrainingOptions(
            branch=branch, file=signal_file, scope=scope, seeds=range(seed, seed + seeds), out=out
        )
        train_signal(options, as_json=as_json, plain=plain)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Signals, .py or .json.")],
    task: Task = "mpe/simple_spread",
    task_option: TaskOptions = None,
    scope: Scope = "own",
    unsafe_jail: UnsafeJail = False,
    as_json: Json = False,
) -> None:
    """Check signal files for a task without training them. Exit 0 when all are accepted, 1 otherwise."""
    with _explained():
        from marlsmith.commands.check import check_files

        accepted = check_files(
            files, task=task, task_options=task_option or (), scope=scope, unsafe_jail=unsafe_jail, as_json=as_json
        )
    raise typer.Exit(0 if accepted else 1)


@app.command()
def doctor(
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option("--device", help="Whose jail to try: a GPU's driver needs more rights.")
    ] = "cpu",
    as_json: Json = False,
) -> None:
    """Try what the jail around candidate code must refuse, and say what came of it. Exit 0 when it is sound, else 1."""
    with _explained():
        from marlsmith.commands.doctor import examine_jail

        sound = examine_jail(device, as_json=as_json)
    raise typer.Exit(0 if sound else 1)


if __name__ == "__main__":
    main()
