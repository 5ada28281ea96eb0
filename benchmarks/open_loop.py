"""A load generator of one thread: posts ready-made bytes when they are due, whatever the answers do (open loop).

Each answer's time counts from the moment when its post was *due*, also where it had to wait for a free connection: a server
that stalls cannot hide it by being asked less (coordinated omission).
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.deliveries import Delivery
from benchmarks.sending import PATH, Refused

CONNECTIONS = 32
"""Kept alive, as a proxy in front of the product keeps them."""
PATIENCE = 30.0


def prepared(url: str, deliveries: Sequence[Delivery]) -> list[bytes]:
    """Whole requests as they go over the wire."""
    host = urlsplit(url).netloc
    return [_request(host, delivery) for delivery in deliveries]


def _request(host: str, delivery: Delivery) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(delivery.body)}"]
    lines += [f"{name}: {value}" for name, value in delivery.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + delivery.body


@dataclass(slots=True)
class Figures:
    """What one run measured. `took`: milliseconds from when each was due; `seconds`: from the first due to the last answer."""

    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    """Processor seconds of this process for all of them."""

    @property
    def per_s(self) -> float:
        """Answered with 200, by second."""
        return len(self.took) / self.seconds


class _Line:
    """One connection with at most one request under way."""

    __slots__ = ("answer", "due", "socket", "unsent")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.answer = b""
        self.unsent = b""
        self.due = 0.0

    def begin(self, request: bytes, due: float) -> None:
        self.due, self.answer, self.unsent = due, b"", request
        self.send()

    def send(self) -> None:
        if self.unsent:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            except BlockingIOError:
                return

    def receive(self) -> bool:
        """Whether the answer is complete. Raises Refused for any other than 200."""
        got = self.socket.recv(65536)
        if not got:
            raise Refused("the connection was closed in the middle")
        self.answer += got
        head, ends, body = self.answer.partition(b"\r\n\r\n")
        if not ends:
            return False
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        if b" 200 " not in head[:16]:
            raise Refused(f"{head[:40]!r} {body[:200]!r}")
        return True


def post(url: str, requests: Sequence[bytes], per_second: float, connections: int = CONNECTIONS) -> Figures:
    """Post them all, one every 1/`per_second` (0: each as soon as a connection is free). Raises `Refused`."""
    place = urlsplit(url)
    lines = [_Line((str(place.hostname), int(place.port or 80))) for _ in range(connections)]
    try:
        return _run(lines, requests, per_second)
    finally:
        for line in lines:
            line.socket.close()


def _run(lines: list[_Line], requests: Sequence[bytes], per_second: float) -> Figures:
    figures = Figures()
    free = deque(lines)  # in turn: a server closes connections that are idle for long
    cpu = time.process_time()
    start = last = time.perf_counter() + 0.05
    begun = 0
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
        while len(figures.took) < len(requests):
            now = time.perf_counter()
            due = start + begun / per_second if per_second else now
            while begun < len(requests) and free and due <= now:
                free.popleft().begin(requests[begun], due)
                begun += 1
                due = start + begun / per_second if per_second else now
            waiting = begun < len(requests) and bool(free)
            for key, _ in selector.select(max(due - time.perf_counter(), 0) if waiting else 1.0):
                answered: _Line = key.data
                if answered.receive():
                    last = time.perf_counter()
                    figures.took.append((last - answered.due) * 1000)
                    free.append(answered)
            for line in lines:
                line.send()
            if time.perf_counter() - last > PATIENCE:
                raise Refused(f"no answer for {PATIENCE:.0f} s")
    figures.seconds = last - start
    figures.cpu = time.process_time() - cpu
    return figures
