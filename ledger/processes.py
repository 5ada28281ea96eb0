"""Which processes are at work and what each is at: they tell it themselves, a row each, every few seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros
from ledger import tables as t
from ledger.database import SECOND, Database

SILENT: Final = 60.0
"""Seconds after which a process that tells nothing is taken for gone."""
KEPT: Final = 86_400.0
"""Seconds that it is remembered."""
CLEANED: Final = 3600.0
"""Seconds between two rounds of forgetting."""
NEWEST: Final = 5_000
"""Attempts that are looked through for what was done of late."""
SHOWN: Final = 500
"""Running jobs that are told one by one."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process tells of itself. `role`: up, web or worker; `broker`: "" none is configured, up, away; `lag`: seconds
    that its rounds are behind; `working`: schedules that it is running.
    """

    id: str
    role: str
    version: str
    threads: int
    broker: str = ""
    lag: float = 0.0
    working: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProcessView:
    """A process as it told of itself last. `silent`: seconds since then."""

    id: str
    host: str
    pid: int
    role: str
    version: str
    threads: int
    broker: str
    lag: float
    working: Sequence[str]
    started_at: datetime
    seen_at: datetime
    silent: float

    @property
    def gone(self) -> bool:
        """It was not seen for so long that it is dead, or hangs."""
        return self.silent > SILENT


@dataclass(frozen=True, slots=True)
class Work:
    """A job that runs now, and which thread of which process has it."""

    job: int
    number: str
    key: str
    flow: str
    queue: str
    worker: str
    since: datetime

    @property
    def process(self) -> str:
        """The process of that thread."""
        return process_of(self.worker)


@dataclass(frozen=True, slots=True)
class Done:
    """Attempts that ended within the last minute, by queue. `capped`: there were more than are looked through."""

    per_minute: Mapping[str, int]
    capped: bool


class Processes:
    """Tell, leave, look."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._cleaned = float("-inf")

    def beat(self, beat: Beat) -> None:
        """This process is there. One small row, written anew."""
        host, _, rest = beat.id.partition(":")
        pid = rest.partition(":")[0]
        told = {
            "version": beat.version[:40],
            "threads": beat.threads,
            "broker": beat.broker,
            "lag": int(min(beat.lag, 86_400.0) * 1000),
            "working": json.dumps(list(beat.working)),
            "seen_at": self.db.now,
        }
        fixed = {
            "id": beat.id,
            "host": host[:60],
            "pid": int(pid) if pid.isdecimal() else 0,
            "role": beat.role,
            "started_at": self.db.now,
        }
        insert = self.db.insert(t.process).values(**fixed, **told)
        self.db.execute(insert.on_conflict_do_update(index_elements=["id"], set_=told))
        if time.monotonic() - self._cleaned > CLEANED:
            self._cleaned = time.monotonic()
            self.db.execute(sa.delete(t.process).where(t.process.c.seen_at < self.db.now - int(KEPT * SECOND)))

    def leave(self, process: str) -> None:
        """It ended in good order: nobody has to look for it."""
        self.db.execute(sa.delete(t.process).where(t.process.c.id == process))

    def all(self) -> list[ProcessView]:
        """Those that were seen within a day, in the order of their names."""
        now = self.db.micros()
        query = sa.select(t.process).where(t.process.c.seen_at >= now - int(KEPT * SECOND)).order_by(t.process.c.id)
        return [_view(row, now) for row in self.db.rows(query)]

    def at_work(self) -> list[Work]:
        """Jobs that run now, the longest first; at most SHOWN."""
        job = t.job.c
        running: sa.ColumnElement[str] = sa.literal_column("'running'")  # written out: a partial index has these rows
        query = sa.select(t.job).where(job.state == running).order_by(job.started_at).limit(SHOWN)
        return [
            Work(
                job=row.id,
                number=row.number,
                key=f"{row.connection}/{row.kind}/{row.record_id}",
                flow=row.flow,
                queue=row.queue,
                worker=row.worker,
                since=from_micros(row.started_at if row.started_at is not None else row.updated_at),
            )
            for row in self.db.rows(query)
        ]

    def done(self, seconds: float = 60.0) -> Done:
        """What was done in the last minute, from the newest attempts alone."""
        attempt = t.attempt.c
        newest = (
            sa.select(attempt.job_id, attempt.ended_at).order_by(attempt.id.desc()).limit(NEWEST).subquery("newest")
        )
        query = (
            sa.select(t.job.c.queue, sa.func.count().label("number"))
            .select_from(newest.join(t.job, t.job.c.id == newest.c.job_id))
            .where(newest.c.ended_at >= self.db.micros() - int(seconds * SECOND))
            .group_by(t.job.c.queue)
        )
        found = {row.queue: int(row.number) for row in self.db.rows(query)}
        return Done(found, sum(found.values()) >= NEWEST)


def process_of(worker: str) -> str:
    """The process of a claim's worker: `<process>/<thread>` without the thread."""
    return worker.partition("/")[0]


def _view(row: sa.Row[Any], now: int) -> ProcessView:
    return ProcessView(
        id=row.id,
        host=row.host,
        pid=row.pid,
        role=row.role,
        version=row.version,
        threads=row.threads,
        broker=row.broker,
        lag=row.lag / 1000,
        working=tuple(str(name) for name in json.loads(row.working or "[]")),
        started_at=from_micros(row.started_at),
        seen_at=from_micros(row.seen_at),
        silent=max((now - row.seen_at) / SECOND, 0.0),
    )
