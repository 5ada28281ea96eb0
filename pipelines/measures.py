"""What is counted and timed when a job ends. Labels are words of ours or of the configuration: nothing that a sender chooses."""

from __future__ import annotations

import time
from typing import Final

from ledger.database import SECOND
from ledger.jobs import Claim
from mapping.canonical import SalesOrder
from pipelines.context import Context

CHANNELS: Final = frozenset({"web", "phone", "email", "fax", "portal", "desk", "shop", "marketplace"})
"""Channels that are counted by name beside those that a flow's rules name; a sender may write anything there."""
OTHER: Final = "other"


def job_ended(context: Context, claim: Claim, outcome: str, order: SalesOrder | None) -> None:
    """An attempt is over and written down. `outcome`: settled, retry, held, skipped, or lost (it was not ours any more)."""
    where = {"queue": claim.queue, "kind": claim.key.kind}
    context.counted("jobs", {"flow": claim.flow, **where, "outcome": outcome})
    context.observed("job", where, time.monotonic() - claim.asked_at)
    context.observed("wait", where, max(claim.started_at - claim.due_at, 0) / SECOND)
    if outcome == "settled" and order is not None and not claim.done:
        _arrived(context, claim, order)


def _arrived(context: Context, claim: Claim, order: SalesOrder) -> None:
    """An order is where it belongs for the first time."""
    context.counted("entered", {"channel": _channel(context, claim, order)})
    if claim.queue == "backfill":
        return  # it was placed long before anybody asked for it
    seconds = (context.ledger.clock.now() - order.placed_at).total_seconds()
    where = {"source": claim.key.connection, "target": claim.target}
    context.observed("order", where, max(seconds, 0.0))


def _channel(context: Context, claim: Claim, order: SalesOrder) -> str:
    flow = context.flows.get(claim.flow)
    named = flow.rules.channels if flow is not None else ()
    return order.channel if order.channel in CHANNELS or order.channel in named else OTHER
