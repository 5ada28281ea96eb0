"""Promised days: how each stands, when to look again, and whether the rep was told. Pipelines judge (mapping.promises)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from core.keys import Key
from ledger import ordertables as o
from ledger import statements
from ledger import watchtables as w
from ledger.database import Database
from ledger.inbox import RANK, Route

KIND: Final = "promise"
"""Of the record of the job that tells: `<store>/promise/<id of the order>`."""
OPEN: Final = ("at_risk", "late")
"""Levels that somebody must look at (mapping.promises.OPEN)."""
# Written out: a partial index has these rows.
_OPEN: Final = sa.text("watch.level IN ('at_risk', 'late')")
_LOOKED_AT: Final = sa.text("watch.look_at IS NOT NULL")
MOST: Final = 1_000
"""Open ones that are counted at most."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One promise of one order in one flow."""

    flow: str
    order_key: str
    promised_on: date
    source: str
    """store, erp, or rule."""
    ship_by: datetime
    due: datetime
    level: str
    """mapping.promises.Level."""
    since: datetime
    """When it came to stand so."""
    look_at: datetime | None = None
    told: str = ""
    """The level of which the rep was told last."""
    task: str = ""
    """The note that was written into the CRM."""


@dataclass(frozen=True, slots=True)
class Unkept:
    """A promise that is at risk or was not kept, with what people need to know of its order."""

    watched: Watched
    number: str
    target: str
    remote_id: str
    account: str
    owner: str
    status: str
    crm_status: str
    method: str
    rush: bool
    total: Decimal
    currency: str
    placed_at: datetime
    shipped_at: datetime | None


class Watches:
    """One row a promise."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._want_job = db.prepare(statements.want_job(db))
        watch = w.watch.c
        self._mine = (watch.flow == sa.bindparam("b_flow")) & (watch.order_key == sa.bindparam("b_key"))
        self._one = db.prepare(sa.select(w.watch).where(self._mine))
        self._locked = db.prepare(db.lock_rows(sa.select(w.watch).where(self._mine)))
        insert = db.insert(w.watch)
        said = {c.name: insert.excluded[c.name] for c in w.watch.c if c.name not in {"flow", "order_key"}}
        self._put = db.prepare(insert.on_conflict_do_update(index_elements=["flow", "order_key"], set_=said))

    def get(self, flow: str, order_key: str) -> Watched | None:
        """One promise."""
        rows = self.db.rows(self._one, {"b_flow": flow, "b_key": order_key})
        return _watched(rows[0]) if rows else None

    def keep(self, new: Watched, route: Route | None, *, silent: bool = False) -> bool:
        """Keep how it stands, and want the job that tells of it (`route`; None: nobody is told) where it has come to be at risk
        or late. A promise for another day starts anew. `silent`: it counts as told. False: it stands as it stood.
        """
        known = self.get(new.flow, new.order_key)
        if known is not None and _following(known, new) == known:
            return False

        def work(connection: Connection) -> bool:
            row = self._locked.on(connection, {"b_flow": new.flow, "b_key": new.order_key}).first()
            old = _watched(row) if row is not None else None
            kept = _following(old, new)
            tells = kept.level in OPEN and (
                old is None or kept.level != old.level or kept.promised_on != old.promised_on
            )
            if tells and silent:
                kept = replace(kept, told=kept.level)
            if kept == old:
                return False
            self._put.on(connection, {**_row(kept), "updated_at": self.db.micros()})
            if tells and not silent and route is not None:
                self._want(connection, kept, route)
            return True

        return self.db.transact(work)

    def drop(self, flow: str, order_key: str) -> None:
        """Nothing is promised any more."""
        self.db.execute(sa.delete(w.watch).where(self._mine), {"b_flow": flow, "b_key": order_key})

    def due(self, limit: int) -> list[Watched]:
        """Those that time alone may have changed, the longest due first."""
        look_at = w.watch.c.look_at
        query = sa.select(w.watch).where(_LOOKED_AT, look_at <= self.db.micros()).order_by(look_at).limit(limit)
        return [_watched(row) for row in self.db.rows(query)]

    def told(self, flow: str, order_key: str, promised_on: date, level: str, task: str) -> None:
        """The rep was told that this promise stands at this level. `task`: the note in the CRM; "" leaves what is there."""
        values = {"told": level, **({"task": task} if task else {})}
        mine = self._mine & (w.watch.c.promised_on == promised_on.isoformat())
        self.db.execute(sa.update(w.watch).where(mine).values(**values), {"b_flow": flow, "b_key": order_key})

    # -- looking ---------------------------------------------------------------------------------------------------

    def unkept(self, *, flow: str = "", level: str = "", limit: int = 200, offset: int = 0) -> list[Unkept]:
        """What is at risk or late, the oldest promise first."""
        watch, order = w.watch.c, o.order_state.c
        query = (
            sa.select(
                w.watch,
                *(
                    order[name]
                    for name in ("number", "target", "remote_id", "account", "owner", "status", "crm_status")
                ),
                *(order[name] for name in ("method", "rush", "total", "currency", "placed_at", "shipped_at")),
            )
            .join_from(w.watch, o.order_state, (order.flow == watch.flow) & (order.order_key == watch.order_key))
            .where(_OPEN)
            .order_by(watch.due, watch.flow, watch.order_key)
        )
        if flow:
            query = query.where(watch.flow == flow)
        if level:
            query = query.where(watch.level == level)
        return [_unkept(row) for row in self.db.rows(query.limit(limit).offset(offset))]

    def counts(self) -> dict[str, int]:
        """How many are at risk and late; at most MOST together."""
        some = sa.select(w.watch.c.level).where(_OPEN).limit(MOST).subquery()
        rows = self.db.rows(sa.select(some.c.level, sa.func.count().label("number")).group_by(some.c.level))
        return dict.fromkeys(OPEN, 0) | {row.level: int(row.number) for row in rows}

    def _want(self, connection: Connection, watched: Watched, route: Route) -> None:
        key, now = Key.parse(watched.order_key), self.db.micros()
        order = o.order_state
        number = connection.execute(
            sa.select(order.c.number).where(order.c.flow == watched.flow, order.c.order_key == watched.order_key)
        ).scalar()
        self._want_job.on(
            connection,
            {
                "flow": route.flow,
                "connection": key.connection,
                "kind": KIND,
                "record_id": key.id,
                "target": route.target,
                "queue": route.queue,
                "rank": RANK[route.queue],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": number or "",
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        )


def _following(old: Watched | None, new: Watched) -> Watched:
    """The new state with what was told of the same promise before (pure)."""
    if old is None or old.promised_on != new.promised_on:
        return replace(new, told="", task="")
    since = old.since if old.level == new.level else new.since
    return replace(new, since=since, told=old.told, task=old.task)


def _row(watched: Watched) -> dict[str, Any]:
    return {
        "flow": watched.flow,
        "order_key": watched.order_key,
        "promised_on": watched.promised_on.isoformat(),
        "source": watched.source,
        "ship_by": to_micros(watched.ship_by),
        "due": to_micros(watched.due),
        "level": watched.level,
        "since": to_micros(watched.since),
        "look_at": to_micros(watched.look_at) if watched.look_at is not None else None,
        "told": watched.told,
        "task": watched.task,
    }


def _watched(row: Row[Any]) -> Watched:
    return Watched(
        flow=row.flow,
        order_key=row.order_key,
        promised_on=date.fromisoformat(row.promised_on),
        source=row.source,
        ship_by=from_micros(row.ship_by),
        due=from_micros(row.due),
        level=row.level,
        since=from_micros(row.since),
        look_at=from_micros(row.look_at) if row.look_at is not None else None,
        told=row.told,
        task=row.task,
    )


def _unkept(row: Row[Any]) -> Unkept:
    return Unkept(
        watched=_watched(row),
        number=row.number,
        target=row.target,
        remote_id=row.remote_id,
        account=row.account,
        owner=row.owner,
        status=row.status,
        crm_status=row.crm_status,
        method=row.method,
        rush=bool(row.rush),
        total=Decimal(row.total),
        currency=row.currency,
        placed_at=from_micros(row.placed_at),
        shipped_at=from_micros(row.shipped_at) if row.shipped_at is not None else None,
    )
