"""What an exception in a worker is, and what to say of it. It may be the candidate's own, text and all."""

from __future__ import annotations

import re

from marlsmith.marl.external.wire import EnvironmentFault
from marlsmith.schemas import FailureStage, SignalError

# What the operating system's refusals look like: Python's own exception, and how a thread that cannot start ends.
JAIL_SIGNS = ("can't start new thread", "operation not permitted")
MEMORY_SIGNS = ("can't allocate memory", "not enough memory", "std::bad_alloc", "cannot allocate memory")
MESSAGE_LIMIT = 1000


def diagnose(error: BaseException) -> tuple[FailureStage, str]:
    """Which failure an exception is, and what to say of it: type, text and the candidate's line."""
    text = said(error)
    if isinstance(error, SignalError):
        return error.stage, text
    if isinstance(error, EnvironmentFault):
        return "environment", text
    where = at(candidate_line(error))
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in MEMORY_SIGNS):
        return "memory", f"{where}{_too_much(text) or message}"
    if isinstance(error, PermissionError) or any(sign in text.lower() for sign in JAIL_SIGNS):
        return "jail", f"{where}the jail refused it, {message}"
    return "crash", f"{where}{message}"


def at(line: int | None) -> str:
    """How every message begins whose line is known."""
    return "" if line is None else f"line {line}: "


def _too_much(text: str) -> str:
    """Torch's words for a lack of memory are its own; the number in them is of use."""
    asked = re.search(r"allocate (\d{1,19}) bytes", text)
    return "" if asked is None else f"asked for {int(asked[1]) / 1e9:.1f} GB at once, more than its memory limit leaves"


def traced_line(dump: bytes) -> int | None:
    """The innermost line of candidate code in a dump by faulthandler. The candidate may have written there too."""
    found = re.search(rb'File "<signal>", line (\d{1,9}) in ', dump)
    return None if found is None else int(found[1])


def said(error: BaseException) -> str:
    """The exception's text, without addresses. Its class may be the candidate's, and so may be its `__str__`."""
    try:
        return re.sub(r" at 0x[0-9a-f]+", "", str(error)[:MESSAGE_LIMIT])
    except BaseException as fault:
        return f"its text raises {type(fault).__name__}"


def candidate_line(error: BaseException) -> int | None:
    """The innermost line of candidate code in the traceback: its file is called <signal>."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<signal>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
