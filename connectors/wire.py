"""What lies under `connectors.http`: sockets on which a call ends in its time, and answers that end before they fill memory.

httpx and httpcore count their time-outs anew for each piece that arrives, so that a byte now and then satisfies them, and
they unpack whatever a piece unpacks to. Here the whole call has one end (`until`), for its handshake, its head and its body.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import httpcore
import httpx

MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of an answer, as it is sent and when it is unpacked: no more is ever read."""
PIECE: Final = 64 * 1024
"""Bytes that are unpacked at a time."""
UNPACKED: Final = "gzip, deflate"
"""What we ask for, and the only packings that are read."""


class Endless(Exception):
    """An answer is larger, or takes longer, than any good one. Says which."""

    def __init__(self, what: str, *, large: bool) -> None:
        super().__init__(what)
        self.large = large


_ends: ContextVar[float | None] = ContextVar("ends", default=None)


@contextmanager
def until(ends: float) -> Iterator[None]:
    """Whatever is sent and received within, in this thread, is over by then (monotonic)."""
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def _over() -> Endless:
    return Endless("longer than its time-outs", large=False)


def _left(timeout: float | None, over: Callable[[], Exception] = _over) -> float | None:
    """The seconds that the next piece may take."""
    ends = _ends.get()
    if ends is None:
        return timeout
    left = ends - time.monotonic()
    if left <= 0:
        raise over()
    return left if timeout is None else min(left, timeout)


@contextmanager
def _ending() -> Iterator[None]:
    """A piece that was cut short by the end of the whole call is not a connection that fell silent."""
    try:
        yield
    except httpcore.TimeoutException:
        _left(None)
        raise


class _Stream(httpcore.NetworkStream):
    """A socket whose pieces together have one end."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _ending():
            return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _ending():
            self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        within = _left(timeout, httpcore.ConnectTimeout)  # nothing was sent yet
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, within))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Sockets(httpcore.NetworkBackend):
    """httpcore's own, each of them a `_Stream`."""

    def __init__(self) -> None:
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        within = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.connect_tcp(host, port, within, local_address, socket_options))


class Wire(httpx.BaseTransport):
    """httpx's transport over these sockets: HTTP/1.1, no proxy, a pool of connections that are kept alive."""

    def __init__(self, *, verify_tls: bool, connections: int) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=verify_tls, trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=_Sockets(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("httpx.SyncByteStream", request.stream),
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(asked)
        body = _Body(cast("Iterable[bytes]", answer.stream))
        return httpx.Response(answer.status, headers=answer.headers, stream=body, extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


_FAULTS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The errors of httpcore have the same names in httpx."""
    try:
        yield
    except _FAULTS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def bound(response: httpx.Response) -> None:
    """Called with the head of every answer, before its body is read: from here on it is we who unpack it."""
    if not isinstance(response.stream, httpx.SyncByteStream) or response.is_stream_consumed:
        return
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in _WINDOWS:
        raise httpx.DecodingError(f"packed in a way that was not asked for ({packing[:40]})", request=response.request)
    response.headers.pop("content-encoding", None)
    response.stream = _Bounded(response.stream, packing)


_WINDOWS: Final = {
    "identity": 0,
    "": 0,
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}


class _Bounded(httpx.SyncByteStream):
    """An answer's body, unpacked piece by piece, that ends: in its time, and before it fills memory."""

    def __init__(self, stream: httpx.SyncByteStream, packing: str) -> None:
        self._stream = stream
        self._packing = packing

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._unpacked():
            size += len(piece)
            if size > MAX_ANSWER:
                raise _too_large()
            _left(None)
            yield piece

    def _unpacked(self) -> Iterator[bytes]:
        window, sent = _WINDOWS[self._packing], 0
        unpacker = _Unpacker(window) if window else None
        for part in self._stream:
            sent += len(part)
            if sent > MAX_ANSWER:
                raise _too_large()  # whatever it unpacks to: nothing, for example
            if unpacker is None:
                yield part
            else:
                yield from unpacker.pieces(part)
        if unpacker is not None:
            yield unpacker.rest()

    def close(self) -> None:
        self._stream.close()


def _too_large() -> Endless:
    return Endless(f"more than {MAX_ANSWER // 2**20} MB", large=True)


class _Unpacker:
    """zlib, a piece at a time. Some servers send `deflate` without zlib's head: seen at its first part."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._zlib = zlib.decompressobj(window)
        self._begun = False

    def pieces(self, part: bytes) -> Iterator[bytes]:
        while part:
            piece = self._unpacked(part)
            self._begun = True
            part = self._zlib.unconsumed_tail
            yield piece

    def rest(self) -> bytes:
        """What zlib still holds back at the end."""
        return self._zlib.flush() if self._begun else b""

    def _unpacked(self, part: bytes) -> bytes:
        try:
            return self._zlib.decompress(part, PIECE)
        except zlib.error as error:
            if self._begun or self._window != zlib.MAX_WBITS:
                raise httpx.DecodingError(str(error)) from error
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            self._begun = True
            return self._unpacked(part)
