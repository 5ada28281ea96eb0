"""Retry many jobs, a few at a time: previewed, named, counted, stoppable; whichever process comes first goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from core.money import show
from ledger import Ledger
from ledger import tables as t
from ledger.runs import Item, RunView
from ledger.search import Member, money_of

KIND: Final = "retry"
SCHEDULE: Final = "bulk"
EVERY: Final = 2.0
CHUNK: Final = 100
"""Jobs that are made due in one round."""
AHEAD: Final = 200
"""While so many jobs are due already, no more are added: orders that come in meanwhile must not queue behind them."""
MOST: Final = 10_000
"""Jobs of one bulk action."""
_PLANNED: Final = "planned"


def begin(ledger: Ledger, name: str, members: Sequence[Member], *, by: str, flow: str = "") -> RunView:
    """A bulk action over these jobs as they are now; nothing is retried yet."""
    kept = members[:MOST]
    amounts = [show(amount, currency) for currency, amount in sorted(money_of(kept).items())]
    options = {"name": name[:200], "jobs": len(kept), "amounts": amounts}
    run = ledger.runs.begin(KIND, flow[:32], options, by=by)
    items = [Item(f"{one.id:015d}", _PLANNED, one.number, one.amount, one.currency) for one in kept]
    ledger.runs.put(run.id, items)
    return run


def go_on(ledger: Ledger) -> int:
    """One round of every bulk action that is not done. How many jobs were retried."""
    running = [run for run in ledger.runs.list(kind=KIND, limit=20) if run.state == "running"]
    return sum(advance(ledger, run.id) for run in reversed(running))


def advance(ledger: Ledger, run_id: int) -> int:
    """One round of a bulk action. How many jobs were retried."""
    run = ledger.runs.get(run_id)
    if run is None or run.state != "running" or _crowded(ledger):
        return 0
    page = ledger.runs.items(run_id, after=run.cursor, limit=CHUNK)
    done = [item for item in page if _retried(ledger, int(item.key))]
    counts = {
        "retried": int(run.counts.get("retried", 0)) + len(done),
        "left_alone": int(run.counts.get("left_alone", 0)) + len(page) - len(done),
    }
    if page:
        ledger.runs.progress(run_id, cursor=page[-1].key, counts=counts)
    if len(page) < CHUNK:
        _end(ledger, run_id, counts)
    return len(done)


def _retried(ledger: Ledger, job_id: int) -> bool:
    """What settled, was skipped, or runs meanwhile is left alone."""
    job = ledger.jobs.get(job_id)
    return job is not None and job.state in {"held", "waiting"} and ledger.jobs.retry(job_id)


def _end(ledger: Ledger, run_id: int, counts: dict[str, int]) -> None:
    run = ledger.runs.get(run_id)
    if run is not None and run.state == "running":  # nobody stopped it in its last round
        left = f", {counts['left_alone']} had moved on by themselves" if counts["left_alone"] else ""
        ledger.runs.end(run_id, "done", f"{counts['retried']} jobs retried{left}.")


def stop(ledger: Ledger, run: RunView) -> bool:
    """No further round. False when it had ended."""
    if run.state != "running":
        return False
    ledger.runs.end(run.id, "stopped", f"Stopped after {int(run.counts.get('retried', 0))} jobs.")
    return True


def _crowded(ledger: Ledger) -> bool:
    due = (
        sa.select(sa.literal(1).label("one"))
        .where(t.job.c.state == "waiting", t.job.c.rank == 0, t.job.c.due_at <= ledger.db.now)
        .limit(AHEAD)
        .subquery()
    )
    return int(ledger.db.rows(sa.select(sa.func.count().label("n")).select_from(due))[0].n) >= AHEAD
