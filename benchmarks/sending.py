"""Posting deliveries over HTTP: as fast as they are taken, or at a rate whatever the answers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from benchmarks.deliveries import Delivery, in_turn

PATH = "/hooks/shop"


class Refused(RuntimeError):
    """A delivery was not answered with 200."""


def flood(url: str, deliveries: list[Delivery], senders: int = 4) -> tuple[float, float]:
    """Post everything at once over so many connections. (first post, last answer), seconds of the epoch."""
    began = time.time()
    _together([lambda part=part: _one_by_one(url, part) for part in in_turn(deliveries, senders)])  # type: ignore[misc]
    return began, time.time()


def at_rate(url: str, deliveries: list[Delivery], per_second: float, senders: int = 16) -> list[float]:
    """Post at a fixed rate (open loop): a slow answer delays no other post. Milliseconds from when each was due."""
    begin = time.perf_counter() + 0.2
    due = {delivery.id: begin + number / per_second for number, delivery in enumerate(deliveries)}
    took: list[float] = []
    _together(
        [lambda part=part: took.extend(_when_due(url, part, due)) for part in in_turn(deliveries, senders)]  # type: ignore[misc]
    )
    return took


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _together(parts: Sequence[Callable[[], object]]) -> None:
    failed: list[BaseException] = []

    def guarded(part: Callable[[], object]) -> None:
        try:
            part()
        except (OSError, http.client.HTTPException, Refused) as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _one_by_one(url: str, deliveries: list[Delivery]) -> None:
    connection = _connect(url)
    for delivery in deliveries:
        _post(connection, delivery)
    connection.close()


def _when_due(url: str, deliveries: list[Delivery], due: dict[int, float]) -> list[float]:
    took = []
    connection = _connect(url)
    for delivery in deliveries:
        time.sleep(max(due[delivery.id] - time.perf_counter(), 0))
        _post(connection, delivery)
        took.append((time.perf_counter() - due[delivery.id]) * 1000)
    connection.close()
    return took


def _connect(url: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.connect()
    return connection


def _post(connection: http.client.HTTPConnection, delivery: Delivery) -> None:
    connection.request("POST", PATH, delivery.body, delivery.headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise Refused(f"HTTP {answer.status}: {text[:200]!r}")
