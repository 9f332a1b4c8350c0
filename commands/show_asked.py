"""`marlsmith show --prompts`: what each role was sent in a run, and what it answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Line
from marlsmith.agents.asking.question import Message
from marlsmith.graph.telling.speech import count, money
from marlsmith.results.past import PastRun
from marlsmith.schemas import printable, visible

NOTHING = "Nobody was sent anything: no role of this run is a model or a person."
NOT_YET = "Nothing has been sent so far."
NOT_ABOUT_IT = "Nothing was sent about this candidate."


def exchanges(past: PastRun, candidate: str | None) -> list[Line]:
    """Requests in their order, with reply or error; of one candidate those that made, checked and promoted it."""
    requests = filter(book.is_request, book.read(past.path / book.FILE))
    places = None if candidate is None else _places(past, candidate)
    return [line for line in requests if places is None or line["place"] in places]


def _places(past: PastRun, candidate: str) -> set[str]:
    """Where a candidate was asked for and reviewed, and where the diagnosis was made that its generator was told."""
    proposal = next(event for event in past.of("proposal") if event["candidate"] == candidate)
    stage, round = proposal["stage"], proposal["round"]
    found = re.fullmatch(r"s\d+r\d+c(\d+)(?:-fix\d+)?", candidate)
    asked = f"s{stage}r{round}a{proposal['attempt']}"
    slots = {f"{asked}/{found[1]}"} if found and proposal["kind"] != "edit" else set()
    return {f"s{stage}r{round}", asked, *slots, f"{candidate}/check", f"{candidate}/promotion"}


def record(line: Line) -> dict[str, Any]:
    """For programs: what was said, without what tells equal questions apart."""
    reply = book.answer_of(line)
    return {
        "role": line["role"],
        "place": line["place"],
        "model": _model(line),
        "messages": line["messages"],
        "reply": None if reply is None else reply.text,
        "tool_calls": [vars(call) for call in reply.tool_calls] if reply is not None else [],
        "error": line["error"],
        "usage": line.get("usage"),
        "money": line.get("money"),
        "seconds": line.get("seconds"),
    }


def told(past: PastRun, lines: Sequence[Line], candidate: str | None) -> Iterator[RenderableType]:
    if not lines:
        yield Text(_nothing(past, candidate))
    before: Sequence[Message] = ()
    for line in lines:
        yield Text()
        who = f"{line['role']}, {line['place']}: {_model(line) or 'a person'}"
        yield Rule(Text(printable(who, 160), "bold"), style="dim", align="left")
        yield from _sent(line["messages"], before)
        yield from _answered(line)
        before = line["messages"]


def _nothing(past: PastRun, candidate: str | None) -> str:
    roles = past.settings.roles
    asked = any(name in roles.models or name == "manual" for _, name in roles.cast)
    if not asked:
        return NOTHING
    return NOT_ABOUT_IT if candidate is not None else NOT_YET


def _model(line: Line) -> str | None:
    model = book.model_of(line["asked"])
    return None if model is None else model.model


def _sent(messages: Sequence[Message], before: Sequence[Message]) -> Iterator[RenderableType]:
    """What stood word for word in the question before is not repeated."""
    for index, message in enumerate(messages):
        again = index < len(before) and before[index] == message
        yield Text(f"{message['role']}{' (as above)' if again else ''}", "magenta")
        if not again:
            yield _words(message.get("content") or json.dumps(message, ensure_ascii=False, indent=1))


def _answered(line: Mapping[str, Any]) -> Iterable[RenderableType]:
    reply = book.answer_of(dict(line))
    if reply is None:
        yield Text("no answer", "bold red")
        yield _words(str(line["error"]))
        return
    yield Text(f"answer{_cost(line)}", "bold cyan")
    if reply.text or not reply.tool_calls:
        yield _words(reply.text or reply.refusal or "nothing")
    for call in reply.tool_calls:
        yield _words(f"{call.name}({call.arguments})")


def _cost(line: Mapping[str, Any]) -> str:
    usage, paid = book.usage_of(dict(line)), line.get("money")
    said = [] if usage is None else [count(usage.tokens, "token")]
    said += [] if paid is None else [f"money {money(paid)}"]
    said += [f"{line['seconds']:.1f} s"] if line.get("seconds") is not None else []
    return f" ({', '.join(said)})" if said else ""


def _words(text: object) -> RenderableType:
    shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, indent=1)
    return Padding(Text(visible(shown), overflow="fold"), (0, 0, 0, 2))
