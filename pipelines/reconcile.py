"""The nightly comparison: what the store has, what we know, what the CRM has. Every difference is mended or named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from connectors.roles import CrmOrder
from core.errors import Held
from core.keys import Change, Key, external_id
from core.settings import FlowSettings
from ledger.alerts import Condition
from ledger.inbox import Verdict
from pipelines import adopted
from pipelines.context import Context

log = structlog.get_logger(__name__)

WINDOW: Final = timedelta(days=14)
"""How far back each night looks."""
MARGIN: Final = timedelta(hours=1)
"""Orders that are younger may still be on their way."""
CLOCKS: Final = timedelta(days=1)
"""The CRM notes creations by a clock, and in a time zone, of its own."""
SHOWN: Final = 10


@dataclass(slots=True)
class Comparison:
    """What one night found. Numbers are what people call orders."""

    orders: int = 0
    missed: list[str] = field(default_factory=list)
    """In the store, unknown to us until now: taken in."""
    vanished: list[str] = field(default_factory=list)
    """Carried over once, not in the CRM any more."""
    doubled: list[str] = field(default_factory=list)
    """More than one in the CRM."""
    differing: list[str] = field(default_factory=list)
    """Another total in the CRM than in the store."""


def nightly(context: Context, flow: FlowSettings, *, window: timedelta = WINDOW) -> int:
    """Compare one flow. How many differences; each kind is one alert, which closes when a later night finds none."""
    until = context.clock.now() - MARGIN
    first = context.ledger.figures.first_heard(flow.source)
    if first is None or first >= until:
        return 0
    # What was ordered before we knew this store was somebody else's to carry: `backfill` is asked for that, not taken.
    found = compare(context, flow, max(until - window, first - MARGIN), until)
    present = {condition.cause: condition for condition in conditions(flow, found)}
    alerts = context.ledger.alerts
    for condition in present.values():
        alerts.open(condition)
    for alert in alerts.opened(f"compare/{flow.name}/"):
        if alert.cause not in present:
            alerts.close(alert.cause, "The last comparison found none any more.")
    log.info("compared", flow=flow.name, orders=found.orders, missed=len(found.missed), differences=len(present))
    return len(found.missed) + len(found.vanished) + len(found.doubled) + len(found.differing)


def compare(context: Context, flow: FlowSettings, since: datetime, until: datetime) -> Comparison:
    """Orders placed in the interval: store, ledger, CRM."""
    result = Comparison()
    there: dict[str, list[CrmOrder]] = defaultdict(list)
    for order in context.crms[flow.target].orders_since(since - CLOCKS):
        if order.ref.id not in {known.ref.id for known in there[order.external_id]}:
            there[order.external_id].append(order)
    for page in context.store(flow.source).orders_between(since, until):
        _take_in(context, flow, page.changes, result)
        _look_up(context, flow, page.changes, there, result)
    return result


def _take_in(context: Context, flow: FlowSettings, changes: Sequence[Change], result: Comparison) -> None:
    """What webhooks and polls have missed is taken in by the way. What was placed before the flow's start was not missed: it
    is taken in too, and its job links or lists it.
    """
    unknown = {change.key for change in changes if context.ledger.inbox.record(change.key) is None}
    result.orders += len(changes)
    start = context.ledger.flows.get(flow.name).start
    missed = [change for change in changes if change.key in unknown and not _before(context, change, start)]
    result.missed += [change.number for change in missed]
    accepted = context.ledger.inbox.accept(changes, context.routes, via="poll")
    stale = sum(1 for item in accepted if item.verdict is Verdict.NEWEST and item.change.key not in unknown)
    if stale:
        log.warning("the comparison found newer states than the poll", count=stale)


def _before(context: Context, change: Change, start: datetime | None) -> bool:
    """Whether the order was placed before the flow began to create orders; no, where that cannot be told."""
    if start is None or change.raw is None:
        return False
    try:
        return context.store(change.key.connection).order(change.key, change.raw).placed_at < start
    except Held:
        return False


def _look_up(
    context: Context,
    flow: FlowSettings,
    changes: Sequence[Change],
    there: dict[str, list[CrmOrder]],
    result: Comparison,
) -> None:
    links = context.ledger.links.find(flow.target, "order", [str(change.key) for change in changes])
    totals = context.ledger.figures.settled_totals(flow.name, [change.key for change in changes])
    theirs = context.ledger.amendments.left_theirs(flow.target, [str(change.key) for change in changes])
    for change in changes:
        link = links.get(str(change.key))
        orders = there.get(_external(change.key), [])
        if len(orders) > 1:
            result.doubled.append(
                f"{change.number} ({', '.join(order.ref.number or order.ref.id for order in orders)})"
            )
        if link is None or not link.linked or change.key not in totals:
            continue  # not carried yet, held or skipped: its job says why
        if not orders and link.origin == adopted.ORIGIN:
            continue  # a person typed it, and it need not carry our id: `adopt` looks at those
        if not orders:
            result.vanished.append(change.number)
        elif str(change.key) in theirs:
            continue  # people have seen both sides, and let the CRM's stay
        elif _cents(orders[0].total) != totals[change.key]:
            result.differing.append(f"{change.number} (store {totals[change.key]}, CRM {_cents(orders[0].total)})")


def _external(key: Key) -> str:
    return external_id(key.connection, key.kind, key.id)


def _cents(total: Decimal) -> Decimal:
    """As people read it; the CRM does not round."""
    return total if total.is_nan() else total.quantize(Decimal("0.01"))


def conditions(flow: FlowSettings, found: Comparison) -> Iterator[Condition]:
    """One for each kind of difference (pure)."""
    kinds = (
        ("doubled", found.doubled, "are there more than once", "delete the younger ones there"),
        ("vanished", found.vanished, "were carried over and are not there any more", "see who deleted them, and why"),
        (
            "differing",
            found.differing,
            "have another total there",
            "compare them; a person may have changed them on purpose",
        ),
    )
    for kind, numbers, what, advice in kinds:
        if numbers:
            some = ", ".join(numbers[:SHOWN]) + (f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else "")
            yield Condition(
                f"compare/{flow.name}/{kind}",
                f"{len(numbers)} orders {what} ({flow.target})",
                f"Orders {some} {what}. What to do: {advice}.",
                severity="critical" if kind == "doubled" else "warning",
                facts={"flow": flow.name, "count": len(numbers)},
            )
