"""The jobs that a run has woken, marked by their correlation: counted, looked at, and found again with what they created.

The mark is the correlation of whatever wanted the job last, so a live change of the same record takes it away: what follows
is the live flow's again. Every attempt keeps the mark under which it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from core.keys import Change, Key
from ledger import tables as t
from ledger.database import Database
from ledger.flows import REHEARSED
from ledger.inbox import RANK, Route
from ledger.runs import UNDONE, mark
from ledger.statements import any_of

CHUNK: Final = 300
UNDONE_CLASS: Final = f"rule {UNDONE}"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How the job of a record stands."""

    id: int
    state: str
    error_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """A link whose record was created by a job of a run. `seconds`: from our mark before the creation to the end of our last
    attempt that wrote (for a customer: of the attempt that created); by our own clock.
    """

    link_id: int
    kind: str
    key: str
    remote_id: str
    number: str
    refs: Mapping[str, str]
    job_id: int
    sent_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Left:
    """A job of a run that has not ended. `doubt`: one of its creations is under way, its fate unknown."""

    id: int
    key: str
    state: str
    doubt: bool


class RunJobs:
    """Over the ledger's database; holds nothing of its own."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # -- waking ----------------------------------------------------------------------------------------------------

    def want(self, run_id: int, route: Route, changes: Sequence[Change]) -> None:
        """Wake (or make) the job of records that are known already, behind everything live and marked with the run."""
        insert = self.db.insert(t.job)
        going = t.job.c.state == "running"
        fresh: dict[str, Any] = {
            "state": "waiting",
            "due_at": self.db.now,
            "queue": route.queue,
            "rank": RANK[route.queue],
            "failures": 0,
            "reason": "",
            "error_class": "",
        }
        kept = {name: sa.case((going, t.job.c[name]), else_=value) for name, value in fresh.items()}
        wake = insert.on_conflict_do_update(
            index_elements=["flow", "connection", "kind", "record_id"],
            set_={
                **kept,
                "wanted": t.job.c.wanted + 1,
                "waiting_for": None,
                "correlation": insert.excluded.correlation,
                "updated_at": self.db.now,
            },
        )

        def work(connection: Connection) -> None:
            for change in sorted(changes, key=lambda one: one.key):
                key = change.key
                named = {"flow": route.flow, "connection": key.connection, "kind": key.kind, "record_id": key.id}
                times = {"created_at": self.db.now, "updated_at": self.db.now}
                own = {"target": route.target, "number": change.number, "correlation": mark(run_id)}
                connection.execute(wake.values(**named, **own, **fresh, **times))

        self.db.transact(work)

    # -- counting --------------------------------------------------------------------------------------------------

    def ahead(self, flow: str) -> int:
        """Backfill jobs of a flow that are still to be carried out (those that are only rehearsed wait for people)."""
        return self._count(t.job.c.flow == flow, t.job.c.rank == RANK["backfill"])

    def pending(self, run_id: int) -> int:
        """Jobs of this run that are still to be carried out."""
        return self._count(t.job.c.correlation == mark(run_id))

    def _count(self, *which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).where(
            *which, t.job.c.state.in_(("waiting", "running")), t.job.c.error_class != REHEARSED
        )
        return int(self.db.rows(query)[0][0])

    # -- looking ---------------------------------------------------------------------------------------------------

    def of_keys(self, flow: str, keys: Sequence[str]) -> dict[str, JobEnd]:
        """The jobs of these records (`shop/order/1001`), as they stand now."""
        found: dict[str, JobEnd] = {}
        columns = (t.job.c.connection, t.job.c.kind, t.job.c.record_id)
        for start in range(0, len(keys), CHUNK):
            parsed = [Key.parse(key) for key in keys[start : start + CHUNK]]
            query = sa.select(*columns, t.job.c.id, t.job.c.state, t.job.c.error_class, t.job.c.reason).where(
                t.job.c.flow == flow, any_of(columns, [(key.connection, key.kind, key.id) for key in parsed])
            )
            for row in self.db.rows(query):
                key = str(Key(row.connection, row.kind, row.record_id))
                found[key] = JobEnd(row.id, row.state, row.error_class, row.reason)
        return found

    def left(self, run_id: int) -> list[Left]:
        """Jobs of this run that have not ended, or are held."""
        doubt = sa.select(t.link.c.id).where(t.link.c.job_id == t.job.c.id, t.link.c.state == "sent").exists()
        query = sa.select(t.job, doubt.label("doubt")).where(
            t.job.c.correlation == mark(run_id), t.job.c.state.in_(("waiting", "running", "held"))
        )
        return [
            Left(row.id, str(Key(row.connection, row.kind, row.record_id)), row.state, bool(row.doubt))
            for row in self.db.rows(query)
        ]

    # -- what was created ------------------------------------------------------------------------------------------

    def created(self, run_id: int) -> list[Made]:
        """Links whose creation was sent in an attempt of this run, oldest first.

        `sent_at` is the mark that precedes a creation and is taken back where it was certainly refused, so it also tells of
        those whose answer was lost and that were found afterwards.
        """
        query = (
            sa.select(t.link, t.attempt.c.ended_at)
            .join(
                t.attempt,
                (t.attempt.c.job_id == t.link.c.job_id)
                & (t.attempt.c.started_at <= t.link.c.sent_at)
                & (t.attempt.c.ended_at >= t.link.c.sent_at),
            )
            .where(t.attempt.c.correlation == mark(run_id), t.link.c.state == "linked", t.link.c.origin != "adopted")
            .order_by(t.link.c.id)
        )
        rows = {row.id: row for row in self.db.rows(query)}
        wrote = self._wrote(sorted({row.job_id for row in rows.values() if row.kind != "customer"}))
        return [_made(row, wrote.get(row.job_id, row.ended_at)) for row in rows.values()]

    def _wrote(self, job_ids: Sequence[int]) -> dict[int, int]:
        """When the last attempt of each job that wrote something (or died, and may have) was over."""
        found: dict[int, int] = {}
        attempt = t.attempt.c
        for start in range(0, len(job_ids), CHUNK):
            query = sa.select(attempt.job_id, attempt.ended_at, attempt.outcome, attempt.calls)
            for row in self.db.rows(query.where(attempt.job_id.in_(job_ids[start : start + CHUNK]))):
                calls = json.loads(row.calls) if row.calls else []
                if row.outcome == "crashed" or any(call.get("write") for call in calls):
                    found[row.job_id] = max(found.get(row.job_id, 0), row.ended_at)
        return found

    # -- forgetting ------------------------------------------------------------------------------------------------

    def set_aside(self, run_id: int, keys: Sequence[str], job_ids: Sequence[int], reason: str) -> None:
        """The run's orders that are not there: noted as undone, their jobs skipped. One that runs right now is left to end;
        whatever wakes it later finds the note.
        """
        self.db.transact(lambda connection: self._undone(connection, run_id, keys, job_ids, reason))

    def forget(self, run_id: int, made: Sequence[Made], keys: Sequence[str], reason: str) -> None:
        """What was created is gone over there: links, the run's items and jobs, in one transaction. `keys`: orders."""
        ids = [one.link_id for one in made]
        jobs = sorted({one.job_id for one in made}) if keys else []

        def work(connection: Connection) -> None:
            connection.execute(sa.delete(t.link).where(t.link.c.id.in_(ids)))
            self._undone(connection, run_id, keys, jobs, reason)

        self.db.transact(work)

    def forget_links(self, link_ids: Sequence[int]) -> None:
        """Links to a record that is gone."""
        self.db.execute(sa.delete(t.link).where(t.link.c.id.in_(list(link_ids))))

    def _undone(
        self, connection: Connection, run_id: int, keys: Sequence[str], job_ids: Sequence[int], reason: str
    ) -> None:
        now = self.db.now
        item, job = t.run_item, t.job
        connection.execute(
            sa.update(item)
            .where(item.c.run_id == run_id, item.c.key.in_(list(keys)))
            .values(verdict=UNDONE, reason=reason, updated_at=now)
        )
        connection.execute(
            sa.update(job)
            .where(job.c.id.in_(list(job_ids)), job.c.state != "running")
            .values(
                state="skipped",
                # Whoever runs it again, even by hand, is asked whether it was taken back.
                wanted=job.c.wanted + 1,
                done=job.c.wanted + 1,
                reason=reason,
                error_class=UNDONE_CLASS,
                waiting_for=None,
                failures=0,
                updated_at=now,
            )
        )


def _made(row: Row[Any], wrote_at: int) -> Made:
    return Made(
        link_id=row.id,
        kind=row.kind,
        key=row.key,
        remote_id=row.remote_id,
        number=row.remote_number,
        refs=json.loads(row.refs) if row.refs else {},
        job_id=row.job_id,
        sent_at=from_micros(row.sent_at),
        seconds=max(wrote_at - row.sent_at, 0) / 1_000_000,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How many orders of a run have this verdict and this end, and how much money that is. `state` is "" where there is no
    job (yet); `reason` is one of them as an example.
    """

    verdict: str
    state: str
    error_class: str
    currency: str
    count: int
    amount: Decimal
    reason: str
    number: str


def ends(rows: Iterator[tuple[Any, JobEnd | None]]) -> list[Ended]:
    """Items and their jobs added up exactly (pure)."""
    found: dict[tuple[str, str, str, str], Ended] = {}
    for item, job in rows:
        state, error_class = (job.state, job.error_class) if job else ("", "")
        kind = (item.verdict, state, error_class, item.currency)
        before = found.get(kind)
        found[kind] = Ended(
            *kind,
            count=(before.count if before else 0) + 1,
            amount=(before.amount if before else Decimal(0)) + Decimal(item.amount or 0),
            reason=before.reason if before else (job.reason if job else item.reason),
            number=before.number if before else item.number,
        )
    return [found[kind] for kind in sorted(found)]
