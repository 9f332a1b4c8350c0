"""What a run on this machine needs."""

from __future__ import annotations

import sys
from functools import partial

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.make import make_roles
from marlsmith.graph.context import Parts
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.executor import Executor


class Local:
    """The imports of torch stand inside: a run that has finished is told again without them.

    `unsafe_jail` is what this command was told. A run's directory may come from somebody else, so that what
    run.toml says of it is a stamp and no permission.
    """

    def __init__(self, unsafe_jail: bool) -> None:
        self.unsafe_jail = unsafe_jail

    def engage(self, settings: RunSettings) -> Executor:
        from marlsmith.marl.local import LocalExecutor

        return LocalExecutor(settings.workers, branch_seconds=settings.branch_seconds, unsafe_jail=self.unsafe_jail)

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        from marlsmith.graph.proposing.workbench import ExecutorWorkbench
        from marlsmith.marl.signals.writer import to_code
        from marlsmith.marl.tasks import make_task

        settings = directory.settings
        workbench = ExecutorWorkbench(executor, settings)
        cast = make_roles(settings.roles, directory.path / book.FILE, tell=_tell, workbench=workbench)
        return Parts(
            card=make_task(settings.task).card,
            roles=cast.roles,
            executor=executor,
            signal_to_code=to_code,
            spent=cast.accounts.spent,
            spent_at=partial(cast.accounts.spent, "generator"),
            interrupt=cast.interrupt,
            heard=workbench.heard,
        )


def _tell(sentence: str) -> None:
    print(f"marlsmith: {sentence}", file=sys.stderr, flush=True)
