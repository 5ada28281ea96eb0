"""Answers that do not end: dripping heads and bodies, and what fills memory when it is unpacked. Real sockets on loopback."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest

from connectors import wire
from connectors.http import Call, Http, HttpOptions, Timeouts, guarded
from core.errors import Ambiguous, Held, RetryLater

TIMES = Timeouts(connect=0.5, read=1.0)
"""A call may take 2.5 s. A piece comes every 0.1 s at the most: ten times faster than it must, for busy machines."""
OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answers each connection in a thread of its own; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the caller has hung up, as it should
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(5)
        for thread in threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in threads), "a connection was left open"


def asked(connection: socket.socket) -> bytes:
    """The head of one request; b"" when the caller hung up."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return b""
        head += part
    return head


def drip(connection: socket.socket, before: bytes, each: bytes, every: float = 0.05) -> None:
    """A piece now and then, each well within the read time-out, for ten times what a call may take."""
    asked(connection)
    connection.sendall(before)
    ends = time.monotonic() + 10 * TIMES.longest
    while time.monotonic() < ends:
        connection.sendall(each)
        time.sleep(every)


@contextmanager
def transport(url: str, **options: object) -> Iterator[Http]:
    made = Http("shop", HttpOptions(url, timeouts=TIMES, **options))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


class Anybody:
    """A job's guard that lets everything pass."""

    def before_write(self, connection: str, timeout: float) -> None: ...

    def called(self, call: Call) -> None: ...


DRIPS = [
    pytest.param(b"", b"H", id="status line"),
    pytest.param(OK, b"X-A: b\r\n", id="head by lines"),
    pytest.param(OK + b"X-A: ", b"b", id="head by bytes"),
    pytest.param(OK + b"Content-Length: 100000\r\n\r\n", b" ", id="body"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
    pytest.param(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="interim answers"),
]


@pytest.mark.parametrize(("before", "each"), DRIPS)
def test_a_call_ends_in_its_time_however_slowly_the_answer_drips(before: bytes, each: bytes) -> None:
    with server(lambda connection: drip(connection, before, each)) as url, transport(url) as http:
        started = time.monotonic()
        with pytest.raises(RetryLater) as caught:
            http.read("look", "GET", "/x")
        took = time.monotonic() - started
    assert TIMES.read < took < 5 * TIMES.longest, "it would go on for ten times as long"
    assert "does not end" in caught.value.message
    assert caught.value.scope == "job"  # this answer's fault: others go on


@pytest.mark.parametrize(("before", "each"), DRIPS[2:4])
def test_the_fate_of_a_write_is_unknown_then(before: bytes, each: bytes) -> None:
    with (
        server(lambda connection: drip(connection, before, each)) as url,
        transport(url) as http,
        guarded(Anybody()),
        pytest.raises(Ambiguous),
    ):
        http.write("create", "POST", "/x", json={})


def test_silence_is_a_fault_of_the_connection_as_before() -> None:
    def silent(connection: socket.socket) -> None:
        asked(connection)
        connection.recv(1)

    with server(silent) as url, transport(url, attempts=1) as http, pytest.raises(RetryLater) as caught:
        http.read("look", "GET", "/x")
    assert caught.value.scope == "connection"
    assert "ReadTimeout" in caught.value.detail


def test_a_slow_answer_in_its_time_is_an_answer_and_connections_are_kept() -> None:
    accepted: list[int] = []

    def slow(connection: socket.socket) -> None:
        accepted.append(1)
        while asked(connection):
            for part in (OK, b"Content-Length: 5\r\n\r\n", b"he", b"llo"):
                connection.sendall(part)
                time.sleep(0.1)

    with server(slow) as url, transport(url) as http:
        for _ in range(7):  # longer together than one call may take: each has an end of its own
            assert http.read("look", "GET", "/x").text == "hello"
    assert len(accepted) == 1


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with transport(f"http://127.0.0.1:{port}", attempts=1) as http, pytest.raises(RetryLater) as caught:
        http.read("look", "GET", "/x")
    assert "ConnectError" in caught.value.detail


# -- unpacking -----------------------------------------------------------------------------------------------------


def answering(body: bytes, packing: str, pieces: int = 1 << 20) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(OK + f"Content-Encoding: {packing}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), pieces):
            connection.sendall(body[start : start + pieces])

    return serve


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


TEXT = b"".join(b"%d," % number for number in range(200_000))


@pytest.mark.parametrize(
    ("packing", "pack", "pieces"),
    [
        ("gzip", gzip.compress, 1 << 20),
        ("gzip", gzip.compress, 997),
        ("x-gzip", gzip.compress, 1 << 20),
        ("GZIP", gzip.compress, 1 << 20),
        ("deflate", zlib.compress, 1 << 20),
        ("deflate", raw_deflate, 1 << 20),
        ("identity", bytes, 1 << 20),
    ],
)
def test_what_is_packed_is_read(packing: str, pack: Callable[[bytes], bytes], pieces: int) -> None:
    with server(answering(pack(TEXT), packing, pieces)) as url, transport(url) as http:
        assert http.read("look", "GET", "/x").content == TEXT


def test_an_empty_answer_that_is_said_to_be_packed() -> None:
    with server(answering(b"", "gzip")) as url, transport(url) as http:
        assert http.read("look", "GET", "/x").content == b""


def bomb(megabytes: int, wbits: int) -> bytes:
    packer = zlib.compressobj(9, wbits=wbits)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


@pytest.mark.parametrize(
    ("packing", "wbits"), [("gzip", zlib.MAX_WBITS | 16), ("deflate", zlib.MAX_WBITS), ("deflate", -zlib.MAX_WBITS)]
)
def test_a_bomb_is_not_unpacked(packing: str, wbits: int) -> None:
    packed = bomb(200, wbits)
    assert len(packed) < 2**18
    with server(answering(packed, packing)) as url, transport(url) as http:
        tracemalloc.start()
        try:
            with pytest.raises(Held) as caught:
                http.read("look", "GET", "/x")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "more than 32 MB" in caught.value.message
    assert peak < wire.MAX_ANSWER + 4 * 2**20


def test_much_that_unpacks_to_nothing_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER", 2**20)
    after_the_end = gzip.compress(b"{}") + bytes(2**21)
    with server(answering(after_the_end, "gzip")) as url, transport(url) as http, pytest.raises(Held):
        http.read("look", "GET", "/x")


@pytest.mark.parametrize(
    ("packing", "body"),
    [
        ("br", b"\x8b\x00\x80{}\x03"),
        ("zstd", b"(\xb5/\xfd"),
        ("gzip, gzip", gzip.compress(b"{}", mtime=0)),
        ("gzip", b"plain"),
    ],
)
def test_what_cannot_be_unpacked_is_a_fault(packing: str, body: bytes) -> None:
    with (
        server(answering(body, packing)) as url,
        transport(url, attempts=1) as http,
        pytest.raises(RetryLater) as caught,
    ):
        http.read("look", "GET", "/x")
    assert "DecodingError" in caught.value.detail


def test_only_what_can_be_unpacked_is_asked_for() -> None:
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(asked(connection))
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with server(serve) as url, transport(url) as http:
        http.read("look", "GET", "/x")
    assert b"accept-encoding: gzip, deflate\r\n" in heads[0].lower()


def test_a_transport_that_a_test_puts_in_is_bounded_too() -> None:
    class Many(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            parts: Sequence[bytes] = [bytes(2**20)] * 40
            yield from parts

    http = Http(
        "shop",
        HttpOptions("http://shop.example"),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Many())),
    )
    with pytest.raises(Held):
        http.read("look", "GET", "/x")
