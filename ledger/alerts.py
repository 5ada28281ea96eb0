"""What people should know: one open alert a cause, closed by itself when the cause is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros
from ledger import tables as t
from ledger.database import Database

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so at present. `cause` names it: the same cause is the same alert."""

    cause: str
    title: str
    message: str
    severity: Severity = "warning"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, open or closed."""

    id: int
    cause: str
    severity: str
    title: str
    message: str
    facts: Mapping[str, Any]
    count: int
    opened_at: datetime
    closed_at: datetime | None
    closing: str
    told: bool


class Alerts:
    """Open, close, and what has not been told yet."""

    def __init__(self, db: Database) -> None:
        self.db = db
        insert = db.insert(t.alert)
        new = insert.excluded
        self._raise = insert.on_conflict_do_update(
            index_elements=["cause"],
            index_where=t.alert.c.closed_at.is_(None),
            set_={
                "seen_at": new.seen_at,
                "count": t.alert.c.count + 1,
                "message": new.message,
                "facts": new.facts,
                "severity": new.severity,
            },
        ).returning(t.alert.c.id, t.alert.c.count)

    def open(self, condition: Condition) -> bool:
        """The condition holds. True when this opened a new alert."""
        now = self.db.micros()
        row = self.db.execute(
            self._raise,
            {
                "cause": condition.cause[:200],
                "severity": condition.severity,
                "title": condition.title,
                "message": condition.message,
                "facts": json.dumps(dict(condition.facts), ensure_ascii=False) if condition.facts else "",
                "opened_at": now,
                "seen_at": now,
            },
        )[0]
        return int(row._mapping["count"]) == 1  # noqa: SLF001 - `count` is also a method of rows

    def remind(self, cause: str) -> None:
        """Tell of it once more, if it is open: somebody had asked to hear of it again."""
        open_ = (t.alert.c.cause == cause[:200]) & t.alert.c.closed_at.is_(None)
        self.db.execute(sa.update(t.alert).where(open_).values(told_open_at=None))

    def close(self, cause: str, closing: str = "") -> bool:
        """The cause is gone. False when nothing was open."""
        statement = (
            sa.update(t.alert)
            .where(t.alert.c.cause == cause, t.alert.c.closed_at.is_(None))
            .values(closed_at=self.db.now, closing=closing)
            .returning(t.alert.c.id)
        )
        return bool(self.db.execute(statement))

    def opened(self, prefix: str = "") -> list[Alert]:
        """Open alerts whose cause begins so, oldest first."""
        query = sa.select(t.alert).where(t.alert.c.closed_at.is_(None)).order_by(t.alert.c.opened_at)
        if prefix:
            query = query.where(t.alert.c.cause.startswith(prefix, autoescape=True))
        return [_alert(row) for row in self.db.rows(query)]

    def recent(
        self, limit: int = 100, *, state: Literal["", "open", "closed"] = "", before: int | None = None
    ) -> list[Alert]:
        """Open and closed, or only these, newest first; below the number `before`."""
        query = sa.select(t.alert).order_by(t.alert.c.id.desc()).limit(limit)
        if state:
            closed = t.alert.c.closed_at
            query = query.where(closed.is_(None) if state == "open" else closed.is_not(None))
        if before is not None:
            query = query.where(t.alert.c.id < before)
        return [_alert(row) for row in self.db.rows(query)]

    def untold(self) -> list[Alert]:
        """Opened or closed without anybody knowing. One that opened and closed before it was told stays untold for ever:
        nobody has to do anything about it.
        """
        opened = t.alert.c.told_open_at.is_(None) & t.alert.c.closed_at.is_(None)
        closed = (
            t.alert.c.told_open_at.is_not(None) & t.alert.c.closed_at.is_not(None) & t.alert.c.told_close_at.is_(None)
        )
        return [_alert(row) for row in self.db.rows(sa.select(t.alert).where(opened | closed).order_by(t.alert.c.id))]

    def told(self, alerts: Sequence[Alert]) -> None:
        """People know now."""
        for column, ids in (
            ("told_open_at", [alert.id for alert in alerts if alert.closed_at is None]),
            ("told_close_at", [alert.id for alert in alerts if alert.closed_at is not None]),
        ):
            if ids:
                self.db.execute(sa.update(t.alert).where(t.alert.c.id.in_(ids)).values({column: self.db.now}))


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        cause=row.cause,
        severity=row.severity,
        title=row.title,
        message=row.message,
        facts=json.loads(row.facts) if row.facts else {},
        count=row._mapping["count"],  # noqa: SLF001 - `count` is also a method of rows
        opened_at=from_micros(row.opened_at),
        closed_at=from_micros(row.closed_at) if row.closed_at is not None else None,
        closing=row.closing,
        told=row.told_open_at is not None,
    )
