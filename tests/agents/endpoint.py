"""A scripted OpenAI-compatible endpoint on localhost: the model's NAME picks how it behaves.

What a good reply says comes from a callable over the request's JSON, so that a test of the whole graph
can answer each role in its own way. Every request is kept in `requests`, its headers, by lower-case name, in
`headers`. BEHAVIOURS, at the end, is the table; a name that is not in it is good. Names combine:

    good|drips      in turn, request by request
    drips%30        30 of 100 requests, always the same ones; the rest are good

To let only one role meet a behaviour, give it a model's name of its own.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Content = Callable[[dict[str, Any]], str]


@dataclass
class ChatEndpoint:
    """`key`: what a caller must present, or None where anybody may ask."""

    content: Content
    key: str | None = None
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    """Paths that were asked for without a question; /moved/... redirects."""
    seen: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0
    at_once: int = 0

    def spec(self, model: str = "good") -> str:
        return f"{model}@{self.url}"

    def formats(self) -> list[str]:
        """How each request wants its answer, in order; see `form`."""
        return [form(request) for request in self.requests]


def form(request: dict[str, Any]) -> str:
    """A response format, `tool` for an answer as a tool call, `tools` where some are offered, or `text`."""
    if "tools" in request:
        return "tool" if isinstance(request.get("tool_choice"), dict) else "tools"
    return str(request.get("response_format", {}).get("type", "text"))


@dataclass(frozen=True)
class Reply:
    """`pace`: seconds between the bytes of the body, or of the `header` too. `stop`: bytes until the connection
    breaks off. `silent`: never a byte. `endless`: the body again and again."""

    body: str | bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pace: float = 0.0
    header: bool = False
    stop: int | None = None
    silent: bool = False
    endless: bool = False
    delay: float = 0.0


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # else many calls at once meet a full queue, and the kernel lets them wait a second


@contextmanager
def serve(content: Content, key: str | None = None) -> Iterator[ChatEndpoint]:
    endpoint = ChatEndpoint(content, key)
    server = _Server(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    # A `content` that raises plays a connection that breaks off: no news for stderr.
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(endpoint: ChatEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.pages.append(self.path)
            known = self.path == "/v1/models"
            page = Reply('{"data": []}') if known else _error(404, "no such page")
            if self.path.startswith("/moved"):
                page = Reply("", 302, {"Location": f"{endpoint.url}/models"})
            self._send(_locked(endpoint, self) or page)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = request["model"]
            with endpoint.lock:
                endpoint.requests.append(request)
                endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                endpoint.seen[model] += 1
                turn = endpoint.seen[model]
                endpoint.at_once += 1
                endpoint.most_at_once = max(endpoint.most_at_once, endpoint.at_once)
            try:
                self._send(_locked(endpoint, self) or behaviour(model, turn)(request, turn, endpoint))
            finally:
                with endpoint.lock:
                    endpoint.at_once -= 1

        def _send(self, reply: Reply) -> None:
            endpoint.closing.wait(reply.delay)
            if reply.silent:
                endpoint.closing.wait()
                return
            if reply.status == 0:  # not a byte, and gone
                return
            data = reply.body.encode() if isinstance(reply.body, str) else reply.body
            head = [f"HTTP/1.0 {reply.status} {'OK' if reply.status == 200 else 'Trouble'}"]
            head += [
                f"{name}: {value}" for name, value in {"Content-Type": "application/json", **reply.headers}.items()
            ]
            head += [] if reply.endless else [f"Content-Length: {len(data)}"]
            start = ("\r\n".join(head) + "\r\n\r\n").encode()
            with suppress(OSError):  # whoever asked has gone
                self._write(start, reply.pace if reply.header else 0.0)
                self._write(data if reply.stop is None else data[: reply.stop], reply.pace)
                while reply.endless and not endpoint.closing.is_set():
                    self._write(data, 0.0)

        def _write(self, data: bytes, pace: float) -> None:
            if not pace:
                self.wfile.write(data)
                return
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                if endpoint.closing.wait(pace):
                    return

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def _locked(endpoint: ChatEndpoint, handler: BaseHTTPRequestHandler) -> Reply | None:
    given = handler.headers.get("Authorization", "")
    if endpoint.key is None or given == f"Bearer {endpoint.key}":
        return None
    return _error(401, f"Incorrect API key provided: {given}")  # some servers do echo it


USAGE: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _says(text: Any, finish: str | None = "stop", usage: Any = USAGE, **message: Any) -> Reply:
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text, **message}}
    if finish is not None:
        choice["finish_reason"] = finish
    return Reply(json.dumps({"choices": [choice], "model": "scripted-1", **({"usage": usage} if usage else {})}))


def _calls(name: str, arguments: str, id: str = "call_1") -> Reply:
    call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return _says(None, "tool_calls", tool_calls=[call])


def _error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": {"message": message, "code": code}}), status, names)


Behaviour = Callable[[dict[str, Any], int, ChatEndpoint], Reply]


def behaviour(model: str, turn: int) -> Behaviour:
    """The one that a model's name picks for its request number `turn`, counted from 1."""
    parts = model.split("|")
    name, _, share = parts[(turn - 1) % len(parts)].partition("%")
    if share and turn * 61 % 100 >= int(share):
        return _good
    return BEHAVIOURS.get(name, _good)


def _good(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    content = endpoint.content(request)
    return _calls("answer", content) if form(request) == "tool" else _says(content)


def _as(change: Callable[[str], Any], **options: Any) -> Behaviour:
    """The good answer in another form."""
    return lambda request, turn, endpoint: _says(change(endpoint.content(request)), **options)


def _worded(words: str) -> Behaviour:
    """The good answer with something around it."""
    return _as(lambda answer: words.replace("ANSWER", answer))


def _sent(**changes: Any) -> Behaviour:
    """The good reply by a bad connection."""
    return lambda request, turn, endpoint: replace(_good(request, turn, endpoint), **changes)


def _takes(*forms: str) -> Behaviour:
    """Only some forms of answer; another one is a 400."""

    def behave(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
        asked = form(request)
        return _good(request, turn, endpoint) if asked in forms else _error(400, f"{asked} is not supported")

    return behave


def _without(refused: Callable[[dict[str, Any]], bool], reply: Reply) -> Behaviour:
    """Refuses some requests, and is good otherwise."""
    return lambda request, turn, endpoint: reply if refused(request) else _good(request, turn, endpoint)


def _limit(request: dict[str, Any]) -> int:
    return int(request.get("max_tokens") or request.get("max_completion_tokens") or 0)


def _first(*replies: Reply) -> Behaviour:
    """These replies in turn, then the good one."""

    def behave(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
        return replies[turn - 1] if turn <= len(replies) else _good(request, turn, endpoint)

    return behave


def _always(reply: Reply) -> Behaviour:
    return lambda request, turn, endpoint: reply


def _short_of_room(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """Cut short unless it is asked for more tokens."""
    return _good(request, turn, endpoint) if request.get("max_tokens") else _says('{"propo', "length")


def _calls_tools(times: int) -> Behaviour:
    """Calls the first tool that it is offered, so often in a conversation, before it answers."""

    def behave(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
        used = sum(message["role"] == "tool" for message in request["messages"])
        if form(request) != "tools" or used >= times:
            return _good(request, turn, endpoint)
        return _calls(request["tools"][0]["function"]["name"], json.dumps({"number": used}), f"call_{turn}")

    return behave


def _tries(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """Holds its own answer against the first tool that it is offered, once, before it gives it."""
    if form(request) != "tools" or any(message["role"] == "tool" for message in request["messages"]):
        return _good(request, turn, endpoint)
    draft = json.loads(endpoint.content(request))["proposals"][0]
    return _calls(request["tools"][0]["function"]["name"], json.dumps({"config": draft["config"]}), f"call_{turn}")


def _packed(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    body = str(_good(request, turn, endpoint).body).encode()
    return Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})


def _limited_until(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """Once, with a date a second from now."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    return _good(request, turn, endpoint) if turn > 1 else _error(429, "slow down", Retry_After=until)


def _streams(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """The good reply as a stream of events, a few characters each."""
    body = json.loads(str(_good(request, turn, endpoint).body))
    message = body["choices"][0]["message"]
    calls = message.get("tool_calls") or []
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for at in range(0, len(message["content"] or ""), 7):
        deltas.append({"content": message["content"][at : at + 7]})
    for index, call in enumerate(calls):
        function = call["function"]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        for at in range(0, len(function["arguments"]), 7):
            part = {"index": index, "function": {"arguments": function["arguments"][at : at + 7]}}
            deltas.append({"tool_calls": [part]})
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": USAGE, "model": "scripted-1"})
    told = [": hello", *(f"data: {json.dumps(event)}" for event in events), "data: [DONE]", ""]
    return Reply("\n\n".join(told), headers={"Content-Type": "text/event-stream"})


def _echoes(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """The good reply, with the caller's key wherever the caller may look."""
    key = endpoint.headers[-1]["authorization"].removeprefix("Bearer ")
    body = json.loads(str(_good(request, turn, endpoint).body))
    choice = body["choices"][0]
    choice["finish_reason"] = key
    choice["message"]["reasoning_content"] = key
    choice["message"]["tool_calls"] = [{"id": key, "function": {"name": key, "arguments": json.dumps({"key": key})}}]
    return Reply(json.dumps({**body, "model": key}))


def _moved(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    return Reply("", 302, {"Location": f"{endpoint.url}/elsewhere/chat/completions"})


def _shrinking_room(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    """Refuses any limit that it is sent, and names a smaller one."""
    limit = _limit(request)
    return _error(400, f"max_tokens must be at most {limit - 1}") if limit else _good(request, turn, endpoint)


HTML = Reply("<html>busy</html>", headers={"Content-Type": "text/html"})
DAMAGE = "\ufeff\u200b{answer}\x00 \ud83d\u2060"
MANY = 2_000_000

BEHAVIOURS: dict[str, Behaviour] = {
    "good": _good,
    # which forms it takes
    "json-object-only": _takes("json_object", "text"),
    "tool-only": _takes("tool"),
    "text-only": _takes("text"),
    "takes-nothing": _takes(),
    "ignores-tool": lambda request, turn, endpoint: (
        _error(400, "response_format is not supported")
        if "response_format" in request
        else _says(endpoint.content(request))
    ),
    "no-schema-500": _without(
        lambda request: form(request) == "json_schema", _error(500, "no grammar for json_schema")
    ),
    # which fields it takes
    "no-temperature": _without(lambda r: "temperature" in r, _error(400, "Unsupported value: 'temperature'")),
    "no-effort": _without(lambda r: "reasoning_effort" in r, _error(400, "unknown field reasoning_effort")),
    "new-limit": _without(
        lambda r: "max_tokens" in r, _error(400, "Unsupported parameter: use 'max_completion_tokens' instead")
    ),
    "small-room": _without(
        lambda r: _limit(r) > 4096, _error(400, "max_tokens is too large: this model supports at most 4096")
    ),
    "shrinking-room": _shrinking_room,
    "too-long": _always(_error(400, "This model's maximum context length is 8192 tokens", "context_length_exceeded")),
    "too-large": _always(_error(413, "payload too large")),
    # how the answer is worded
    "fenced": _worded("```json\nANSWER\n```"),
    "blocks": _worded('First:\n```json\n{"approve": 3}\n```\nor rather:\n```json\nANSWER\n```\nDone.\n```\nend\n```'),
    "thinking": _worded('<think>Perhaps {"approve": false}? No.</think>\nANSWER'),
    "thinking-long": _worded('<Thinking>{"approve": false}</Thinking><reasoning>Hm.</reasoning>ANSWER'),
    "thinking-unopened": _worded('Perhaps {"approve": false}? No.</think>ANSWER'),
    "thinking-unclosed": _worded('<think>Perhaps {"approve": false}? No. So ANSWER'),
    "channels": _worded(
        '<|channel|>analysis<|message|>{"approve": false}?<|end|><|start|>assistant<|channel|>final '
        "<|constrain|>json<|message|>ANSWER<|return|>"
    ),
    "prose": _worded("Sure! Weights such as {w} and [1] matter.\n\nANSWER\n\nI hope that helps {you}."),
    "pythonic": _as(lambda answer: repr(json.loads(answer))),
    "commas": _as(lambda answer: json.dumps(json.loads(answer)).replace("}", ",}").replace("]", ",]")),
    "quoted": _as(json.dumps),
    "wrapped": _as(lambda answer: json.dumps({"answer": json.loads(answer)})),
    "listed": _as(lambda answer: f"[{answer}]"),
    "parts": _as(lambda answer: [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": answer}]),
    "reasons": lambda request, turn, endpoint: _says("", reasoning_content=endpoint.content(request)),
    "damaged": _as(lambda answer: DAMAGE.replace("{answer}", answer)),
    "babble": _always(_says("I would rather talk about the weather.")),
    "huge": _always(_says("I could go on {and on}. " * (MANY // 6))),
    "huge-brackets": _always(_says('{"a": [' * (MANY // 2))),
    # how it ends
    "short-of-room": _short_of_room,
    "always-cut": _always(_says('{"propo', "length")),
    "no-finish": _as(lambda answer: answer, finish=None),
    "no-finish-prose": _as(lambda answer: f"So: {answer} That is all.", finish=None),
    "no-finish-cut": _always(_says('{"propo', None)),
    "refuses": _always(_says(None, refusal="I cannot help with that.")),
    "filters": _always(_says("", "content_filter")),
    # what it says of tokens
    "no-usage": _as(lambda answer: answer, usage=None),
    "null-usage": _as(lambda answer: answer, usage={"prompt_tokens": None, "completion_tokens": "many"}),
    "caches": _as(
        lambda answer: answer,
        usage={
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    ),
    # tools
    "calls-tools": _calls_tools(1),
    "calls-twice": _calls_tools(2),
    "tries": _tries,
    "calls-for-ever": _calls_tools(1_000_000),
    "calls-answer": lambda request, turn, endpoint: _calls("answer", endpoint.content(request)),
    "calls-badly": lambda request, turn, endpoint: (
        _good(request, turn, endpoint) if turn > 1 else _calls("look", '{"number": ')
    ),
    "no-tools": _takes("json_schema", "json_object", "tool", "text"),
    "no-tools-500": _without(lambda r: form(r) == "tools", _error(500, "tools param requires --jinja flag")),
    # what is no completion
    "no-choices-once": _first(Reply('{"choices": []}')),
    "null-choices-once": _first(Reply('{"choices": null}')),
    "html-once": _first(HTML),
    "cut-json-once": _first(Reply('{"choices": [{"ind')),
    "error-once": _first(Reply('{"error": {"message": "overloaded"}, "usage": {"prompt_tokens": 7}}')),
    "no-choices": _always(Reply('{"choices": []}')),
    "html": _always(HTML),
    "error": _always(Reply('{"error": {"message": "overloaded"}}')),
    "nested": _always(Reply("[" * 100_000)),
    "many-choices": _always(Reply(f'{{"choices": [{",".join(["{}"] * 200_000)}]}}')),
    "streams": _streams,
    "streams-cut": _sent(
        body='data: {"choices": [{"delta": {"content": "{"}}]}\n\ndata: {"cho',
        headers={"Content-Type": "text/event-stream"},
    ),
    "streams-error": _always(Reply('data: {"error": {"message": "overloaded"}}\n\n')),
    "wrong-type": _sent(headers={"Content-Type": "text/plain"}),
    "bad-once": _first(_says('{"approve": "perhaps"}')),
    "empty-once": _first(_says("")),
    # statuses
    "fails-once": _first(_error(500, "oops")),
    "limited-once": _first(_error(429, "slow down", Retry_After="0")),
    "limited-until": _limited_until,
    "limited-long": _always(_error(429, "slow down", Retry_After="7200")),
    "limited-absurdly": _first(_error(429, "slow down", Retry_After=f"Fri, 31 Dec 2026 23:59:59 +{'9' * 18}")),
    "no-credit": _always(_error(429, "You exceeded your current quota", "insufficient_quota")),
    "unpaid": _always(_error(402, "pay first")),
    "broken": _always(_error(503, "down")),
    "locked": _always(_error(401, "who are you")),
    "forbidden": _always(_error(403, "not you")),
    "moved": _moved,
    "echoes": _echoes,
    "missing": _always(_error(404, "no such model")),
    # connections
    "slow": _sent(delay=0.2),
    "drips": _sent(pace=0.03),
    "drips-headers": _sent(pace=0.03, header=True),
    "hangs": _sent(silent=True),
    "dead": _sent(body="", status=0, stop=0),
    "breaks-off": _sent(stop=40),
    "endless": _always(Reply(b" " * 65536, endless=True)),
    "packed": _packed,
}
