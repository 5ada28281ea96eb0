"""`/workers`: how much waits in each queue, who is at work, and what each of them does now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from ledger import Ledger
from ledger.gauges import Gauges
from ledger.processes import Done, ProcessView, Work
from web.dashboard.common import Seeing, context_of
from web.pages import EXACTLY, page

router = APIRouter()

CARRIERS: Final = frozenset({"up", "worker"})
"""Roles that carry out jobs."""
BEHIND: Final = 5.0
"""Seconds that a process's rounds may be behind before anybody should look."""


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue. `oldest`: seconds since the longest waiting job is due; `depth` and `running` are counted up to EXACTLY."""

    name: str
    depth: int
    oldest: float
    running: int
    per_minute: int


@dataclass(frozen=True, slots=True)
class ProcessLine:
    """One process, and the jobs that its threads are at."""

    process: ProcessView
    jobs: Sequence[Work]

    @property
    def idle(self) -> int:
        """Threads that wait for work."""
        return max(self.process.threads - len(self.jobs), 0)

    @property
    def behind(self) -> bool:
        """Its rounds are late: it has too much to do, or the ledger is slow."""
        return self.process.lag > BEHIND


@router.get("/workers")
def workers(request: Request, _person: Seeing) -> Response:
    """Queues and processes."""
    books = context_of(request).ledger
    running, done = books.processes.at_work(), books.processes.done()
    everybody = books.processes.all()
    here = [one for one in everybody if not one.gone]
    return page(
        request,
        "workers.html",
        queues=queues(books, running, done),
        capped=done.capped,
        lines=[ProcessLine(one, [job for job in running if job.process == one.id]) for one in everybody],
        strays=[job for job in running if job.process not in {one.id for one in everybody}],
        nobody=missing(everybody),
        versions=sorted({one.version for one in here}),
        tick=any(not one.broker for one in here if one.role in CARRIERS),
    )


def queues(books: Ledger, running: Sequence[Work], done: Done) -> list[QueueLine]:
    """Every queue, also the empty ones."""
    at_it = Counter(job.queue for job in running)
    return [
        QueueLine(one.name, one.depth, one.oldest, at_it[one.name], done.per_minute.get(one.name, 0))
        for one in Gauges(books.db, most=EXACTLY + 1).queues()
    ]


def missing(everybody: Sequence[ProcessView]) -> bool:
    """Processes have told of themselves, and none of those that carry out jobs is there any more (pure)."""
    return bool(everybody) and not any(one.role in CARRIERS and not one.gone for one in everybody)
