"""What pages want to know of orders that nobody has carried: read from their records, and remembered for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import sqlalchemy as sa

from connectors.roles.looking import Readable
from core.errors import OrderwireError
from core.keys import Key
from ledger import tables as t
from mapping.canonical import SalesOrder
from pipelines.context import Context
from pipelines.explaining import parsed

REMEMBERED: Final = 20_000
FOR: Final = 600.0
"""Seconds: the customer may change an order that nobody has tried yet."""
Told = TypeVar("Told")


class Recalled(Generic[Told]):
    """Job -> what `tell` says of its order, `nothing` where it cannot be read. Safe to share between threads."""

    def __init__(self, context: Context, tell: Callable[[SalesOrder], Told], nothing: Told, *, at_once: int) -> None:
        self.context = context
        self._tell = tell
        self._nothing = nothing
        self._at_once = at_once
        """Records that one question reads at most: a page does not wait for more, and the next refresh knows them."""
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[float, Told]] = OrderedDict()

    def of(self, jobs: Sequence[int]) -> dict[int, Told]:
        """Of these jobs, as far as it is known."""
        stale = time.monotonic() - FOR
        with self._lock:
            old = [job for job in jobs if job not in self._known or self._known[job][0] < stale]
        # Those of which nothing is known come first: an old answer is better than none.
        self._read(sorted(old, key=lambda job: job in self._known)[: self._at_once])
        with self._lock:
            return {job: self._known[job][1] for job in jobs if job in self._known}

    def _read(self, jobs: Sequence[int]) -> None:
        if not jobs:
            return
        job, record = t.job.c, t.record.c
        same = (record.connection == job.connection) & (record.kind == job.kind) & (record.record_id == job.record_id)
        columns = sa.select(job.id, job.connection, job.kind, job.record_id, record.raw)
        query = columns.join(t.record, same, isouter=True).where(job.id.in_(list(jobs)))
        for row in self.context.ledger.db.rows(query):
            self._keep(row.id, self._told(Key(row.connection, row.kind, row.record_id), row.raw))

    def _told(self, key: Key, raw: bytes | None) -> Told:
        store, value = self.context.stores.get(key.connection), parsed(raw)
        if store is None or value is None or key.kind != "order":
            return self._nothing
        try:
            # Without the check of its sums: an order is held for them as often as not.
            return self._tell(store.read(value) if isinstance(store, Readable) else store.order(key, raw or b""))
        except OrderwireError:
            return self._nothing  # its job will say why

    def _keep(self, job_id: int, told: Told) -> None:
        with self._lock:
            self._known[job_id] = time.monotonic(), told
            self._known.move_to_end(job_id)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
