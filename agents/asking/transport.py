"""HTTP within bounds: a call ends at its time, and a reply at its size, whatever the other side does.

A timeout of the HTTP library is one of each read, so that a byte now and then keeps a call alive for ever.
Here every operation on the socket is cut to what is left of the call. It must run in the thread of the call.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marlsmith.schemas import EndpointError

if TYPE_CHECKING:
    import httpx2

LARGEST_REPLY = 20_000_000
"""Bytes of one reply. The longest honest answer is a hundredth of that."""


@dataclass
class Call:
    """What may still be spent on a call, and what became of it: `body` is the last reply, as it was sent."""

    until: float
    room: int = LARGEST_REPLY
    sent: bool = False
    body: bytes | None = None

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
        """For the next operation on the socket."""
        if self.late:
            raise TimeoutError("the time of the call is over")
        return self.left

    def count(self, received: int) -> None:
        self.room -= received
        if self.too_large:
            raise OSError(f"the reply is larger than {LARGEST_REPLY // 1_000_000} MB")


class Transport:
    """The HTTP client of one endpoint. Safe to share between threads: each has its own call."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self.client = _client(self._keep)
        for transport in (self.client._transport, *self.client._mounts.values()):
            if transport is not None:  # None: a host that the environment takes out of its proxies
                pool = transport._pool  # type: ignore[attr-defined]
                pool._network_backend = _Backend(pool._network_backend, self)

    @contextmanager
    def call(self, seconds: float) -> Iterator[Call]:
        self._of_thread.call = call = Call(time.monotonic() + seconds)
        try:
            yield call
        finally:
            self._of_thread.call = None

    def status(self, url: str, key: str) -> int:
        """Of the address, neither redirected nor read."""
        with self.client.stream(
            "GET", url, headers={"Authorization": f"Bearer {key}"}, follow_redirects=False
        ) as answer:
            return answer.status_code

    @property
    def current(self) -> Call:
        call: Call | None = getattr(self._of_thread, "call", None)
        if call is None:
            raise RuntimeError("a request outside of any call would have no bounds")
        return call

    def _keep(self, response: httpx2.Response) -> None:
        """The reply's body, for ChatOpenAI drops a part of it, and all of it where it trips."""
        if response.request.method == "POST":
            if response.headers.get("content-encoding", "identity") != "identity":
                raise OSError("the reply is packed although it was asked for plain")  # it could burst
            self.current.body = response.read()


def _client(keep: Any) -> httpx2.Client:
    from openai import DefaultHttpxClient

    try:
        return DefaultHttpxClient(
            headers={"Accept-Encoding": "identity"},
            event_hooks={"response": [keep]},
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
                stream = self._inner.connect_tcp(place, port, self._transport.current.seconds(), **options)
                return _Stream(stream, self._transport)
            except TimeoutError:
                raise
            except Exception as refused:
                error = refused
        raise error

    def connect_unix_socket(self, path: str, timeout: float | None = None, **options: Any) -> _Stream:
        stream = self._inner.connect_unix_socket(path, self._transport.current.seconds(), **options)
        return _Stream(stream, self._transport)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, self._transport.current.seconds()))


class _Stream:
    def __init__(self, inner: Any, transport: Transport) -> None:
        self._inner = inner
        self._transport = transport

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call = self._transport.current
        data: bytes = self._inner.read(max_bytes, call.seconds())
        call.count(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), 65536):  # a peer that reads slowly gets no new timeout for each byte
            self._inner.write(view[start : start + 65536], self._transport.current.seconds())
        self._transport.current.sent = True

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._transport.current.seconds())
        return _Stream(stream, self._transport)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _addresses(host: str, port: int, call: Call) -> list[str]:
    """Looked up beside the call's thread, for the resolver keeps no time of ours; each at most once."""
    found: list[str] = []
    errors: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(call.seconds())
    if thread.is_alive():
        raise TimeoutError(f"no address for {host} in time")
    if errors:
        raise errors[0]
    return list(dict.fromkeys(found))
