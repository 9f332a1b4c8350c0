"""A scripted OpenAI-compatible endpoint on localhost: the model's NAME picks how it behaves.

What a good reply says comes from a callable over the request's JSON, so that a test of the whole graph
can answer each role in its own way. Every request is kept in `requests`, its headers, by lower-case name, in
`headers`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    seen: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spec(self, model: str = "good") -> str:
        return f"{model}@{self.url}"

    def formats(self) -> list[str]:
        """The response format of each request, in order."""
        return [request.get("response_format", {}).get("type", "text") for request in self.requests]


@dataclass(frozen=True)
class Reply:
    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def serve(content: Content, key: str | None = None) -> Iterator[ChatEndpoint]:
    endpoint = ChatEndpoint(content, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    # A `content` that raises plays a connection that breaks off: no news for stderr.
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(endpoint: ChatEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models"
            self._send(_locked(endpoint, self) or (Reply('{"data": []}') if known else _error(404, "no such page")))

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model = request["model"]
            with endpoint.lock:
                endpoint.requests.append(request)
                endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
                endpoint.seen[model] += 1
                turn = endpoint.seen[model]
            behave = BEHAVIOURS.get(model, _good)
            self._send(_locked(endpoint, self) or behave(request, turn, endpoint))

        def _send(self, reply: Reply) -> None:
            data = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def _locked(endpoint: ChatEndpoint, handler: BaseHTTPRequestHandler) -> Reply | None:
    given = handler.headers.get("Authorization", "")
    if endpoint.key is None or given == f"Bearer {endpoint.key}":
        return None
    return _error(401, f"Incorrect API key provided: {given}")  # some servers do echo it


def _says(text: str | None, finish: str | None = "stop", **message: Any) -> Reply:
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text, **message}}
    if finish is not None:
        choice["finish_reason"] = finish
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return Reply(json.dumps({"choices": [choice], "usage": usage}))


def _error(status: int, message: str, **headers: str) -> Reply:
    return Reply(json.dumps({"error": {"message": message}}), status, headers)


Behaviour = Callable[[dict[str, Any], int, ChatEndpoint], Reply]


def _good(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
    return _says(endpoint.content(request))


def _worded(form: str) -> Behaviour:
    """The good answer with something around it."""
    return lambda request, turn, endpoint: _says(form.replace("ANSWER", endpoint.content(request)))


def _takes(*formats: str) -> Behaviour:
    """Only some response formats; another one is a 400."""

    def behave(request: dict[str, Any], turn: int, endpoint: ChatEndpoint) -> Reply:
        form = request.get("response_format", {}).get("type", "text")
        return _good(request, turn, endpoint) if form in formats else _error(400, f"{form} is not supported")

    return behave


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


BEHAVIOURS: dict[str, Behaviour] = {
    "good": _good,
    "json-object-only": _takes("json_object", "text"),
    "text-only": _takes("text"),
    "takes-nothing": _takes(),
    "fenced": _worded("```json\nANSWER\n```"),
    "thinking": _worded('<think>Perhaps {"approve": false}? No.</think>\nANSWER'),
    "thinking-unopened": _worded('Perhaps {"approve": false}? No.</think>ANSWER'),
    "prose": _worded("Sure! Weights such as {w} and [1] matter.\n\nANSWER\n\nI hope that helps {you}."),
    "no-choices-once": _first(Reply('{"choices": []}')),
    "null-choices-once": _first(Reply('{"choices": null}')),
    "html-once": _first(Reply("<html>busy</html>", headers={"Content-Type": "text/html"})),
    "cut-json-once": _first(Reply('{"choices": [{"ind')),
    "fails-once": _first(_error(500, "oops")),
    "limited-once": _first(_error(429, "slow down", **{"Retry-After": "0"})),
    "bad-once": _first(_says('{"approve": "perhaps"}')),
    "empty-once": _first(_says("")),
    "broken": _always(_error(503, "down")),
    "locked": _always(_error(401, "who are you")),
    "forbidden": _always(_error(403, "not you")),
    "missing": _always(_error(404, "no such model")),
    "babble": _always(_says("I would rather talk about the weather.")),
    "short-of-room": _short_of_room,
    "always-cut": _always(_says('{"propo', "length")),
    "no-finish": _always(_says('{"approve": true}', None)),
    "refuses": _always(_says(None, refusal="I cannot help with that.")),
}
