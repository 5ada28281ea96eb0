"""Carries out the runs that somebody asked for on a page: a rehearsal, a backfill, an undoing, and the looks before them.

Whichever process comes first does it, one run after the other, beside its jobs and never within a request. What only reads
does not wait for what writes. A process that ends gives its run back; one that died leaves it to whoever comes next. An outage
is waited for. Runs that a command begins are the command's own, until somebody presses "go on".
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.clock import parse_utc
from core.errors import OrderwireError, RetryLater
from core.settings import FlowSettings
from ledger import Ledger
from ledger.runjobs import Ended
from ledger.runs import CARRIED, RATE, Lost, RunKind, RunView
from pipelines import backfill, reassign, rehearse, undo
from pipelines.backfill import Wanted
from pipelines.context import Context
from pipelines.rehearse import Span

log = structlog.get_logger(__name__)

READING: Final = "carry/reading"
WRITING: Final = "carry/writing"
KINDS: Final[Mapping[str, tuple[RunKind, ...]]] = {
    READING: ("rehearse", "survey", "preview", "plan"),
    WRITING: ("backfill", "undo", "reassign", "restore"),
}
"""By schedule."""
EVERY: Final = 20.0
"""Whoever queues a run makes its schedule due at once."""
AGAIN: Final = timedelta(seconds=60)
"""A run that met an outage is gone on with after it."""
_ADVICE: Final = " What to do:"


class Leaving(OrderwireError):
    """This process ends; another one goes on."""

    error_class = "leaving"


def schedule_of(kind: str) -> str:
    """Which schedule carries runs of this kind; "" for none."""
    return next((name for name, kinds in KINDS.items() if kind in kinds), "")


def go_on(context: Context, schedule: str, stopping: Callable[[], bool] = lambda: False) -> int:
    """Carry out what is due of this schedule's kinds. How many runs were worked at."""
    count = 0
    while not stopping() and (run := _due(context.ledger, KINDS[schedule])) is not None:
        _carry(context, run, stopping)
        count += 1
    return count


def _due(ledger: Ledger, kinds: Sequence[str]) -> RunView | None:
    now = ledger.clock.now()
    return next((run for run in ledger.runs.going(kinds) if _is_due(run, now - run.updated_at)), None)


def _is_due(run: RunView, rested: timedelta) -> bool:
    if run.state == "running":
        return bool(run.options.get(CARRIED))  # whoever carried it is gone: it would hold the schedule
    return not run.summary or rested >= AGAIN


def _carry(context: Context, run: RunView, stopping: Callable[[], bool]) -> None:
    runs = context.ledger.runs
    if not runs.take(run.id):
        return
    try:
        _WORK[run.kind](_Work(context, run, stopping))
    except Lost:
        log.info("a run was ended while it was carried out", run=run.id, kind=run.kind)
    except Leaving:
        runs.give_back(run.id)
    except RetryLater as error:  # an outage: it goes on by itself
        runs.give_back(run.id, f"{error.message.partition(_ADVICE)[0]} It is tried again by itself.")
    except OrderwireError as error:
        runs.end(run.id, "stopped", error.message)
    except (DBAPIError, PoolTimeoutError):
        raise  # the ledger is away: it stays as it is, and is due again
    except Exception:
        log.exception("a run failed by a bug of ours", run=run.id, kind=run.kind)
        what = "What to do: report it with the run's number; what was done so far is kept."
        runs.end(run.id, "failed", f"Orderwire stumbled over this run. {what}")


@dataclass(slots=True)
class _Work:
    """One run that is being carried out."""

    context: Context
    run: RunView
    stopping: Callable[[], bool]
    _quiet: threading.Event = field(default_factory=threading.Event)
    """Nobody sets it: waiting for it is a rest that the next look at `stopping` ends."""

    @property
    def flow(self) -> FlowSettings:
        return self.context.flow(self.run.flow)

    def watch(self, _done: int, _total: int | None) -> None:
        """Told of progress; raises where the work is to end: first of all where somebody has ended it."""
        self.context.ledger.runs.require_ours(self.run)
        self._leave()

    def count(self, done: int, total: int | None) -> None:
        """The same, and written down."""
        self.watch(done, total)
        self.context.ledger.runs.progress(self.run.id, counts={"orders": done, "total": total})

    def rest(self, seconds: float) -> None:
        """Wait, as long as this process lives."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._leave()
            self._quiet.wait(min(left, 0.5))

    def end(self, summary: str, counts: Mapping[str, Any]) -> None:
        """It came to its end."""
        self.context.ledger.runs.progress(self.run.id, counts=counts)
        self.context.ledger.runs.end(self.run.id, "done", summary)

    def _leave(self) -> None:
        if self.stopping():
            raise Leaving("This process ends. What to do: nothing, another one goes on.")


def wanted_of(options: Mapping[str, Any]) -> Wanted:
    """What a backfill, or the look before it, was asked for."""
    until = str(options.get("until") or "")
    return Wanted(
        parse_utc(str(options["since"])),
        parse_utc(until) if until else None,
        create=bool(options.get("create")),
        invoices=bool(options.get("invoices")),
        rate=float(options.get(RATE) or 0),
    )


def facts_of(found: Sequence[Ended]) -> list[dict[str, Any]]:
    """A look before a backfill as its run keeps it; amounts are exact text."""
    return [
        {"verdict": one.verdict, "count": one.count, "amount": str(one.amount), "currency": one.currency}
        for one in found
    ]


def _rehearse(work: _Work) -> None:
    options = work.run.options
    since, until = (parse_utc(str(options[name])) for name in ("since", "until"))
    span = Span(since, until, int(options.get("last") or 0))
    rehearse.rehearse(work.context, work.flow, span, run=work.run, progress=work.watch, pause=work.rest)


def _survey(work: _Work) -> None:
    found = backfill.survey(work.context, work.flow, wanted_of(work.run.options), progress=work.count)
    orders = sum(one.count for one in found)
    work.end("", {"orders": orders, "total": orders, "found": facts_of(found)})


def _backfill(work: _Work) -> None:
    wanted = wanted_of(work.run.options)
    backfill.require_ready(work.context, work.flow, wanted)
    backfill.backfill(work.context, work.flow, wanted, run=work.run, progress=work.watch, pause=work.rest)


def _preview(work: _Work) -> None:
    run, flow = undo.of_run(work.context, int(work.run.options["run"]))
    _, items = undo.undo(work.context, run, flow, dry_run=True, progress=work.count, pause=work.rest)
    work.context.ledger.runs.put(work.run.id, items)
    work.end("", {"total": len(items), **Counter(item.verdict for item in items)})


def _undo(work: _Work) -> None:
    run, flow = undo.of_run(work.context, int(work.run.options["run"]))
    undo.undo(work.context, run, flow, own=work.run, progress=work.count, pause=work.rest)


def _plan(work: _Work) -> None:
    flow, wanted = work.context.rep_flow(work.run.flow), reassign.wanted_of(work.run.options)
    items = reassign.look(work.context, flow, wanted, progress=work.count)
    work.context.ledger.runs.put(work.run.id, items)
    orders = sum(int(item.facts.get("orders", 0)) for item in items)
    counts = {"orders": len(items), "total": len(items), "open_orders": orders}
    work.end(reassign.summary(items, wanted), counts)


def _reassign(work: _Work) -> None:
    flow, wanted = work.context.rep_flow(work.run.flow), reassign.wanted_of(work.run.options)
    items = reassign.reassign(work.context, flow, wanted, work.run, by=work.run.by, progress=work.count)
    work.context.ledger.runs.put(work.run.id, items)
    work.end(reassign.summary(items, wanted), {"orders": len(items), "total": len(items)})


def _restore(work: _Work) -> None:
    run, flow = reassign.of_run(work.context, int(work.run.options["run"]))
    items = reassign.take_back_run(work.context, flow, run, work.run, progress=work.count)
    work.context.ledger.runs.put(work.run.id, items)
    work.end(f"Run {run.id} is taken back.", {"orders": len(items), "total": len(items)})


_WORK: Final[Mapping[str, Callable[[_Work], None]]] = {
    "rehearse": _rehearse,
    "survey": _survey,
    "backfill": _backfill,
    "preview": _preview,
    "undo": _undo,
    "plan": _plan,
    "reassign": _reassign,
    "restore": _restore,
}
