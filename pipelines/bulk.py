"""Retry or skip many jobs, a few at a time: previewed, named, counted, stoppable; whichever process is first goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import sqlalchemy as sa

from core.money import show
from ledger import Ledger
from ledger import tables as t
from ledger.problems import fingerprint
from ledger.runs import Item, RunView
from ledger.search import Member, money_of

What = Literal["retry", "skip"]
KINDS: Final[tuple[What, ...]] = ("retry", "skip")
SCHEDULE: Final = "bulk"
EVERY: Final = 2.0
CHUNK: Final = 100
"""Jobs of one round."""
AHEAD: Final = 200
"""While so many jobs are due already, no more are retried: orders that come in meanwhile must not queue behind them."""
MOST: Final = 10_000
"""Jobs of one bulk action."""
_PLANNED: Final = "planned"
_DONE: Final[Mapping[str, str]] = {"retry": "retried", "skip": "skipped"}


def begin(
    ledger: Ledger,
    name: str,
    members: Sequence[Member],
    *,
    by: str,
    flow: str = "",
    what: What = "retry",
    problem: str = "",
    reason: str = "",
) -> RunView:
    """A bulk action over these jobs as they are now; nothing is done yet. `problem`: the fingerprint of what they have in
    common; `reason`: why they are skipped.
    """
    kept = members[:MOST]
    amounts = [show(amount, currency) for currency, amount in sorted(money_of(kept).items())]
    options = {"name": name[:200], "jobs": len(kept), "amounts": amounts}
    options |= {key: value for key, value in (("problem", problem), ("reason", reason)) if value}
    run = ledger.runs.begin(what, flow[:32], options, by=by)
    items = [Item(f"{one.id:015d}", _PLANNED, one.number, one.amount, one.currency) for one in kept]
    ledger.runs.put(run.id, items)
    return run


def go_on(ledger: Ledger) -> int:
    """One round of every bulk action that is not done. How many jobs were changed."""
    found = [run for what in KINDS for run in ledger.runs.list(kind=what, limit=20) if run.state == "running"]
    return sum(advance(ledger, run.id) for run in sorted(found, key=lambda run: run.id))


def advance(ledger: Ledger, run_id: int) -> int:
    """One round of a bulk action. How many jobs were changed."""
    run = ledger.runs.get(run_id)
    if run is None or run.state != "running" or (run.kind == "retry" and _crowded(ledger)):
        return 0
    page = ledger.runs.items(run_id, after=run.cursor, limit=CHUNK)
    changed = _CHANGES[run.kind]
    done = [item for item in page if changed(ledger, run, int(item.key))]
    word = _DONE[run.kind]
    counts = {
        word: int(run.counts.get(word, 0)) + len(done),
        "left_alone": int(run.counts.get("left_alone", 0)) + len(page) - len(done),
    }
    if page:
        ledger.runs.progress(run_id, cursor=page[-1].key, counts=counts)
    if len(page) < CHUNK:
        _end(ledger, run_id, counts)
    return len(done)


def done(run: RunView) -> int:
    """Jobs that this bulk action has changed."""
    return int(run.counts.get(_DONE.get(run.kind, ""), 0))


def _retried(ledger: Ledger, _run: RunView, job_id: int) -> bool:
    """What settled, was skipped, or runs meanwhile is left alone."""
    job = ledger.jobs.get(job_id)
    return job is not None and job.state in {"held", "waiting"} and ledger.jobs.retry(job_id)


def _skipped(ledger: Ledger, run: RunView, job_id: int) -> bool:
    """Only what still has the very problem, and only as it was looked at: no try and no newer order is lost."""
    job = ledger.jobs.get(job_id)
    if job is None or not (job.state == "held" or (job.state == "waiting" and job.error_class)):
        return False
    if fingerprint(job.flow, job.target, job.error_class, job.reason) != run.options.get("problem"):
        return False
    why = f"{run.options.get('reason', '')} (skipped by {run.by}, bulk action {run.id})"
    return ledger.care.skip_as_seen(job_id, job.updated_at, why)


_CHANGES: Final[Mapping[str, Callable[[Ledger, RunView, int], bool]]] = {"retry": _retried, "skip": _skipped}


def _end(ledger: Ledger, run_id: int, counts: Mapping[str, int]) -> None:
    run = ledger.runs.get(run_id)
    if run is not None and run.state == "running":  # nobody stopped it in its last round
        word = _DONE[run.kind]
        left = f", {counts['left_alone']} had moved on by themselves" if counts["left_alone"] else ""
        ledger.runs.end(run_id, "done", f"{counts[word]} jobs {word}{left}.")


def stop(ledger: Ledger, run: RunView) -> bool:
    """No further round. False when it had ended."""
    if run.state != "running":
        return False
    ledger.runs.end(run.id, "stopped", f"Stopped after {done(run)} jobs.")
    return True


def _crowded(ledger: Ledger) -> bool:
    due = (
        sa.select(sa.literal(1).label("one"))
        .where(t.job.c.state == "waiting", t.job.c.rank == 0, t.job.c.due_at <= ledger.db.now)
        .limit(AHEAD)
        .subquery()
    )
    return int(ledger.db.rows(sa.select(sa.func.count().label("n")).select_from(due))[0].n) >= AHEAD
