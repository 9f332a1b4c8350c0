"""`marlsmith doctor`: what the jail around candidate code refuses on this machine."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version

from rich.table import Table
from rich.text import Text

from marlsmith.commands.machine import cores, memory_gib
from marlsmith.graph.telling import jail
from marlsmith.graph.telling.display import OutputConsole
from marlsmith.schemas import JailReport, UserError, plain


def examine_jail(device: str, *, as_json: bool) -> bool:
    """Says what came of every act that a training on this device must not do; returns whether the jail is sound."""
    report = _examined(device)
    if as_json:
        print(json.dumps({**plain(report), "sound": report.sound}))
    else:
        _print_report(report)
    return report.sound


def _examined(device: str) -> JailReport:
    """By the probes alone, open acts included. Another system has no workers that could try anything.

    Nor need it be able to import them, so that both imports stand inside.
    """
    if not sys.platform.startswith("linux"):
        from marlsmith.marl.jail.lockdown import missing

        return JailReport(
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            profile="cpu" if device == "cpu" else "accelerator",
            missing=missing(),
        )
    from marlsmith.marl.local import LocalExecutor

    executor = LocalExecutor(1, unsafe_jail=True)  # so that it reports what is open, and does not refuse
    try:
        return executor.jail(device).model_copy(update={"unsafe": False})
    finally:
        executor.close()


def _print_report(report: JailReport) -> None:
    console = OutputConsole(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(_about(report))
    if report.probes:
        console.print(Text())
        console.print(jail.table(report))
    console.print(Text())
    console.print(Text(jail.verdict(report), jail.style(report) or "bold green"))


def _about(report: JailReport) -> Table:
    about = Table.grid(padding=(0, 2))
    for name, said in (
        ("system", report.system),
        ("python", f"{platform.python_version()}, torch {version('torch')}"),
        ("machine", f"{cores()} cores, {memory_gib():.1f} GiB memory{_accelerators(report)}"),
        ("layers", ", ".join(report.layers) or "none"),
        *(("missing", sentence) for sentence in report.missing),
    ):
        about.add_row(Text(name, "dim"), Text(said))
    return about


def _accelerators(report: JailReport) -> str:
    """The rules for a GPU can be tried without one."""
    if report.profile == "cpu" or not report.probes:
        return ""
    from marlsmith.marl.devices import checked_device

    try:
        checked_device("cuda")
    except UserError:
        return ", no GPU that torch can use"
    return ", a GPU"
