"""A shop that signs and posts its orders, repeats what was not answered with 2xx, and remembers what was acknowledged."""

from __future__ import annotations

import http.client
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sandbox.store import woo
from tests.chaos.harness import scale
from tests.orders import order, person

HOOK_SECRET = "chaos-hook-secret"
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ANSWER_WITHIN = 10.0
_SKUS = ("OF-100", "OF-107", "OF-101", "OF-103")


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one order, as the shop has it."""

    shop: str
    id: int
    number: int
    """1 is the first state."""
    customer: int
    document: dict[str, Any] = field(hash=False, compare=False)
    deletion: bool = False
    """The shop says that it deleted the order: a hint, which counts as no state."""

    @property
    def total(self) -> Decimal:
        return Decimal(self.document["total"])

    def delivery(self, at: datetime | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body as WooCommerce sends them."""
        if self.deletion:
            return woo.delivery({"id": self.id}, "order.deleted", HOOK_SECRET, at=at)
        topic = "order.created" if self.number == 1 else "order.updated"
        return woo.delivery(self.document, topic, HOOK_SECRET, at=at)


def word(number: int) -> str:
    """Letters that no folding of names touches: different customers must stay different."""
    return "".join("bdfgklmnpr"[int(digit)] for digit in f"{number:06d}")


def email(customer: int) -> str:
    return f"first{word(customer)}@people.example"


class Orders:
    """Makes orders by a seed: every version of an order has a total of its own."""

    def __init__(self, seed: int, *, shop: str = "shop", first_id: int = 10_000, start: datetime = START) -> None:
        self.dice = random.Random(seed)
        self.shop = shop
        self.start = start
        """When its orders are first modified."""
        self._next = first_id

    def new(self, customer: int) -> Version:
        """Somebody's next order."""
        self._next += 1
        return self.version(self._next, 1, customer)

    def version(self, id: int, number: int, customer: int) -> Version:
        """This order in its n-th state, a second after the one before."""
        lines = [
            (sku, self.dice.randint(1, 5), f"{self.dice.randint(100, 90_000) / 100:.2f}")
            for sku in self.dice.sample(_SKUS, self.dice.randint(1, 3))
        ]
        sku, pieces, _ = lines[0]
        lines[0] = (sku, pieces, f"{1000 + number * 7 + pieces:.2f}")  # no two versions cost the same
        first = f"First{word(customer)}"
        billing = person(first, last_name=f"Last{word(customer)}", company=f"Firm {word(customer)} GmbH")
        document = order(
            id,
            lines,
            billing=billing,
            modified=(self.start + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S"),
            customer_id=customer,
            customer_note=f"state {number}.",
        )
        return Version(self.shop, id, number, customer, document)

    def mixed(self, count: int, *, customers: int, updated: float = 0.3) -> list[Version]:
        """So many orders of so many customers; some of them change once or twice afterwards."""
        made = []
        for _ in range(count):
            first = self.new(self.dice.randint(1, customers))
            made.append(first)
            states = 1 + (self.dice.random() < updated) + (self.dice.random() < updated / 3)
            made += [self.version(first.id, number, first.customer) for number in range(2, states + 1)]
        return made


class Shop:
    """Posts to one installation from a few threads. `acknowledged` is what the oracle believes."""

    def __init__(self, address: Callable[[], str], *, senders: int = 4, patience: float = 120.0) -> None:
        self.address = address
        self.patience = scale.limit(patience)
        self.at: datetime | None = None
        """The moment of all deliveries; None: the present."""
        self.acknowledged: dict[tuple[str, int], dict[int, Version]] = {}
        self.statuses: dict[int, int] = {}
        self.took: list[float] = []
        """Milliseconds of every answered post."""
        self.abandoned: list[Version] = []
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Version | None] = queue.SimpleQueue()
        self._pending = 0
        self._idle = threading.Condition(self._lock)
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(senders)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads; what was not sent stays unsent."""
        self.patience = 0.0
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(ANSWER_WITHIN + 2)

    def send(self, versions: Iterable[Version]) -> None:
        """Queue for posting; returns at once."""
        for version in versions:
            with self._lock:
                self._pending += 1
            self._waiting.put(version)

    def sent(self, within: float) -> None:
        """Wait until everything queued was acknowledged (or given up, see `abandoned`), as long as one of them is in so many
        seconds: a slow machine is no standstill.
        """
        with self._idle:
            while left := self._pending:
                assert self._idle.wait_for(lambda left=left: self._pending < left, timeout=scale.patience(within)), (  # type: ignore[misc]
                    f"{self._pending} are not sent"
                )

    @property
    def pending(self) -> int:
        with self._lock:
            return self._pending

    def newest(self) -> dict[tuple[str, int], Version]:
        """Of each order the newest state that was acknowledged."""
        with self._lock:
            return {key: versions[max(versions)] for key, versions in self.acknowledged.items()}

    def note(self, version: Version) -> None:
        """It counts as acknowledged (a shop that is polled has said so by listing it)."""
        with self._lock:
            self.acknowledged.setdefault((version.shop, version.id), {})[version.number] = version

    def post(self, version: Version) -> int:
        """One try; the status, 0 where there was no answer. Whatever is answered with 2xx is acknowledged."""
        headers, body = version.delivery(self.at)
        began = time.perf_counter()
        status = post(self.address(), f"/hooks/{version.shop}", headers, body)
        took = (time.perf_counter() - began) * 1000
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status:
                self.took.append(took)
        if 200 <= status < 300 and not version.deletion:
            self.note(version)
        return status

    def _send_all(self) -> None:
        while (version := self._waiting.get()) is not None:
            deadline = time.monotonic() + self.patience
            while not 200 <= self.post(version) < 300:
                if time.monotonic() > deadline:
                    with self._lock:
                        self.abandoned.append(version)
                    break
                time.sleep(0.1)
            with self._idle:
                self._pending -= 1
                self._idle.notify_all()


def post(address: str, path: str, headers: dict[str, str], body: bytes, *, timeout: float = ANSWER_WITHIN) -> int:
    """The status; 0 where nobody answered."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
