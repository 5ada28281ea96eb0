"""How much money waits. What was tried has its amount with its job; what nobody has tried yet is read from its record."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from connectors.roles.looking import Readable
from core.errors import OrderwireError
from core.keys import Key
from ledger import tables as t
from ledger.search import Member, money_of
from pipelines.context import Context
from pipelines.explaining import parsed

AT_ONCE: Final = 60
"""Records that one question reads at most: a page does not wait for more, and the next refresh knows them."""
REMEMBERED: Final = 20_000


class Worth:
    """Remembers, for as long as the process lives. Safe to share between threads."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[str, str]] = OrderedDict()

    def of(self, members: Sequence[Member]) -> tuple[dict[str, Decimal], int]:
        """Amounts by currency, and how many of the jobs are not in it (not read yet, or not readable)."""
        found = self.filled(members)
        return money_of(found), sum(not one.amount for one in found)

    def filled(self, members: Sequence[Member]) -> list[Member]:
        """The same jobs, with their amounts as far as they are known."""
        bare = [one.id for one in members if not one.amount]
        self._read([id for id in bare if id not in self._known][:AT_ONCE])
        return [one if one.amount else self._with_amount(one) for one in members]

    def _with_amount(self, one: Member) -> Member:
        amount, currency = self._known.get(one.id, ("", ""))
        return Member(one.id, one.number, amount, currency)

    def _read(self, jobs: Sequence[int]) -> None:
        if not jobs:
            return
        job, record = t.job.c, t.record.c
        same = (record.connection == job.connection) & (record.kind == job.kind) & (record.record_id == job.record_id)
        query = sa.select(job.id, job.connection, job.kind, job.record_id, record.raw).join(t.record, same)
        for row in self.context.ledger.db.rows(query.where(job.id.in_(list(jobs)))):
            self._keep(row.id, self._amount(Key(row.connection, row.kind, row.record_id), row.raw))

    def _amount(self, key: Key, raw: bytes | None) -> tuple[str, str]:
        store, value = self.context.stores.get(key.connection), parsed(raw)
        if store is None or value is None or key.kind != "order":
            return "", ""
        try:
            # The total that the customer knows, also where the sums do not agree with it.
            order = store.read(value) if isinstance(store, Readable) else store.order(key, raw or b"")
        except OrderwireError:
            return "", ""  # what cannot be read has no amount; its job will say why
        return str(order.total), order.currency

    def _keep(self, job_id: int, amount: tuple[str, str]) -> None:
        with self._lock:
            self._known[job_id] = amount
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
