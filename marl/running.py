"""Jobs of a task in workers, with the servers of its environments where it has such."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marlsmith.marl.external.launch import EnvironmentServer, Report
from marlsmith.marl.external.task import ExternalTask
from marlsmith.marl.external.wire import MOST_ENVIRONMENTS, EnvironmentFault
from marlsmith.marl.tasks import Task
from marlsmith.marl.workers.contract import Connect, JobFailure, JobResult, Limits
from marlsmith.marl.workers.jobs import ENVIRONMENTS_FD
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import plain


@dataclass(frozen=True)
class Order:
    """One job. `connect` and `companion` are as in `Pool.run`; not every job plays in the task's environments."""

    job: str
    arguments: dict[str, Any]
    limits: Limits
    on_progress: Callable[[dict[str, Any]], None] | None = None
    connect: Connect = dict
    tensors: bytes | None = None
    companion: bool = False
    environments: bool = True
    most_environments: int = MOST_ENVIRONMENTS


class Runner:
    def __init__(self, pool: Pool, hosts: int) -> None:
        self.pool = pool
        self.hosts = hosts
        """Processes that share out the environments of others, for each job."""

    def run(self, task: Task, order: Order) -> tuple[JobResult, Report]:
        """A job's result, with what the server of its environments reports of them. Raises JobFailure."""
        if not isinstance(task, ExternalTask):
            return self._run(order, order.arguments, order.connect), Report()
        external = {"source": task.source.model_dump(mode="json", by_alias=True), "found": plain(task.found)}
        arguments = {**order.arguments, "external": external}
        if not order.environments:
            return self._run(order, arguments, order.connect), Report()
        servers: list[EnvironmentServer] = []

        def connect() -> dict[int, socket.socket]:
            servers.append(EnvironmentServer(task.source, task.found, self.hosts, order.most_environments))
            return {**order.connect(), ENVIRONMENTS_FD: servers[-1].connection}

        failure: JobFailure | None = None
        try:
            try:
                result = self._run(order, arguments, connect)
            except JobFailure as error:
                failure = error
            report = servers[-1].report() if servers else Report()
        except EnvironmentFault as fault:
            raise JobFailure("environment", str(fault)) from None
        finally:
            for server in servers:
                server.stop()
        if failure is None:
            return result, report
        if report.fault is not None:
            raise JobFailure("environment", report.fault) from None
        raise failure

    def _run(self, order: Order, arguments: dict[str, Any], connect: Connect) -> JobResult:
        try:
            return self.pool.run(
                order.job,
                arguments,
                order.limits,
                order.on_progress,
                connect,
                tensors=order.tensors,
                companion=order.companion,
            )
        except JobFailure as failure:
            if failure.stage != "environment":
                raise
            # That the environments are at fault is for their server to say: a candidate would gain by it.
            raise JobFailure("crash", failure.message) from None
