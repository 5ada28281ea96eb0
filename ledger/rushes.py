"""Rush orders that are not where they belong yet, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.database import Database
from ledger.flows import REHEARSED
from ledger.inbox import RANK

MOST: Final = 1_000
"""Rush orders of one state that are looked at: more of them at once are none."""
# Written out and one by one: each has an index of its own.
_STATES: Final[tuple[sa.ColumnElement[str], ...]] = tuple(
    sa.literal_column(word) for word in ("'waiting'", "'running'", "'held'")
)


@dataclass(frozen=True, slots=True)
class Rush:
    """A rush order whose job is not done. `since`: when it came in; of one that was carried before, when it changed, or when
    it was first tried again.
    """

    flow: str
    number: str
    key: str
    state: str
    reason: str
    since: datetime


def undone(db: Database, flow: str, before: datetime) -> list[Rush]:
    """Rush orders of a flow that came in before this moment and are not where they belong, the oldest first. Those that are
    only rehearsed wait for people, not for us.
    """
    found = [one for state in _STATES for one in _of_state(db, flow, state, before)]
    return sorted(found, key=lambda one: one.since)


def _of_state(db: Database, flow: str, state: sa.ColumnElement[str], before: datetime) -> list[Rush]:
    job, record = t.job.c, t.record.c
    same = (record.connection == job.connection) & (record.kind == job.kind) & (record.record_id == job.record_id)
    since = _since()
    query = (
        sa.select(job.number, job.connection, job.kind, job.record_id, job.state, job.reason, since.label("since"))
        .select_from(t.job.join(t.record, same))
        .where(
            job.id.in_(_some(flow, state)),
            job.error_class != REHEARSED,
            since < to_micros(before),
        )
        .order_by(since)
        .limit(MOST)
    )
    return [
        Rush(
            flow,
            row.number,
            f"{row.connection}/{row.kind}/{row.record_id}",
            row.state,
            row.reason,
            from_micros(row.since),
        )
        for row in db.rows(query)
    ]


def _some(flow: str, state: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Their ids. In the order in which they are due: the index of what waits goes by rank, and a backfill may wait beside."""
    job = t.job.c
    mine = (job.state == state) & (job.rank == RANK["rush"]) & (job.flow == flow)
    return sa.select(job.id).where(mine).order_by(job.due_at).limit(MOST)


def _since() -> sa.ColumnElement[int]:
    """One that was carried is wanted again since its record changed; where that did not, since it was first tried again, or,
    untried, since it was made due.
    """
    job, record, attempt = t.job.c, t.record.c, t.attempt.c
    its = attempt.job_id == job.id
    ended = sa.func.coalesce(
        sa.select(sa.func.max(attempt.ended_at))
        .where(its, attempt.outcome.in_(("settled", "skipped")))
        .correlate(t.job)
        .scalar_subquery(),
        0,
    )
    tried = sa.select(sa.func.min(attempt.started_at)).where(its, attempt.started_at >= ended)
    again = sa.func.coalesce(tried.correlate(t.job).scalar_subquery(), job.updated_at)
    return sa.case((job.done == 0, job.created_at), (record.updated_at > ended, record.updated_at), else_=again)
