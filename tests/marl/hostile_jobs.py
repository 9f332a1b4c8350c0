"""Handlers that run the hostile corpus unchecked. Loaded by file path into the fork server."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl.checking.samples import played, view_of
from marlsmith.marl.jail.syscalls import NUMBERS, machine
from marlsmith.marl.signals.program import HISTORY, build_program
from marlsmith.marl.signals.world import Scenario, worlds
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import Signal, SignalError

Report = Callable[[dict[str, Any]], None]
Reply = tuple[dict[str, Any], bytes | None]

# Attacks are to be stopped by the jail, not for want of a module that can no longer be read.
MODULES = """
    _thread asyncio atexit concurrent.futures ctypes faulthandler fcntl glob http.server io linecache logging mmap
    multiprocessing pathlib pickle pty resource secrets shutil signal socket sqlite3 subprocess tempfile termios
    encodings.idna multiprocessing.popen_fork torch.utils.serialization threading urllib.request uuid weakref
    marlsmith.marl.trainer torch.distributed torch.hub torch.utils.cpp_extension
"""
for module in MODULES.split():
    importlib.import_module(module)

TASK = make_task("mpe/simple_spread")
STATE = view_of(played(TASK, None, 25, 0), TASK.card)
CALLS = 400


def raw(arguments: dict[str, Any], report: Report) -> Reply:
    """The module with all of Python, and a call of each function that it defines; what they answer is told."""
    namespace: dict[str, Any] = {"__name__": "candidate", "NUMBERS": NUMBERS.get(machine(), {}), **arguments["victims"]}
    exec(compile(arguments["source"], "<signal>", "exec"), namespace)
    functions = [value for value in namespace.values() if isinstance(value, FunctionType)]
    return {"answers": [_answer(function) for function in functions if function.__module__ == "candidate"]}, None


def _answer(function: FunctionType) -> str:
    world = worlds(STATE.rows(slice(0, 1)), TASK.card)[0]
    given = {
        "obs": STATE.obs.clone(),
        "history": torch.stack([STATE.obs] * HISTORY, 1),
        "self": Scenario({}),
        "world": world,
        "agent": world.agents[0],
    }
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    try:
        return f"{function.__name__}: {function(*(given.get(one.name, STATE.clone()) for one in needed))!r:.200}"
    except BaseException as error:
        try:
            return f"{function.__name__}: {error!r:.500}"
        except BaseException:
            return "an error without a text"


def repeat(arguments: dict[str, Any], report: Report) -> Reply:
    """Whether a signal that was not refused answers the last of many calls as the first."""
    try:
        program = build_program(Signal.model_validate(arguments["signal"]), TASK.card)
        state = STATE.rows(slice(0, 2))

        def answers() -> list[Tensor]:
            found: list[Tensor] = []
            if program.shapes_reward:
                found += program.reward(state.clone(), 2, TASK.card.agents)[1].values()
            if program.enhance is not None:
                found.append(program.features(state.obs.clone(), torch.stack([state.obs] * HISTORY, 1)))
            return found

        first = [value.clone() for value in answers()]
        for _ in range(CALLS):
            last = answers()
    except SignalError as error:
        return {"refused": str(error)}, None
    return {"alike": len(first) == len(last) and all(map(torch.equal, first, last))}, None
