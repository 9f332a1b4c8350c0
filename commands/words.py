"""What options are called and mean on the command line, where several commands have them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
EvaluationSeed = Annotated[
    int | None,
    typer.Option(
        "--evaluation-seed", min=0, max=2**62, help="Of the evaluation episodes; default: this machine's own, unknown."
    ),
]
Scope = Annotated[str, typer.Option("--scope", help="What features may read: own (own observation) or team.")]
MethodName = Annotated[
    str,
    typer.Option(
        "--method",
        help="lero (ablations: lr, lo, lro, ler, leo); llm-also, which adapts one training under way (arms to compare: "
        "also-metrics, also-always, also-one-shot, also-sparse); lero+also.",
    ),
]
TrustTask = Annotated[
    bool, typer.Option("--trust-task", help="Start the run's task where it is a program of others, named by the run.")
]
UnsafeJail = Annotated[
    bool,
    typer.Option("--unsafe-jail", help="Go on where the jail around candidate code is open; see `marlsmith doctor`."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain lines instead of the live view.")]
BranchSeconds = Annotated[float, typer.Option("--branch-seconds", min=1, help="Time limit of one branch, in seconds.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Generators = Annotated[
    list[str] | None,
    typer.Option(
        "--generator",
        metavar="WHO",
        help="offline, random, manual, a NAME of marlsmith.toml, or MODEL[@BASE_URL]; several may share a run.",
    ),
]
Critic = Annotated[str | None, typer.Option("--critic", metavar="WHO", help="As --generator, but one.")]
Validator = Annotated[str | None, typer.Option("--validator", metavar="WHO", help="As --generator, but one.")]
NoValidator = Annotated[bool, typer.Option("--no-validator", help="Let nobody review candidates.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Models and roles; default: marlsmith.toml, if there.")
]
Prompts = Annotated[
    Path | None, typer.Option("--prompts", metavar="DIR", help="Templates that take the place of those of their name.")
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="KEY=VALUE",
        help="Limit: calls, tokens or money of the run, generator.calls and so on of a role; VALUE may be none.",
    ),
]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Tell tensorboard or wandb as it happens; several may be given."),
]
