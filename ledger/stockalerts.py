"""Alerts of stock below its threshold: one open alert an item, whoever finds it, and what each buyer was told of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from ledger import stocktables as t
from ledger.audit import Audit
from ledger.database import SECOND, Database

Snooze = Literal["", "date", "delivery"]
Why = Literal["risen", "gone", "no threshold"]
"""Why an alert closed: there is enough again, the source tells the article no more, no threshold holds any more."""
TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class Low:
    """An item that is below its threshold."""

    warehouse: str
    sku: str
    name: str
    owner: str
    minimum: Decimal
    target: Decimal | None
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class StockAlert:
    """One alert, open or closed."""

    id: int
    connection: str
    warehouse: str
    sku: str
    name: str
    owner: str
    minimum: Decimal
    target: Decimal | None
    quantity_then: Decimal
    quantity: Decimal
    opened_at: datetime
    told_at: datetime | None
    closed_at: datetime | None
    closed_why: str
    snooze: Snooze
    snoozed_until: datetime | None
    snoozed_below: Decimal | None
    snoozed_by: str

    @property
    def item(self) -> tuple[str, str]:
        """Warehouse and SKU."""
        return self.warehouse, self.sku


@dataclass(frozen=True, slots=True)
class Told:
    """When a buyer was told last. `digest_on`: the day of the last digest, in the buyer's zone."""

    told_at: datetime | None = None
    digest_on: str = ""
    digest_at: datetime | None = None


class _Taken(Exception):
    """Somebody else has told it meanwhile, or it has changed: ours is undone."""


class StockAlerts:
    """Open, follow, close, snooze, tell."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit
        still = t.stock_alert.c.closed_at.is_(None)
        self._open = db.insert(t.stock_alert).on_conflict_do_nothing(
            index_elements=["connection", "warehouse", "sku"], index_where=still
        )

    # -- following the levels --------------------------------------------------------------------------------------

    def open_of(
        self, connection: str, items: Collection[tuple[str, str]] | None = None
    ) -> dict[tuple[str, str], StockAlert]:
        """The open alerts of a source by warehouse and SKU: every one, or those of these items."""
        alert = t.stock_alert.c
        query = sa.select(t.stock_alert).where(alert.connection == connection, alert.closed_at.is_(None))
        if items is None:
            return {found.item: found for found in map(_alert, self.db.rows(query))}
        places: dict[str, list[str]] = {}
        for warehouse, sku in items:
            places.setdefault(warehouse, []).append(sku)
        found: dict[tuple[str, str], StockAlert] = {}
        for warehouse, skus in places.items():
            here = query.where(alert.warehouse == warehouse)
            for start in range(0, len(skus), TOGETHER):
                some = here.where(alert.sku.in_(skus[start : start + TOGETHER]))
                found |= {one.item: one for one in map(_alert, self.db.rows(some))}
        return found

    def open(self, connection: str, lows: Sequence[Low]) -> int:
        """An alert for each item that has none yet. How many there are more."""
        now, count = self.db.micros(), 0
        for start in range(0, len(lows), TOGETHER):
            values = [_new(connection, low, now) for low in lows[start : start + TOGETHER]]

            def work(one: Connection, values: list[dict[str, Any]] = values) -> int:
                made = one.execute(self._open.returning(t.stock_alert.c.id), values)
                return len(made.all())

            count += self.db.transact(work)
        return count

    def follow(self, lows: Mapping[int, Low]) -> None:
        """How the items of these open alerts stand now. An owner who is new to it is told; a delivery ends its snooze, and that
        it was not enough is told.
        """

        def work(one: Connection) -> None:
            for id, low in lows.items():
                alert = t.stock_alert.c
                mine = (alert.id == id) & alert.closed_at.is_(None)
                found = one.execute(self.db.lock_rows(sa.select(t.stock_alert).where(mine))).first()
                if found is not None:
                    one.execute(sa.update(t.stock_alert).where(mine).values(**_followed(_alert(found), low)))

        if lows:
            self.db.transact(work)

    def close(self, ids: Mapping[int, Decimal | None], why: Why) -> int:
        """These are over; with the quantity there is now. How many were open."""

        def work(one: Connection) -> int:
            count = 0
            for id, quantity in ids.items():
                alert = t.stock_alert.c
                values: dict[str, Any] = {"closed_at": self.db.now, "closed_why": why}
                if quantity is not None:
                    values["quantity"] = plain(quantity)
                mine = sa.update(t.stock_alert).where(alert.id == id, alert.closed_at.is_(None))
                count += len(one.execute(mine.values(**values).returning(alert.id)).all())
            return count

        return self.db.transact(work) if ids else 0

    def forget(self, older: timedelta) -> int:
        """Remove those that were over longer ago: whoever was not told so by then has no digest. How many."""
        alert, limit = t.stock_alert.c, self.db.micros() - int(older.total_seconds()) * SECOND
        # Written so that the index of what is over serves it.
        some = sa.select(alert.id).where(alert.closed_at.is_not(None), alert.closed_at < limit).limit(TOGETHER)
        count = 0
        while gone := self.db.execute(sa.delete(t.stock_alert).where(alert.id.in_(some)).returning(alert.id)):
            count += len(gone)
        return count

    # -- what people do --------------------------------------------------------------------------------------------

    def get(self, id: int) -> StockAlert | None:
        """One alert."""
        rows = self.db.rows(sa.select(t.stock_alert).where(t.stock_alert.c.id == id))
        return _alert(rows[0]) if rows else None

    def listed(
        self,
        *,
        connection: str = "",
        owner: str = "",
        closed: bool = False,
        text: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> list[StockAlert]:
        """Open alerts (or closed ones), the newest first; `after`: from behind this one."""
        alert = t.stock_alert.c
        query = sa.select(t.stock_alert).where(alert.closed_at.is_not(None) if closed else alert.closed_at.is_(None))
        if connection:
            query = query.where(alert.connection == connection)
        if owner:
            query = query.where(alert.owner == owner)
        if text:
            query = query.where(
                alert.sku.icontains(text, autoescape=True) | alert.name.icontains(text, autoescape=True)
            )
        if after:
            query = query.where(alert.id < after)
        return [_alert(row) for row in self.db.rows(query.order_by(alert.id.desc()).limit(limit))]

    def count(self) -> Mapping[str, int]:
        """Open alerts by source; snoozed ones are not counted."""
        alert = t.stock_alert.c
        query = sa.select(alert.connection, sa.func.count()).where(alert.closed_at.is_(None), alert.snooze == "")
        return {row[0]: row[1] for row in self.db.rows(query.group_by(alert.connection))}

    def snooze(self, id: int, kind: Snooze, *, until: datetime | None = None, by: str) -> StockAlert | None:
        """Say nothing of it until a day (`date`), until more of it is there (`delivery`), or say it again (""). None: it is not
        open.
        """

        def work(one: Connection) -> StockAlert | None:
            mine = (t.stock_alert.c.id == id) & t.stock_alert.c.closed_at.is_(None)
            row = one.execute(self.db.lock_rows(sa.select(t.stock_alert).where(mine))).first()
            if row is None:
                return None
            values = {
                "snooze": kind,
                "snoozed_until": to_micros(until) if kind == "date" and until is not None else None,
                "snoozed_below": row.quantity if kind == "delivery" else None,
                "snoozed_by": by[:120] if kind else "",
            }
            changed = one.execute(sa.update(t.stock_alert).where(mine).values(**values).returning(t.stock_alert)).one()
            facts = {"until": until.isoformat() if until is not None and kind == "date" else kind or "ended"}
            self.audit.append(one, by, "stock.snooze", _subject(row), facts)
            return _alert(changed)

        return self.db.transact(work)

    def wake(self) -> int:
        """Those whose day has come are told again. How many."""
        alert = t.stock_alert.c
        over = alert.closed_at.is_(None) & (alert.snooze == "date") & (alert.snoozed_until <= self.db.now)
        values = {"snooze": "", "snoozed_until": None, "snoozed_by": "", "told_at": None}
        return len(self.db.execute(sa.update(t.stock_alert).where(over).values(**values).returning(alert.id)))

    # -- telling ---------------------------------------------------------------------------------------------------

    def told(self) -> dict[str, Told]:
        """When each buyer was told last."""
        return {
            row.buyer: Told(_moment(row.told_at), row.digest_on, _moment(row.digest_at))
            for row in self.db.rows(sa.select(t.stock_told))
        }

    def untold(self, owner: str) -> list[StockAlert]:
        """Open alerts that their owner does not know of, the oldest first; snoozed ones are left out."""
        alert = t.stock_alert.c
        # Asked every few seconds. Written so that the index of what is open serves it: the owner's holds all that ever was low.
        theirs = sa.func.coalesce(alert.owner, "") == owner
        mine = theirs & alert.closed_at.is_(None) & alert.told_at.is_(None) & (alert.snooze == "")
        found = [_alert(row) for row in self.db.rows(sa.select(t.stock_alert).where(mine))]
        return sorted(found, key=lambda one: one.id)

    def uncleared(self, owner: str) -> list[StockAlert]:
        """Alerts that their owner was told of, and that are over since, which they were not told."""
        alert = t.stock_alert.c
        mine = (alert.owner == owner) & alert.closed_at.is_not(None) & alert.told_at.is_not(None) & ~alert.cleared
        return [_alert(row) for row in self.db.rows(sa.select(t.stock_alert).where(mine).order_by(alert.id))]

    def tell(self, buyer: str, alerts: Sequence[StockAlert], every: float, send: Callable[[Connection], None]) -> bool:
        """Note that this buyer is told of these now, and `send` it, in one transaction. False: somebody else told the buyer less
        than `every` seconds ago, or one of the alerts, or one is over: nothing was sent.
        """

        def work(one: Connection) -> None:
            now = self.db.micros()
            insert = self.db.insert(t.stock_told).values(buyer=buyer, told_at=now)
            due = t.stock_told.c.told_at.is_(None) | (t.stock_told.c.told_at <= now - int(every * SECOND))
            told = insert.on_conflict_do_update(index_elements=["buyer"], set_={"told_at": now}, where=due)
            if one.execute(told.returning(t.stock_told.c.buyer)).first() is None:
                raise _Taken
            self._claim(one, alerts, now)
            send(one)

        return self._undone_where_taken(work)

    def digest(
        self,
        buyer: str,
        day: str,
        fresh: Sequence[StockAlert],
        cleared: Sequence[StockAlert],
        send: Callable[[Connection], None] | None,
    ) -> bool:
        """Note that this buyer gets the digest of this day, which tells them first of `fresh` and that `cleared` are over, and
        `send` it, in one transaction. False: it went already, or something has changed meanwhile.
        """

        def work(one: Connection) -> None:
            now = self.db.micros()
            insert = self.db.insert(t.stock_told).values(buyer=buyer, digest_on=day, digest_at=now)
            values = {"digest_on": day, "digest_at": now}
            later = t.stock_told.c.digest_on < day
            noted = insert.on_conflict_do_update(index_elements=["buyer"], set_=values, where=later)
            if one.execute(noted.returning(t.stock_told.c.buyer)).first() is None:
                raise _Taken
            self._claim(one, fresh, now)
            for start in range(0, len(cleared), TOGETHER):
                ids = [alert.id for alert in cleared[start : start + TOGETHER]]
                one.execute(sa.update(t.stock_alert).where(t.stock_alert.c.id.in_(ids)).values(cleared=True))
            if send is not None:
                send(one)

        return self._undone_where_taken(work)

    def _claim(self, one: Connection, alerts: Sequence[StockAlert], now: int) -> None:
        alert = t.stock_alert.c
        for start in range(0, len(alerts), TOGETHER):
            ids = [found.id for found in alerts[start : start + TOGETHER]]
            open_ = alert.id.in_(ids) & alert.closed_at.is_(None) & alert.told_at.is_(None)
            claimed = one.execute(sa.update(t.stock_alert).where(open_).values(told_at=now).returning(alert.id)).all()
            if len(claimed) < len(ids):
                raise _Taken

    def _undone_where_taken(self, work: Callable[[Connection], None]) -> bool:
        try:
            self.db.transact(work)
        except _Taken:
            return False
        return True


def _followed(alert: StockAlert, low: Low) -> dict[str, Any]:
    """What changes of an open alert whose item stands like this now (pure)."""
    values: dict[str, Any] = {
        "quantity": plain(low.quantity),
        "name": low.name,
        "owner": low.owner,
        "minimum": plain(low.minimum),
        "target": plain(low.target) if low.target is not None else None,
    }
    if low.owner != alert.owner:
        values["told_at"] = None
    if alert.snooze == "delivery" and alert.snoozed_below is not None:
        if low.quantity > alert.snoozed_below:
            values |= {"snooze": "", "snoozed_below": None, "snoozed_by": "", "told_at": None}
        else:  # what is sold meanwhile does not make a delivery any smaller
            values["snoozed_below"] = plain(low.quantity)
    return values


def _subject(row: Row[Any]) -> str:
    return f"stock/{row.connection}/{row.warehouse}/{row.sku}"[:300]


def plain(quantity: Decimal) -> str:
    """The one notation of a quantity: `5`, not `5.00`."""
    text = f"{quantity:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def _new(connection: str, low: Low, now: int) -> dict[str, Any]:
    return {
        "connection": connection,
        "warehouse": low.warehouse,
        "sku": low.sku,
        "name": low.name,
        "owner": low.owner,
        "minimum": plain(low.minimum),
        "target": plain(low.target) if low.target is not None else None,
        "quantity_then": plain(low.quantity),
        "quantity": plain(low.quantity),
        "opened_at": now,
    }


def _moment(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None


def _alert(row: Row[Any]) -> StockAlert:
    return StockAlert(
        id=row.id,
        connection=row.connection,
        warehouse=row.warehouse,
        sku=row.sku,
        name=row.name,
        owner=row.owner,
        minimum=Decimal(row.minimum),
        target=Decimal(row.target) if row.target is not None else None,
        quantity_then=Decimal(row.quantity_then),
        quantity=Decimal(row.quantity),
        opened_at=from_micros(row.opened_at),
        told_at=_moment(row.told_at),
        closed_at=_moment(row.closed_at),
        closed_why=row.closed_why,
        snooze=cast("Snooze", row.snooze),
        snoozed_until=_moment(row.snoozed_until),
        snoozed_below=Decimal(row.snoozed_below) if row.snoozed_below is not None else None,
        snoozed_by=row.snoozed_by,
    )
