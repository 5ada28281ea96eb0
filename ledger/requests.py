"""What customers asked for from their card: kept whole, with its job, in one transaction."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from core.clock import from_micros
from ledger import statements
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import RANK, Route
from ledger.records import Records

KIND: Final = "request"
"""Of the job's record."""
_TRIES: Final = 5
_TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class CustomerRequest:
    """One request. `number` counts the requests of this customer from 1."""

    id: str
    source: str
    customer: str
    number: int
    kind: str
    text: str
    phone: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an attempt to keep one. again: the same one was kept already (its id). limited: `wait` seconds."""

    what: Literal["new", "again", "limited"]
    id: str = ""
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `most` requests of one customer within `within` seconds; the same one again within `same_within` is no other."""

    most: int
    within: float
    same_within: float


class Requests:
    """Requests and their jobs."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._want_job = db.prepare(statements.want_job(db))

    def keep(
        self, route: Route, source: str, customer: str, limits: Limits, *, kind: str, text: str, phone: str
    ) -> Kept:
        """Keep a request and want its job, unless the very same one or too many of this customer came lately. Durable when
        this returns.
        """
        mark = hashlib.sha256(f"{kind}\x1f{text}\x1f{phone}".encode()).hexdigest()
        new = {"source": source, "customer": customer, "kind": kind, "text": text, "phone": phone, "mark": mark}
        for _ in range(_TRIES):
            try:
                return self.db.transact(lambda connection: self._keep(connection, route, new, limits))
            except IntegrityError:  # two of one customer at the same moment took the same number: look again
                continue
        return Kept("limited", wait=1.0)

    def _keep(self, connection: Connection, route: Route, new: dict[str, Any], limits: Limits) -> Kept:
        table, now = t.request, self.db.micros()
        mine = (table.c.source == new["source"]) & (table.c.customer == new["customer"])
        lately = connection.execute(
            sa.select(table.c.id, table.c.number, table.c.mark, table.c.at)
            .where(mine)
            .order_by(table.c.number.desc())
            .limit(limits.most)
        ).fetchall()
        for row in lately:
            if row.mark == new["mark"] and now - row.at < limits.same_within * SECOND:
                return Kept("again", row.id)
        counted = [row.at for row in lately if now - row.at < limits.within * SECOND]
        if len(counted) >= limits.most:
            return Kept("limited", wait=limits.within - (now - min(counted)) / SECOND)
        id = uuid.uuid4().hex
        number = lately[0].number + 1 if lately else 1
        connection.execute(sa.insert(table).values(id=id, number=number, at=now, **new))
        self._want(connection, route, new, id, now)
        return Kept("new", id)

    def _want(self, connection: Connection, route: Route, new: dict[str, Any], id: str, now: int) -> None:
        self._want_job.on(
            connection,
            {
                "flow": route.flow,
                "connection": new["source"],
                "kind": KIND,
                "record_id": id,
                "target": route.target,
                "queue": route.queue,
                "rank": RANK[route.queue],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": new["customer"][:120],
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        )

    def forget(self, older: timedelta) -> int:
        """Empty text and phone of requests that were kept longer ago and are done: what was written stands in the CRM. At how
        many. The rows stay.
        """
        table, job, count = t.request, t.job.c, 0
        old = (table.c.at < self.db.micros() - int(older.total_seconds() * SECOND)) & (
            (table.c.text != "") | (table.c.phone != "")
        )
        # The key of jobs begins with the flow; named, it answers among however many jobs.
        flows = {flow for flow, _, kind in Records(self.db).places() if kind == KIND}
        key = (job.connection == table.c.source) & (job.kind == KIND) & (job.record_id == table.c.id)
        its = job.flow.in_(flows) & key
        done = sa.select(sa.literal(1)).where(its, job.state.in_(("settled", "skipped"))).correlate(table).exists()
        some = sa.select(table.c.id).where(old, done).limit(_TOGETHER)
        emptied = sa.update(table).where(table.c.id.in_(some)).values(text="", phone="").returning(table.c.id)
        while rows := self.db.execute(emptied):
            count += len(rows)
        return count

    def get(self, id: str) -> CustomerRequest | None:
        """One request."""
        rows = self.db.rows(sa.select(t.request).where(t.request.c.id == id))
        return _request(rows[0]) if rows else None

    def of_customer(self, source: str, customer: str, limit: int = 50) -> list[CustomerRequest]:
        """The latest requests of a customer, newest first."""
        query = sa.select(t.request).where(t.request.c.source == source, t.request.c.customer == customer)
        return [_request(row) for row in self.db.rows(query.order_by(t.request.c.number.desc()).limit(limit))]


def _request(row: Row[Any]) -> CustomerRequest:
    return CustomerRequest(
        row.id, row.source, row.customer, row.number, row.kind, row.text, row.phone, from_micros(row.at)
    )
