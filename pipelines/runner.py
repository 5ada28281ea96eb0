"""Carries one claimed job: load the newest state, map it, follow the recipe, settle the outcome."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any, Final

import structlog
import tenacity
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from connectors.http import guarded
from connectors.roles import SALE, Store
from connectors.roles.looking import Readable
from core.emails import email_mark
from core.errors import Held, LeaseLost, NotLive, NotThere, OrderwireError, RetryLater, Skipped
from ledger.inbox import Record
from ledger.invoices import KIND as INVOICE
from ledger.jobs import Claim, Outcome, State
from ledger.messages import KIND as MAIL
from ledger.requests import KIND as REQUEST
from ledger.watches import KIND as PROMISE
from mapping.canonical import SalesOrder
from pipelines import (
    erpinvoices,
    erppromises,
    latecomers,
    mailing,
    measures,
    orders,
    publishing,
    reps,
    requests,
    standing,
)
from pipelines.context import Context
from pipelines.explaining import parsed
from pipelines.health import Health
from pipelines.leases import Leases
from pipelines.mailing import MailRun
from pipelines.rehearsal import Rehearsal
from pipelines.reprun import RepRun
from pipelines.run import Attempt, Run

log = structlog.get_logger(__name__)

FIRST_WAIT: Final = 5.0
LONGEST_WAIT: Final = 3600.0
SETTLE_WITHIN: Final = 15.0
_REP_RECIPES: Final[Mapping[str, Callable[[RepRun], Outcome]]] = {
    publishing.CARD: publishing.publish_card,
    publishing.FILES: publishing.publish_files,
    REQUEST: requests.carry,
}
"""By the kind of the job's record; what an ERP tells is carried by `reps`."""
_RECIPES: Final[Mapping[str, Callable[[Run], Outcome]]] = {
    PROMISE: latecomers.carry,
    INVOICE: erpinvoices.carry,
    SALE: erppromises.carry,
}
"""By the kind of the job's record, in a flow of orders; every other record is an order."""


class Runner:
    """Runs jobs, one at a time in each thread that calls it."""

    def __init__(self, context: Context, leases: Leases | None = None) -> None:
        self.context = context
        self.leases = leases or Leases(context.ledger.jobs)
        self.health = Health(context.ledger.states)

    def run(self, claim: Claim) -> str:
        """Carry the job out and settle it. Its state afterwards ("" when it was somebody else's by then)."""
        with structlog.contextvars.bound_contextvars(
            correlation=claim.correlation, job=claim.id, record=str(claim.key)
        ):
            outcome, order = self._attempt(claim)
            state = self._settled(claim, outcome)
            log.info("job ended", state=state or "lost", outcome=outcome.kind, error_class=outcome.error_class)
            measures.job_ended(self.context, claim, outcome.kind if state else "lost", order)
        return state or ""

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((DBAPIError, PoolTimeoutError)),
        stop=tenacity.stop_after_delay(SETTLE_WITHIN),
        wait=tenacity.wait_random_exponential(0.1, max=2.0),
        reraise=True,
    )
    def _settled(self, claim: Claim, outcome: Outcome) -> State | None:
        """What was done is worth some patience with a database that is restarting; settling twice is harmless."""
        return self.context.ledger.jobs.settle(claim, outcome, max_failures=self.context.max_failures)

    def _attempt(self, claim: Claim) -> tuple[Outcome, SalesOrder | None]:
        """What came of it, and the order where it could be read."""
        run: Attempt | None = None
        failed = ""
        try:
            run = self._begin(claim)
            with self._called_by(run), self.leases.watch(run):
                outcome = self._converge(run)
        except OrderwireError as error:
            outcome = self._of_error(claim, error)
            failed = error.connection if isinstance(error, RetryLater) else ""
        except (DBAPIError, PoolTimeoutError) as error:
            outcome = Outcome(
                "retry",
                "The database went away while this job ran. What to do: nothing, it runs again by itself.",
                error_class="ledger away",
                detail=type(error).__name__,
                seconds=2.0,
                burns=False,
            )
        except Exception as error:
            log.exception("job failed by a bug of ours")
            outcome = Outcome(
                "retry",
                "Orderwire stumbled over this order. What to do: nothing yet; if it stays, report it with the job's number.",
                error_class="our bug",
                detail=f"{type(error).__name__} in {_where(error)}",
                seconds=backoff(claim.failures),
            )
        if run is None:
            return outcome, None
        self._tell_health(run, failed)
        outcome = replace(outcome, warnings=tuple(run.warnings), calls=[_call(call) for call in map(asdict, run.calls)])
        return _named(outcome, run), run.order

    def _begin(self, claim: Claim) -> Attempt:
        if claim.key.kind == MAIL:
            return MailRun(self.context, claim)
        if claim.flow in self.context.reps:
            return RepRun(self.context, claim)
        live = self.context.ledger.flows.get(claim.flow).live
        return Run(self.context, claim) if live else Rehearsal(self.context, claim)

    def _called_by(self, run: Attempt) -> AbstractContextManager[None]:
        """Its calls: under its guard, with its rank. All its waiting for budgets must stay below what the watchdog bears."""
        return guarded(run, live=run.claim.urgent, patience=run.claim.lease)

    def _tell_health(self, run: Attempt, failed: str) -> None:
        """Whoever was called and did not fail us works, however the job itself ended."""
        for connection in {call.connection for call in run.calls} - {failed}:
            self.health.succeeded(connection)

    def _converge(self, run: Attempt) -> Outcome:
        if isinstance(run, MailRun):
            return mailing.carry(run)
        if isinstance(run, RepRun):
            return _REP_RECIPES.get(run.claim.key.kind, reps.carry)(run)
        if not isinstance(run, Run):
            raise TypeError(f"no recipe for {type(run).__name__}")
        if (recipe := _RECIPES.get(run.claim.key.kind)) is not None:
            return recipe(run)
        record = self._newest(run)
        if record.deleted:
            return standing.deleted(run) if isinstance(run, Rehearsal) else orders.deleted(run)
        if record.raw is None:
            raise _no_state()
        try:
            order = run.store.order(record.key, record.raw)
        except Held as error:
            run.seen = _as_far_as_readable(run.store, record.raw)
            if isinstance(run, Rehearsal):
                return standing.unreadable(run, error)
            raise
        run.order = run.seen = order
        if order.rush and run.claim.queue in {"live", "sync"}:
            self.context.ledger.jobs.hurry(run.claim)
        if isinstance(run, Rehearsal):
            return standing.rehearse(run, order)
        return orders.sync_order(run, order)

    def _newest(self, run: Run) -> Record:
        """The newest state; asked of the source where what we have cannot be trusted."""
        key = run.claim.key
        record = self.context.ledger.inbox.record(key)
        if record is not None and key.kind == "delivery":
            raise Held(
                "This delivery is genuine but cannot be read as an order. What to do: see the event's text, have the sender "
                "mend it, then skip this job.",
                error_class="parse",
            )
        if record is not None and not record.must_fetch:
            return record
        if not run.store.pollable:
            if record is not None and record.raw is not None:
                return record
            raise Held(
                "Only a hint of this record is known and its source cannot be asked. What to do: have it sent again.",
                error_class="missing reference",
            )
        return self._fetched(run)

    def _fetched(self, run: Run) -> Record:
        key = run.claim.key
        asked_at = self.context.ledger.clock.now()
        try:
            change = run.store.fetch(key)
        except NotThere:
            change = orders.gone(key, asked_at)
        self.context.ledger.inbox.accept(
            [replace(change, fetched_at=asked_at)],
            self.context.routes,
            via="fetch",
            want_jobs=False,
            correlation=run.claim.correlation,
        )
        record = self.context.ledger.inbox.record(key)
        if record is None:
            raise _no_state()
        return record

    def _of_error(self, claim: Claim, error: OrderwireError) -> Outcome:
        common: dict[str, Any] = {
            "message": error.message,
            "error_class": error.error_class,
            "detail": error.detail,
            "field": error.field,
        }
        if isinstance(error, RetryLater):
            if error.scope == "connection" and error.connection:
                self.health.failed(error.connection, error)
            seconds = error.seconds if not error.burns_attempt else max(error.seconds, backoff(claim.failures))
            return Outcome(
                "retry",
                **{**common, "error_class": error.cause},
                seconds=seconds,
                burns=error.burns_attempt,
                waiting_for=error.waiting_for,
            )
        if isinstance(error, Skipped):
            return Outcome("skipped", **{**common, "error_class": f"rule {error.rule}"})
        if isinstance(error, NotLive):
            # It was live when the job began. Due at once: a pause stops it, a rehearsal rehearses it.
            return Outcome("retry", **common, seconds=1.0, burns=False)
        if isinstance(error, LeaseLost):
            return Outcome("retry", **common, seconds=1.0, burns=False)
        return Outcome("held", **common)


def _no_state() -> Held:
    return Held(
        "Only a hint of this record is known. What to do: fetch the order again by its number.",
        error_class="missing reference",
    )


def backoff(failures: int) -> float:
    """Seconds before the next try of a job that failed so often: 5 s doubling to an hour, with jitter."""
    base = min(FIRST_WAIT * 2**failures, LONGEST_WAIT)
    return float(base * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {**call, "milliseconds": round(call["milliseconds"], 1)}


def _named(outcome: Outcome, run: Attempt) -> Outcome:
    """Whatever came of it, people see which order it is and how much money waits, and find it by its customer's address."""
    order = run.seen
    if order is None:
        return outcome
    outcome = replace(outcome, customer=email_mark(order.customer.person.email))
    if outcome.amount:
        return outcome
    return replace(outcome, number=order.number, amount=str(order.total), currency=order.currency)


def _as_far_as_readable(store: Store, raw: bytes) -> SalesOrder | None:
    """The order without the check of its sums: what cannot be carried still has a number, a customer and a total to show."""
    value = parsed(raw)
    if value is None or not isinstance(store, Readable):
        return None
    try:
        return store.read(value)
    except OrderwireError:
        return None


def _where(error: BaseException) -> str:
    """The innermost place of ours, without any value."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return place
