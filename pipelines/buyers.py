"""How many different people wait: read from the orders' records, and remembered as marks that tell nobody who they are."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from connectors.roles.looking import Readable
from core.errors import OrderwireError
from core.keys import Key
from ledger import tables as t
from ledger.search import Member
from mapping.canonical import SalesOrder
from pipelines.context import Context
from pipelines.explaining import parsed

AT_ONCE: Final = 100
"""Records that one question reads at most."""
MOST: Final = 2000
"""Orders of one problem that are looked at."""
REMEMBERED: Final = 20_000


class Buyers:
    """Remembers, for as long as the process lives. Safe to share between threads."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._known: OrderedDict[int, str] = OrderedDict()

    def of(self, members: Sequence[Member]) -> tuple[int, int]:
        """Different people, and of how many of the orders they are: what cannot be read is nobody's, what is not read yet is
        not in it.
        """
        jobs = [one.id for one in members[-MOST:]]
        self._read([job for job in jobs if job not in self._known][:AT_ONCE])
        with self._lock:
            marks = [self._known[job] for job in jobs if job in self._known]
        return len({mark for mark in marks if mark}), len(marks)

    def _read(self, jobs: Sequence[int]) -> None:
        if not jobs:
            return
        job, record = t.job.c, t.record.c
        same = (record.connection == job.connection) & (record.kind == job.kind) & (record.record_id == job.record_id)
        query = sa.select(job.id, job.connection, job.kind, job.record_id, record.raw).join(
            t.record, same, isouter=True
        )
        for row in self.context.ledger.db.rows(query.where(job.id.in_(list(jobs)))):
            self._keep(row.id, self._mark(Key(row.connection, row.kind, row.record_id), row.raw))

    def _mark(self, key: Key, raw: bytes | None) -> str:
        store, value = self.context.stores.get(key.connection), parsed(raw)
        if store is None or value is None or key.kind != "order":
            return ""
        try:
            # An order is held for its sums as often as not; whose it is can be read all the same.
            return mark_of(store.read(value) if isinstance(store, Readable) else store.order(key, raw or b""))
        except OrderwireError:
            return ""

    def _keep(self, job_id: int, mark: str) -> None:
        with self._lock:
            self._known[job_id] = mark
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def mark_of(order: SalesOrder) -> str:
    """The same for every order of one person, whichever shop it was placed in (pure): by e-mail address, else by account."""
    customer = order.customer
    who = customer.person.email.strip().casefold() or str(customer.key)
    return hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:16]
