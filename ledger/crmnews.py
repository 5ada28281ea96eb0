"""What a CRM is seen to say of our orders, and the jobs that this wakes, in one transaction: neither is without the other."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_micros
from core.keys import Key
from ledger import statements
from ledger import tables as t
from ledger.database import Database
from ledger.inbox import RANK
from ledger.invoicetables import invoice_state
from ledger.ordertables import order_state

MANY: Final = 300
"""Ids in one statement."""
QUEUE: Final = "live"
"""Of a job that an order did not have before."""


@dataclass(frozen=True, slots=True)
class Said:
    """The CRM's word for where one of its orders stands."""

    remote_id: str
    status: str
    at: datetime
    """When the CRM was seen to say so."""


class CrmNews:
    """An echo of what we wrote is no news and goes nowhere."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._want_job = db.prepare(statements.want_job(db))

    def orders_say(self, target: str, said: Sequence[Said]) -> int:
        """Keep what is news of orders of ours, and have their jobs run again. How many."""
        known = self._states(target, [one.remote_id for one in said])
        news = [one for one in said if any(status != one.status for status in known.get(one.remote_id, ()))]
        return sum(self.db.transact(partial(self._say, target=target, said=one)) for one in news)

    def _states(self, target: str, remote_ids: Sequence[str]) -> dict[str, list[str]]:
        state = order_state.c
        found: dict[str, list[str]] = {}
        for start in range(0, len(remote_ids), MANY):
            portion = list(remote_ids[start : start + MANY])
            query = sa.select(state.remote_id, state.crm_status).where(
                state.target == target, state.remote_id.in_(portion)
            )
            for row in self.db.rows(query):
                found.setdefault(row.remote_id, []).append(row.crm_status)
        return found

    def _say(self, connection: Connection, *, target: str, said: Said) -> int:
        state = order_state.c
        theirs = (state.target == target) & (state.remote_id == said.remote_id) & (state.crm_status != said.status)
        query = sa.select(state.flow, state.order_key).where(theirs)
        news = connection.execute(self.db.lock_rows(query)).all()
        connection.execute(
            sa.update(order_state).where(theirs).values(crm_status=said.status, crm_seen_at=to_micros(said.at))
        )
        self._want(connection, [(row.flow, row.order_key) for row in news])
        return len(news)

    def want_on(self, connection: Connection, orders: Iterable[tuple[str, str]]) -> None:
        """Have the jobs of these orders (flow, key) run again, inside somebody's transaction."""
        self._want(connection, orders)

    def _want(self, connection: Connection, orders: Iterable[tuple[str, str]]) -> None:
        """As when a newer state came in; what a person skipped or has to decide is left alone."""
        idle = t.job.c.state == "settled"
        for flow, order_key in sorted(orders):
            key = Key.parse(order_key)
            known = connection.execute(
                sa.update(t.job)
                .where(
                    t.job.c.flow == flow,
                    t.job.c.connection == key.connection,
                    t.job.c.kind == key.kind,
                    t.job.c.record_id == key.id,
                )
                .values(
                    wanted=t.job.c.wanted + 1,
                    state=sa.case((idle, "waiting"), else_=t.job.c.state),
                    due_at=sa.case((idle, self.db.now), else_=t.job.c.due_at),
                    updated_at=self.db.now,
                )
                .returning(t.job.c.id)
            ).first()
            if known is None:
                self._want_first(connection, flow, key)

    def _want_first(self, connection: Connection, flow: str, key: Key) -> None:
        """An order that was adopted and has not changed since: it is watched, and never had a job."""
        state = order_state.c
        mine = (state.flow == flow) & (state.order_key == str(key))
        row = connection.execute(sa.select(state.target, state.number).where(mine)).first()
        if row is None:
            return
        now = self.db.micros()
        self._want_job.on(
            connection,
            {
                "flow": flow,
                "connection": key.connection,
                "kind": key.kind,
                "record_id": key.id,
                "target": row.target,
                "queue": QUEUE,
                "rank": RANK[QUEUE],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": row.number,
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        )

    # -- what is there no more -------------------------------------------------------------------------------------

    def orders_of(self, target: str, placed_since: datetime) -> list[str]:
        """The CRM's ids of our orders that are open, or were placed since; without those that a person was told of already, or
        that were taken back by us (a run that was undone).
        """
        state, link = order_state.c, t.link.c
        recent = state.placed_at >= to_micros(placed_since)
        linked = sa.exists().where(
            link.target == target,
            link.kind == "order",
            link.key == state.order_key,
            link.remote_id == state.remote_id,
            link.payload_hash != "",
        )
        mine = (state.target == target) & (state.remote_id != "") & (state.open | recent) & linked
        query = sa.select(state.remote_id).where(mine).distinct().order_by(state.remote_id)
        return [row.remote_id for row in self.db.rows(query)]

    def invoices_of(self, target: str, told_since: datetime) -> list[str]:
        """The CRM's ids of invoices that are kept as open, or were told of since, without those that we took back."""
        state, link = invoice_state.c, t.link.c
        lively = state.state.not_in(("paid", "cancelled", "credited")) | (state.updated_at >= to_micros(told_since))
        linked = sa.exists().where(link.target == target, link.remote_id == state.remote_id)
        lively &= (state.state != "deleted") & ((state.origin != "ours") | linked)
        query = sa.select(state.remote_id).where(state.system == target, lively).distinct().order_by(state.remote_id)
        return [row.remote_id for row in self.db.rows(query)]

    def order_gone(self, target: str, remote_id: str) -> int:
        """The CRM has no such order any more: what it holds is not known, and its job runs again, which tells a person. Once: a
        job that a person then skipped stays skipped. How many.
        """
        link, state = t.link, order_state.c
        lost = (
            (link.c.target == target)
            & (link.c.kind == "order")
            & (link.c.remote_id == remote_id)
            & (link.c.payload_hash != "")
        )

        def work(connection: Connection) -> int:
            emptied = sa.update(link).where(lost).values(payload_hash="", updated_at=self.db.now)
            if not connection.execute(emptied.returning(link.c.id)).all():
                return 0
            mine = (state.target == target) & (state.remote_id == remote_id)
            rows = connection.execute(sa.select(state.flow, state.order_key).where(mine)).all()
            self._want(connection, [(row.flow, row.order_key) for row in rows])
            return len(rows)

        return self.db.transact(work)
