"""What was done with a job, and what was received of its record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros
from core.keys import Key
from ledger import tables as t
from ledger.database import SECOND, Database

LARGEST_ID: Final = 2**63 - 1
COUNTED: Final = 1000
"""Counts above this are shown as "1,000+": nobody reads more, and counting a million rows takes seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery with its body."""

    id: int
    key: Key
    raw: bytes | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution. `waited`: seconds since the one before ended, None for the first one."""

    started_at: datetime
    ended_at: datetime
    waited: float | None
    outcome: str
    error_class: str
    message: str
    worker: str
    correlation: str
    calls: Sequence[Mapping[str, Any]]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max((self.ended_at - self.started_at).total_seconds(), 0.0)


def _attempt(row: Any, before: Any) -> Attempt:
    return Attempt(
        started_at=from_micros(row.started_at),
        ended_at=from_micros(row.ended_at),
        waited=None if before is None else max(row.started_at - before.ended_at, 0) / SECOND,
        outcome=row.outcome,
        error_class=row.error_class,
        message=row.message,
        worker=row.worker,
        correlation=row.correlation,
        calls=json.loads(row.calls) if row.calls else (),
    )


class History:
    """Reading only."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def attempts(self, job_id: int, limit: int = 30) -> tuple[list[Attempt], int]:
        """Its last executions, the newest first, and how many there are in all (up to 1,000)."""
        mine = t.attempt.c.job_id == job_id
        rows = self.db.rows(sa.select(t.attempt).where(mine).order_by(t.attempt.c.token.desc()).limit(limit + 1))
        some = sa.select(sa.literal(1).label("one")).where(mine).limit(COUNTED).subquery()
        number = int(self.db.rows(sa.select(sa.func.count().label("n")).select_from(some))[0].n)
        pairs = zip(rows, [*rows[1:], None], strict=False)
        return [_attempt(row, before) for row, before in pairs][:limit], number

    def event(self, event_id: int) -> Event | None:
        """One delivery, as it was received."""
        if not 0 < event_id <= LARGEST_ID:
            return None
        rows = self.db.rows(sa.select(t.event).where(t.event.c.id == event_id))
        if not rows:
            return None
        row = rows[0]
        return Event(row.id, Key(row.connection, row.kind, row.record_id), row.raw, from_micros(row.received_at))
