"""Rehearse a flow over the orders of the last weeks: what would be written, held and skipped, and what it would cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import ConfigurationProblem, Held, OrderwireError, RetryLater
from core.keys import Change
from core.settings import FlowSettings
from ledger import Ledger
from ledger.jobs import Claim
from ledger.runs import Item, Lost, RunView
from pipelines import forecast, parties
from pipelines.context import Context
from pipelines.overlay import Overlay
from pipelines.rehearsal import Plan, PlannedWrite, Rehearsal

log = structlog.get_logger(__name__)

LEASE: Final = 3600.0
KEEP: Final = 20
"""So many plans are noted at once: no more is lost by an interruption."""
RESUME_WITHIN: Final = timedelta(days=1)
"""An interrupted rehearsal of the "last 30 days" is gone on with for so long; after that they are other days."""
BUSY: Final = 5.0
"""Seconds to wait when the budget of calls is used up."""
TRIES: Final = 120


@dataclass(frozen=True, slots=True)
class Span:
    """Orders placed in [since, until). `last`: seconds, where a person asked for the last so many."""

    since: datetime
    until: datetime
    last: int = 0

    def options(self) -> dict[str, Any]:
        """As a run keeps them."""
        options: dict[str, Any] = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return options | ({"last": self.last} if self.last else {})


def last(ledger: Ledger, flow: str, seconds: int, now: datetime) -> Span:
    """The last so many seconds; those of an interrupted rehearsal of the same length, if there is one of today."""
    for run in ledger.runs.list(kind="rehearse", flow=flow):
        if run.options.get("last") == seconds and now - run.started_at < RESUME_WITHIN:
            if run.state == "done":
                break  # asked for again after it was finished: people want it as of now
            since, until = (datetime.fromisoformat(run.options[name]) for name in ("since", "until"))
            return Span(since, until, seconds)
    return Span(now - timedelta(seconds=seconds), now, seconds)


def rehearse(
    context: Context,
    flow: FlowSettings,
    span: Span,
    *,
    by: str = "",
    run: RunView | None = None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
    pause: Callable[[float], None] = time.sleep,
) -> RunView:
    """Plan every order placed in the span; nothing is written but the plans. Raises ConfigurationProblem for a store that
    cannot be asked and for a connection that is paused, RetryLater when a system that is asked is out: what was planned so
    far is kept, and the same command goes on from there. `run`: the one to go on with; else an interrupted one of this span.
    """
    require_askable(context, flow)
    runs = context.ledger.runs
    run = run or runs.command("rehearse", flow.name, span.options(), by=by)
    planner = _Planner(context, flow, pause)
    planner.noted = {item.key: item for item in items(context.ledger, run)}
    count = 0
    try:
        parties.refresh(context.ledger, context.crms[flow.target], flow.region)
        for page in context.store(flow.source).orders_between(span.since, span.until):
            for part in _parts(page.changes):
                runs.require_ours(run)
                _note(context, run, planner, part)
                count += len(part)
                runs.progress(run.id, counts={"orders": count, "total": page.total})
                progress(count, page.total)
    except Lost:
        raise
    except OrderwireError as error:
        runs.end(run.id, "stopped", error.message)
        raise _stopped(error, count) from error
    runs.end(run.id, "done")
    return runs.get(run.id) or run


def require_pollable(context: Context, flow: FlowSettings) -> None:
    """Raises ConfigurationProblem where the flow's old orders cannot be had."""
    if context.store(flow.source).pollable:
        return
    raise ConfigurationProblem(
        f"{flow.source} cannot be asked for old orders. What to do: leave {flow.name} in rehearsal and let orders come in; "
        f"`orderwire rehearse {flow.name} --show` says what would become of them."
    )


def require_askable(context: Context, flow: FlowSettings) -> None:
    """Raises ConfigurationProblem where the store cannot be asked, or somebody wants the connections left alone."""
    require_pollable(context, flow)
    _require_not_paused(context, flow)


def _require_not_paused(context: Context, flow: FlowSettings) -> None:
    """Whoever paused a connection wants it left alone, also by questions."""
    for name in (flow.source, flow.target):
        state = context.ledger.states.get(name)
        if state is not None and state.paused_for:
            raise ConfigurationProblem(
                f"{name} is paused. What to do: `orderwire resume {name}` when it may be asked again."
            )


def _parts(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    for at in range(0, len(changes), KEEP):
        yield changes[at : at + KEEP]


def _note(context: Context, run: RunView, planner: _Planner, changes: Sequence[Change]) -> None:
    """Plan, and keep what was planned even if the next one ends it all."""
    plans: list[Item] = []
    try:
        for change in changes:
            if (item := planner.plan(change)) is not None:
                plans.append(item)  # noqa: PERF401 - what came before an error is kept
    finally:
        context.ledger.runs.put(run.id, plans)


def _stopped(error: OrderwireError, count: int) -> OrderwireError:
    """The same, with what it means for a rehearsal."""
    if not isinstance(error, RetryLater):
        return error
    what = error.message.partition(forecast.ADVICE)[0]
    return RetryLater(
        f"{what} The rehearsal stopped after {count} orders; what was planned is kept. What to do: see to "
        f"{error.connection or 'the connection'} (`orderwire check`), then run the same command again: it goes on from there.",
        seconds=error.seconds,
        scope=error.scope,
        connection=error.connection,
        cause=error.cause,
        detail=error.detail,
    )


@dataclass(slots=True)
class _Planner:
    """Plans one order after the other; new customers of the earlier ones are known to the later ones."""

    context: Context
    flow: FlowSettings
    pause: Callable[[float], None]
    noted: Mapping[str, Item] = field(default_factory=dict)
    """What this run has planned before it was interrupted."""
    overlay: Overlay = field(init=False)

    def __post_init__(self) -> None:
        self.overlay = Overlay(self.context.ledger)

    def plan(self, change: Change) -> Item | None:
        """What is to be noted; None: it stands there already."""
        before = self.noted.get(str(change.key))
        if before is None or before.verdict == "wait":
            return self._patiently(change).item()
        if forecast.makes_customer(before):
            # Only so that the orders after it find the customer: what was noted of it stays.
            self._patiently(change)
        return None

    def _patiently(self, change: Change) -> Plan:
        """A budget of calls that is used up is waited for: nobody is in a hurry here."""
        found = plan(self.context, self.flow, change, self.overlay)
        made = _customers(found)
        for _ in range(TRIES):
            if (found.verdict, found.error_class) != ("wait", "rate limit"):
                return _with_customers(found, made)
            self.pause(BUSY)
            found = plan(self.context, self.flow, change, self.overlay)
            made += _customers(found)
        raise RetryLater(
            f"{found.reason.partition(forecast.ADVICE)[0]} It stayed so for {TRIES * BUSY / 60:.0f} minutes.",
            seconds=BUSY,
            connection=self.flow.target,
            cause="rate limit",
        )


def _customers(found: Plan) -> tuple[PlannedWrite, ...]:
    return tuple(write for write in found.writes if write.operation in forecast.CUSTOMERS_MADE)


def _with_customers(found: Plan, made: Sequence[PlannedWrite]) -> Plan:
    """A customer that was made before the budget was used up is this order's: the next try only found it."""
    earlier = tuple(write for write in made if write not in found.writes)
    found.writes = earlier + found.writes
    if earlier and found.customer == "found":
        found.customer = "new"
    return found


def plan(context: Context, flow: FlowSettings, change: Change, overlay: Overlay) -> Plan:
    """What would become of one record as the store gives it. Raises what is a connection's, or the ledger's, fault."""
    key = str(change.key)
    if change.deleted or change.raw is None:
        return Plan(key, "skip", change.number, reason="The store has deleted this order.", error_class="rule deleted")
    try:
        order = context.store(flow.source).order(change.key, change.raw)
        return Rehearsal(context, _claim(flow, change), overlay).plan(order)
    except Held as error:
        return Plan(key, "hold", change.number, reason=error.message, error_class=error.error_class)
    except (OrderwireError, DBAPIError, PoolTimeoutError):
        raise
    except Exception:
        log.exception("an order could not be rehearsed by a bug of ours", record=key)
        advice = "What to do: run it with --debug, and report it with the order's number."
        return Plan(
            key, "hold", change.number, reason=f"Orderwire stumbled over this order. {advice}", error_class="our bug"
        )


def _claim(flow: FlowSettings, change: Change) -> Claim:
    """A rehearsal is nobody's job: it has no lease to lose, and writes nothing that a token would have to fence."""
    return Claim(
        id=0,
        flow=flow.name,
        key=change.key,
        target=flow.target,
        queue="backfill",
        generation=0,
        token=0,
        failures=0,
        crashes=0,
        alone=False,
        worker="rehearse",
        correlation=f"rehearse:{change.key}",
        started_at=0,
        lease=LEASE,
        asked_at=time.monotonic(),
    )


def items(ledger: Ledger, run: RunView) -> Iterator[Item]:
    """Everything a run has noted, by key."""
    after = ""
    while page := ledger.runs.items(run.id, after=after):
        yield from page
        after = page[-1].key
