"""Asks stores what changed: webhooks are hints, the poll is what nothing escapes."""

from __future__ import annotations

import structlog

from core.settings import FlowSettings
from ledger.inbox import Verdict
from pipelines.context import Context

log = structlog.get_logger(__name__)


def cursor_name(source: str) -> str:
    """Where a store was read up to."""
    return f"{source}/orders"


def poll(context: Context, flow: FlowSettings) -> int:
    """Take in everything that changed since the cursor. The cursor moves only after its page is committed; reading a row
    twice is harmless. How many changes were new.
    """
    store = context.store(flow.source)
    if not store.pollable:
        return 0
    name = cursor_name(flow.source)
    fresh = 0
    for page in store.changes_since(context.ledger.cursors.get(name)):
        accepted = context.ledger.inbox.accept(page.changes, context.routes, via="poll") if page.changes else []
        fresh += sum(1 for item in accepted if item.verdict in {Verdict.NEWEST, Verdict.DIRTY})
        context.ledger.cursors.set(name, page.cursor)
    if fresh:
        log.info("poll found changes", connection=flow.source, count=fresh)
    return fresh


def fetch_order(context: Context, connection: str, number: str) -> list[int]:
    """Ask the store for one order by the number people use, take it in, and wake its jobs. Their ids; empty: no such order."""
    change = context.store(connection).find_by_number(number)
    if change is None:
        return []
    context.ledger.inbox.accept([change], context.routes, via="fetch")
    jobs = context.ledger.jobs.list(search=str(change.key))
    for job in jobs:
        if job.state != "running":
            context.ledger.jobs.retry(job.id)
    return [job.id for job in jobs]
