"""Retry or skip many jobs, a few at a time: previewed, named, counted, stoppable; whichever process is first goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

from core.clock import from_micros
from core.money import show
from ledger import Ledger
from ledger.problems import fingerprint
from ledger.runs import GOING, Item, RunView
from ledger.search import Member, money_of

What = Literal["retry", "skip"]
KINDS: Final[tuple[What, ...]] = ("retry", "skip")
SCHEDULE: Final = "bulk"
EVERY: Final = 2.0
CHUNK: Final = 100
"""Jobs of one round."""
AHEAD: Final = 200
"""While so many jobs can be carried out already, no more are retried: orders that come in meanwhile must not queue behind
them."""
BEGINS_WITHIN: Final = timedelta(minutes=5)
"""Whoever begins a bulk action has put down its jobs by then, or has died."""
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
    """A bulk action over these jobs as they are now; nothing is done before `start`. `problem`: the fingerprint of what they
    have in common; `reason`: why they are skipped.
    """
    kept = members[:MOST]
    amounts = [show(amount, currency) for currency, amount in sorted(money_of(kept).items())]
    options = {"name": name[:200], "jobs": len(kept), "amounts": amounts}
    options |= {key: value for key, value in (("problem", problem), ("reason", reason)) if value}
    run = ledger.runs.begin(what, flow[:32], options, by=by, state="queued")
    items = [Item(f"{one.id:015d}", _PLANNED, one.number, one.amount, one.currency) for one in kept]
    ledger.runs.put(run.id, items)
    return run


def start(ledger: Ledger, run_id: int) -> int:
    """Its first round, by whoever has begun it: nobody else advances it before it runs. How many jobs were changed."""
    run = ledger.runs.get(run_id)
    if run is None or run.state != "queued":
        return 0
    done, over = _round(ledger, run)
    if ledger.runs.take(run_id) and over:
        _end(ledger, run_id)
    return done


def go_on(ledger: Ledger) -> int:
    """One round of every bulk action that is not done. How many jobs were changed."""
    going, now = ledger.runs.going(KINDS), from_micros(ledger.db.micros())
    for run in going:
        if run.state == "queued" and now - run.updated_at > BEGINS_WITHIN:
            ledger.runs.end(
                run.id, "stopped", "Whoever began it died. What to do: begin it again.", whatever=("queued",)
            )
    return sum(advance(ledger, run.id) for run in going)


def advance(ledger: Ledger, run_id: int) -> int:
    """One round of a bulk action that runs. How many jobs were changed."""
    run = ledger.runs.get(run_id)
    if run is None or run.state != "running":
        return 0
    done, over = _round(ledger, run)
    if over:
        _end(ledger, run_id)
    return done


def _round(ledger: Ledger, run: RunView) -> tuple[int, bool]:
    """How many jobs were changed, and whether none are left."""
    if run.kind == "retry" and ledger.jobs.crowd(AHEAD) >= AHEAD:
        return 0, False
    page = ledger.runs.items(run.id, after=run.cursor, limit=CHUNK)
    changed = _CHANGES[run.kind]
    done = [item for item in page if changed(ledger, run, int(item.key))]
    word = _DONE[run.kind]
    counts = {
        word: int(run.counts.get(word, 0)) + len(done),
        "left_alone": int(run.counts.get("left_alone", 0)) + len(page) - len(done),
    }
    ours = not page or ledger.runs.progress(run.id, cursor=page[-1].key, counts=counts, after=run.cursor)
    return len(done), ours and len(page) < CHUNK


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


def _end(ledger: Ledger, run_id: int) -> None:
    """Unless somebody stopped it in its last round."""
    run = ledger.runs.get(run_id)
    if run is not None:
        alone = int(run.counts.get("left_alone", 0))
        left = f", {alone} had moved on by themselves" if alone else ""
        ledger.runs.end(run_id, "done", f"{done(run)} jobs {_DONE[run.kind]}{left}.")


def stop(ledger: Ledger, run: RunView) -> bool:
    """No further round. False when it had ended."""
    return ledger.runs.end(run.id, "stopped", f"Stopped after {done(run)} jobs.", whatever=GOING)
