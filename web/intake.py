"""Deliveries on their way into the ledger: what arrives together is verified and committed together.

A thread for each delivery spends more processor on changing hands than on the delivery. Here a thread takes everything that
waits, and goes on until nothing does; the event loop is told once for all of them. Nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from connectors import roles
from ledger.inbox import Accepted, Arrival
from pipelines.context import Context

TOGETHER: Final = 32
"""Deliveries that a thread takes at once."""
POSTGRESQL_THREADS: Final = 6
"""Several, since each waits for the server. SQLite has one writer, and one thread that waits for it is enough."""

Outcome = list[Accepted] | Exception


@dataclass(slots=True)
class _Waiting:
    store: roles.Store
    headers: Mapping[str, str]
    body: bytes
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[Accepted]]
    outcome: Outcome


class Intake:
    """One per process. Threads start with the first delivery and rest when there is none."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._most = 1 if context.ledger.db.is_sqlite else POSTGRESQL_THREADS
        self._threads = ThreadPoolExecutor(self._most, thread_name_prefix="intake")
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._busy = 0

    async def take(self, store: roles.Store, headers: Mapping[str, str], body: bytes) -> list[Accepted]:
        """What became of a delivery's changes, durable by now ([]: a ping). Raises `Rejected`, or what the database raised."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(store, headers, body, loop, loop.create_future(), [])
        with self._lock:
            self._queue.append(waiting)
            another = self._busy < self._most
            self._busy += another
        if another:
            self._threads.submit(self._drain)
        return await waiting.future

    def _drain(self) -> None:
        while group := self._next():
            try:
                self._take_all(group)
            except Exception as error:  # noqa: BLE001 - raised again where each of them is waited for
                for waiting in group:
                    waiting.outcome = error
            _tell(group)

    def _next(self) -> list[_Waiting]:
        """All that waits; [] ends the thread's turn, under the lock that `take` looks under."""
        with self._lock:
            # Shared out: with several threads, one shall not take what another could do meanwhile.
            share = -(-len(self._queue) // self._most)
            group = [self._queue.popleft() for _ in range(min(share, TOGETHER))]
            self._busy -= not group
        return group

    def _take_all(self, group: list[_Waiting]) -> None:
        genuine, arrivals = [], []
        for waiting in group:
            try:
                delivery = roles.Request("POST", waiting.headers, waiting.body, self._context.ledger.clock.now())
                changes = waiting.store.receive(delivery)
            except Exception as error:  # noqa: BLE001 - this one's; its neighbours have nothing to do with it
                waiting.outcome = error
                continue
            if changes:
                genuine.append(waiting)
                arrivals.append(Arrival(changes, fetchable=waiting.store.pollable))
        outcomes = self._context.ledger.inbox.accept_each(arrivals, self._context.routes)
        for waiting, outcome in zip(genuine, outcomes, strict=True):
            waiting.outcome = outcome


def _tell(group: Iterable[_Waiting]) -> None:
    by_loop = defaultdict(list)
    for waiting in group:
        by_loop[waiting.loop].append(waiting)
    for loop, its in by_loop.items():
        try:
            loop.call_soon_threadsafe(_answer, its)
        except RuntimeError:  # the loop has ended: nobody waits there any more
            continue


def _answer(group: Iterable[_Waiting]) -> None:
    for waiting in group:
        if waiting.future.done():  # cancelled
            continue
        if isinstance(waiting.outcome, Exception):
            waiting.future.set_exception(waiting.outcome)
        else:
            waiting.future.set_result(waiting.outcome)
