"""What metrics read at every scrape. Each statement walks an index and stops at `MOST` rows: a million settled jobs cost nothing,
a million that wait are told as "at least so many".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import RANK

MOST: Final = 100_000
"""Jobs that are counted of each kind where nobody says otherwise."""
SOON: Final = 86_400.0
"""Seconds: a job that is due later than this waits for people (its flow is rehearsed), not for a worker."""
# Written out: a plan that is made once for all parameters (PostgreSQL) could not know that a partial index has these rows.
_WAITING: Final[sa.ColumnElement[str]] = sa.literal_column("'waiting'")
_RUNNING: Final[sa.ColumnElement[str]] = sa.literal_column("'running'")
_HELD: Final[sa.ColumnElement[str]] = sa.literal_column("'held'")


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue now."""

    name: str
    depth: int
    """Jobs that are due, or will be within a day; at most MOST."""
    oldest: float
    """Seconds that the longest waiting job has been due; 0: nothing is due."""


class Gauges:
    """Reading only. `most`: jobs that are counted of each kind."""

    def __init__(self, db: Database, *, most: int = MOST) -> None:
        self.db = db
        self.most = most

    def queues(self) -> list[Queue]:
        """Every queue, also the empty ones."""
        return [self._queue(name, rank) for name, rank in RANK.items()]

    def _queue(self, name: str, rank: int) -> Queue:
        job, now = t.job.c, self.db.micros()
        mine = (job.state == _WAITING) & (job.rank == rank)
        first = sa.select(job.due_at).where(mine).order_by(job.due_at).limit(1)
        found = self.db.rows(first)
        soon = self._count(sa.select(job.due_at).where(mine, job.due_at < now + int(SOON * SECOND)))
        return Queue(name, soon, max(now - found[0].due_at, 0) / SECOND if found else 0.0)

    def jobs(self) -> Mapping[str, int]:
        """Jobs that are not done, by state; at most MOST of each."""
        states = {"waiting": _WAITING, "running": _RUNNING, "held": _HELD}
        return {
            name: self._count(sa.select(t.job.c.state).where(t.job.c.state == word)) for name, word in states.items()
        }

    def alerts(self) -> Mapping[str, int]:
        """Open alerts by the first word of their cause (`connection`, `held`, `silence`, ...)."""
        found: dict[str, int] = {}
        for row in self.db.rows(sa.select(t.alert.c.cause).where(t.alert.c.closed_at.is_(None)).limit(MOST)):
            kind = row.cause.partition("/")[0]
            found[kind] = found.get(kind, 0) + 1
        return found

    def _count(self, some: sa.Select[Any]) -> int:
        return int(
            self.db.rows(sa.select(sa.func.count().label("number")).select_from(some.limit(self.most).subquery()))[
                0
            ].number
        )
