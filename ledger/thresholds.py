"""Thresholds of stock, as people set them: of an article, of a group, of a warehouse."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from ledger import stocktables as t
from ledger.audit import Audit
from ledger.database import Database

Scope = Literal["product", "group", "warehouse"]
TOGETHER: Final = 500
NOTED: Final = 50
"""So many changes at once are noted one by one; of more only how many."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From how much on whom to tell. `subject`: the article's number or the group's name, "" for a warehouse; `warehouse` "":
    every one. What is empty (owner, minimum, target) is looked for in the next wider one.
    """

    scope: Scope
    subject: str
    warehouse: str = ""
    owner: str = ""
    minimum: Decimal | None = None
    target: Decimal | None = None
    """How much there should be again after buying."""
    id: int = 0
    updated_at: datetime | None = None
    updated_by: str = ""


class Thresholds:
    """The thresholds of each source, every change with its author."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit
        row = t.stock_threshold.c
        self._said = (row.scope, row.subject, row.warehouse, row.owner, row.minimum, row.target)
        among = "subject IN (SELECT value FROM json_each(:skus))" if db.is_sqlite else "subject = ANY(:skus)"
        this = (row.connection == sa.bindparam("connection")) & (row.scope == "product")
        self._near = sa.select(*self._said).where(this, sa.text(among))

    def all(self, connection: str) -> list[Threshold]:
        """All of a source: warehouses, articles by number, groups."""
        return list(self.each(connection))

    def each(self, connection: str, size: int = 1_000) -> Iterator[Threshold]:
        """The same, read in bounded parts: there may be a hundred thousand."""
        row = t.stock_threshold.c
        query = sa.select(t.stock_threshold).where(row.connection == connection, row.scope == sa.bindparam("scope"))
        query = query.order_by(row.subject, row.warehouse).limit(size)
        behind = sa.tuple_(row.subject, row.warehouse) > sa.tuple_(sa.bindparam("subject"), sa.bindparam("warehouse"))
        for scope in sorted(get_args(Scope), reverse=True):
            found = self.db.rows(query, {"scope": scope})
            while found:
                yield from map(_threshold, found)
                last = {"scope": scope, "subject": found[-1].subject, "warehouse": found[-1].warehouse}
                found = self.db.rows(query.where(behind), last) if len(found) == size else []

    def of(self, connection: str, keys: Collection[tuple[str, str, str]]) -> dict[tuple[str, str, str], Threshold]:
        """Those of these (scope, subject, warehouse), as far as they are set."""
        row, found = t.stock_threshold.c, dict[tuple[str, str, str], Threshold]()
        for scope in get_args(Scope):
            subjects = sorted({subject for one, subject, _ in keys if one == scope})
            for start in range(0, len(subjects), TOGETHER):
                some = row.subject.in_(subjects[start : start + TOGETHER])
                query = sa.select(t.stock_threshold).where(row.connection == connection, row.scope == scope, some)
                found |= {_key(one): one for one in map(_threshold, self.db.rows(query)) if _key(one) in keys}
        return found

    def found(self, connection: str, *, text: str = "", limit: int = 100) -> tuple[list[Threshold], int]:
        """The first of those with this text in them, in the order of `all`; how many there are."""
        row = t.stock_threshold.c
        which = row.connection == connection
        if text:
            which &= sa.or_(*(one.icontains(text, autoescape=True) for one in (row.subject, row.warehouse, row.owner)))
        query = sa.select(t.stock_threshold).where(which).order_by(sa.desc(row.scope), row.subject, row.warehouse)
        count = self.db.rows(sa.select(sa.func.count()).select_from(t.stock_threshold).where(which))[0][0]
        return [_threshold(one) for one in self.db.rows(query.limit(limit))], int(count)

    def listed(self, connection: str, *, after: int = 0, limit: int = 100) -> list[Threshold]:
        """As they were first set, from behind this one."""
        row = t.stock_threshold.c
        query = sa.select(t.stock_threshold).where(row.connection == connection, row.id > after)
        return [_threshold(one) for one in self.db.rows(query.order_by(row.id).limit(limit))]

    def wide(self, connection: str) -> list[Threshold]:
        """Those of groups and warehouses, without who set them."""
        row = t.stock_threshold.c
        query = sa.select(*self._said).where(row.connection == connection, row.scope.in_(("group", "warehouse")))
        return [_bare(found) for found in self.db.rows(query)]

    def of_products(self, connection: str, skus: Sequence[str]) -> list[Threshold]:
        """Those of these articles, without who set them: there may be a hundred thousand, and few articles change in a minute."""
        asked = {"connection": connection, "skus": json.dumps(skus) if self.db.is_sqlite else list(skus)}
        return [_bare(found) for found in self.db.rows(self._near, asked)] if skus else []

    def get(self, connection: str, scope: Scope, subject: str, warehouse: str = "") -> Threshold | None:
        """One of them."""
        row = t.stock_threshold.c
        query = sa.select(t.stock_threshold).where(
            row.connection == connection, row.scope == scope, row.subject == subject, row.warehouse == warehouse
        )
        found = self.db.rows(query)
        return _threshold(found[0]) if found else None

    def put(self, connection: str, thresholds: Sequence[Threshold], *, by: str) -> int:
        """Set these; others stay. How many became other than they were; noted in the audit."""
        known = self.of(connection, {_key(one) for one in thresholds})
        other = {_key(one): one for one in thresholds if not _same(known.get(_key(one)), one)}
        if not other:
            return 0

        def work(one: Connection) -> int:
            insert = self.db.insert(t.stock_threshold)
            names = ("owner", "minimum", "target", "updated_at", "updated_by")
            keep = insert.on_conflict_do_update(
                index_elements=["connection", "scope", "subject", "warehouse"],
                set_={name: insert.excluded[name] for name in names},
            )
            now = self.db.micros()
            one.execute(keep, [_row(connection, threshold, now, by) for threshold in other.values()])
            if len(other) > NOTED:
                self.audit.append(one, by, "stock.thresholds", f"stock/{connection}", {"changed": len(other)})
            else:
                for key, threshold in other.items():
                    self._note(one, connection, known.get(key), threshold, by)
            self._changed(one, connection)
            return len(other)

        return self.db.transact(work)

    def remove(self, connection: str, scope: Scope, subject: str, warehouse: str = "", *, by: str) -> bool:
        """Forget one. False: it is not there."""

        def work(one: Connection) -> bool:
            row = t.stock_threshold.c
            which = (row.connection == connection) & (row.scope == scope)
            which &= (row.subject == subject) & (row.warehouse == warehouse)
            found = one.execute(sa.delete(t.stock_threshold).where(which).returning(t.stock_threshold)).first()
            if found is None:
                return False
            self._note(one, connection, _threshold(found), None, by)
            self._changed(one, connection)
            return True

        return self.db.transact(work)

    def _note(self, one: Connection, connection: str, old: Threshold | None, new: Threshold | None, by: str) -> None:
        named = new or old
        if named is not None:
            facts = {"before": _facts(old), "after": _facts(new)}
            self.audit.append(one, by, "stock.threshold", f"stock/{connection}/{'/'.join(_key(named))}"[:300], facts)

    def _changed(self, one: Connection, connection: str) -> None:
        """Every level is compared anew."""
        insert = self.db.insert(t.stock_source).values(connection=connection, revision=1)
        more = {"revision": t.stock_source.c.revision + 1}
        one.execute(insert.on_conflict_do_update(index_elements=["connection"], set_=more))


def _bare(row: Row[Any]) -> Threshold:
    scope, subject, warehouse, owner, minimum, target = tuple(row)
    return Threshold(scope, subject, warehouse, owner, _number(minimum), _number(target))


def _number(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None else None


def _key(threshold: Threshold) -> tuple[str, str, str]:
    return threshold.scope, threshold.subject, threshold.warehouse


def _facts(threshold: Threshold | None) -> dict[str, str] | None:
    if threshold is None:
        return None
    numbers = {"minimum": threshold.minimum, "target": threshold.target}
    return {"owner": threshold.owner, **{name: f"{value:f}" for name, value in numbers.items() if value is not None}}


def _same(old: Threshold | None, new: Threshold) -> bool:
    return old is not None and (old.owner, old.minimum, old.target) == (new.owner, new.minimum, new.target)


def _row(connection: str, threshold: Threshold, now: int, by: str) -> dict[str, Any]:
    return {
        "connection": connection,
        "scope": threshold.scope,
        "subject": threshold.subject,
        "warehouse": threshold.warehouse,
        "owner": threshold.owner,
        "minimum": f"{threshold.minimum:f}" if threshold.minimum is not None else None,
        "target": f"{threshold.target:f}" if threshold.target is not None else None,
        "updated_at": now,
        "updated_by": by[:120],
    }


def _threshold(row: Row[Any]) -> Threshold:
    return Threshold(
        scope=cast("Scope", row.scope),
        subject=row.subject,
        warehouse=row.warehouse,
        owner=row.owner,
        minimum=_number(row.minimum),
        target=_number(row.target),
        id=row.id,
        updated_at=from_micros(row.updated_at),
        updated_by=row.updated_by,
    )
