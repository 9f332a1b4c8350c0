"""HTTP within bounds: a call ends at its time, and a reply at its size, whatever the other side does.

A timeout of the HTTP library is one of each read, so that a byte now and then keeps a call alive for ever.
Here every operation on the socket is cut to what is left of the call, and ends soon when the run is to stop: reads
return to look for that, what cannot return goes on beside. All must be called in the thread of the call.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from marlsmith.schemas import EndpointError, Interrupted

if TYPE_CHECKING:
    import httpx2

LARGEST_REPLY = 10_000_000
"""Bytes of one reply. The longest honest answer is a tenth of that, event by event; reading it takes no second."""
POLL = 0.1
"""Seconds between two looks at whether the run is to stop."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Received:
    """A reply as it was sent."""

    status: int
    body: bytes
    retry_after: str | None
    moved: str | None
    """The address to which it redirects."""


class _Enough(Exception):
    """Ends a request once its reply is here."""


@dataclass
class Call:
    """What may still be spent on a call, and what became of it."""

    until: float
    interrupted: threading.Event
    room: int = LARGEST_REPLY
    sent: bool = False
    received: Received | None = None

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    @property
    def late(self) -> bool:
        return self.left <= 0

    @property
    def too_large(self) -> bool:
        return self.room < 0

    def seconds(self) -> float:
        """For the next operation on the socket. Raises TimeoutError or Interrupted where there is to be none."""
        if self.interrupted.is_set():
            raise Interrupted()
        if self.late:
            raise TimeoutError("the time of the call is over")
        return self.left

    def count(self, received: int) -> None:
        self.room -= received
        if self.too_large:
            raise OSError(f"the reply is larger than {LARGEST_REPLY // 1_000_000} MB")

    def beside(self, action: Callable[[float], Result]) -> Result:
        """What an action came to that is given the seconds left but may not keep to them. Abandoned, it is left to
        end by itself, and what it opens is closed."""
        ends: list[Result | Exception] = []
        lock, abandoned = threading.Lock(), False

        def act(seconds: float) -> None:
            try:
                end: Result | Exception = action(seconds)
            except Exception as error:
                end = error
            with lock:
                ends.append(end)
                if abandoned and hasattr(end, "close"):
                    end.close()

        thread = threading.Thread(target=act, args=(self.seconds(),), daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(min(POLL, self.seconds()))
        except (TimeoutError, Interrupted):
            with lock:
                if not ends:
                    abandoned = True
                    raise
        if isinstance(ends[0], Exception):
            raise ends[0]
        return ends[0]


class Transport:
    """The HTTP client of one endpoint. Safe to share between threads: each has its own call.

    Once `interrupted` is set, all calls end within moments, by an exception.
    """

    def __init__(self, interrupted: threading.Event | None = None) -> None:
        self._interrupted = interrupted or threading.Event()
        self._of_thread = threading.local()
        self.client = _client(self._keep)
        for transport in (self.client._transport, *self.client._mounts.values()):
            if transport is not None:  # None: a host that the environment takes out of its proxies
                pool = transport._pool  # type: ignore[attr-defined]
                pool._network_backend = _Backend(pool._network_backend, self)

    @contextmanager
    def call(self, seconds: float) -> Iterator[Call]:
        self._of_thread.call = call = Call(time.monotonic() + seconds, self._interrupted)
        try:
            yield call
        finally:
            self._of_thread.call = None

    def status(self, url: str, key: str) -> int:
        """Of the address, not read."""
        with self.client.stream("GET", url, headers={"Authorization": f"Bearer {key}"}) as answer:
            return answer.status_code

    @property
    def current(self) -> Call:
        call: Call | None = getattr(self._of_thread, "call", None)
        if call is None:
            raise RuntimeError("a request outside of any call would have no bounds")
        return call

    def _keep(self, response: httpx2.Response) -> None:
        """Ends the request with the bytes of its reply: ChatOpenAI would drop a part of it, trip over much that is
        readable, and make objects of what it holds for as long as that takes."""
        if response.request.method != "POST":
            return
        if response.headers.get("content-encoding", "identity") != "identity":
            raise OSError("the reply is packed although it was asked for plain")  # it could burst
        place = response.headers.get("location") if 300 <= response.status_code < 400 else None
        self.current.received = Received(
            status=response.status_code,
            body=response.read(),
            retry_after=response.headers.get("retry-after"),
            moved=_absolute(response, place) if place else None,
        )
        raise _Enough


def _absolute(response: httpx2.Response, place: str) -> str:
    from httpx2 import InvalidURL

    try:
        return str(response.request.url.join(place))
    except InvalidURL:
        return place


def _client(keep: Any) -> httpx2.Client:
    from openai import DefaultHttpxClient

    try:
        return DefaultHttpxClient(
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [keep]},
            follow_redirects=False,  # or a server could send the question and the key to another one
            proxy=os.environ.get("OPENAI_PROXY") or None,
        )
    except (ValueError, ImportError):  # their words may hold the proxy's password
        raise EndpointError(
            "the proxy that the environment names cannot be used: mend HTTP_PROXY, HTTPS_PROXY, ALL_PROXY "
            "or OPENAI_PROXY, or unset it"
        ) from None


class _Backend:
    """httpcore's network backend, each operation cut to what is left of the thread's call."""

    def __init__(self, inner: Any, transport: Transport) -> None:
        self._inner = inner
        self._transport = transport

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> _Stream:
        error: Exception = OSError(f"no address for {host}")
        for place in _addresses(host, port, self._transport.current):
            try:
                return self._connected(partial(self._inner.connect_tcp, place, port, **options))
            except (TimeoutError, Interrupted):
                raise
            except Exception as refused:
                error = refused
        raise error

    def connect_unix_socket(self, path: str, timeout: float | None = None, **options: Any) -> _Stream:
        return self._connected(partial(self._inner.connect_unix_socket, path, **options))

    def _connected(self, connect: Callable[[float], Any]) -> _Stream:
        return _Stream(self._transport.current.beside(connect), self._transport)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, self._transport.current.seconds()))


class _Stream:
    def __init__(self, inner: Any, transport: Transport) -> None:
        self._inner = inner
        self._transport = transport

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call = self._transport.current
        while True:
            try:
                data: bytes = self._inner.read(max_bytes, min(POLL, call.seconds()))
            except Exception as error:
                if not isinstance(error.__cause__, TimeoutError):  # its own kind of timeout is none of Python's
                    raise
            else:
                call.count(len(data))
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), 65536):  # a peer that reads slowly gets no new timeout for each byte
            self._transport.current.beside(partial(self._inner.write, view[start : start + 65536]))
        self._transport.current.sent = True

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        call = self._transport.current
        stream = call.beside(partial(self._inner.start_tls, ssl_context, server_hostname))
        return _Stream(stream, self._transport)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _addresses(host: str, port: int, call: Call) -> list[str]:
    """Each at most once. The resolver keeps no time of ours."""
    found = call.beside(lambda left: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
