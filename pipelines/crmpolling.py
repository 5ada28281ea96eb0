"""Asks a CRM what people changed there: a status set by a person moves the rest of the order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from connectors.roles import Changing, CrmRow, Invoicing
from connectors.roles.changing import ChangeKind
from core.errors import Held
from ledger.crmnews import Said
from ledger.invoices import Seen
from pipelines.context import Context

log = structlog.get_logger(__name__)

KINDS: Final[tuple[ChangeKind, ...]] = ("order", "invoice")
SUSPICIOUS: Final = 20
"""So many may be gone in a night without a second thought; of more, a tenth."""
SHARE: Final = 10
LOOK_BACK: Final = timedelta(days=60)
"""Orders that are done are looked for so long."""


def cursor_name(name: str, kind: ChangeKind) -> str:
    """Where a CRM was read up to."""
    return f"{name}/changes/{kind}"


def poll(context: Context, name: str) -> int:
    """Take in what changed since each kind's cursor, which moves only after its page is kept; reading a row twice is
    harmless. How many orders got news.
    """
    crm, cursors, news = context.crms[name], context.ledger.cursors, 0
    if not isinstance(crm, Changing):
        return 0
    for kind in KINDS:
        at = cursor_name(name, kind)
        for page in crm.crm_changes(kind, cursors.get(at)):
            news += _take(context, name, kind, page.rows)
            cursors.set(at, page.cursor)
    if news:
        log.info("poll found changes", connection=name, count=news)
    return news


def compare(context: Context, name: str) -> int:
    """What was deleted tells no change: it is what we know and is there no more. Statuses are compared too. How many
    differences; raises `Held` where so much is missing that the CRM's answers are in doubt.
    """
    crm = context.crms[name]
    if not isinstance(crm, Changing):
        return 0
    since = context.ledger.clock.now() - LOOK_BACK
    found = 0
    for kind in KINDS:
        news = context.ledger.crm_news
        known = news.orders_of(name, since) if kind == "order" else news.invoices_of(name, since)
        rows = crm.crm_rows(kind, known)
        missing = [id for id in known if id not in rows]
        _believable(name, kind, len(missing), len(known))
        found += _take(context, name, kind, list(rows.values())) + _gone(context, name, kind, missing)
    return found


def _take(context: Context, name: str, kind: ChangeKind, rows: Sequence[CrmRow]) -> int:
    at = context.ledger.clock.now()
    if kind == "order":
        return context.ledger.crm_news.orders_say(name, [Said(row.ref.id, row.status, at) for row in rows])
    return _invoices(context, name, rows)


def _invoices(context: Context, name: str, rows: Sequence[CrmRow]) -> int:
    crm, ledger, count = context.crms[name], context.ledger, 0
    for row in rows:
        word = crm.invoice_state(row.status) if isinstance(crm, Invoicing) else "unknown"
        seen = Seen(
            remote_id=row.ref.id,
            word=row.status,
            state=word,
            number=row.ref.number,
            currency=row.currency,
            total=row.total,
            received=row.received,
            balance=row.balance,
            issued=row.issued,
            due=row.due,
            order_id=row.order_id,
        )
        count += len(ledger.invoices.crm_says(name, seen, seen_at=ledger.clock.now()))
    return count


def _gone(context: Context, name: str, kind: ChangeKind, missing: Sequence[str]) -> int:
    ledger, count = context.ledger, 0
    for id in missing:
        if kind == "order":
            count += ledger.crm_news.order_gone(name, id)
            continue
        count += len(ledger.invoices.crm_gone(name, id))
    return count


def _believable(name: str, kind: ChangeKind, missing: int, known: int) -> None:
    if missing > max(SUSPICIOUS, known // SHARE):
        raise Held(
            f"{name} has {missing} of {known} records of {kind} no more, and none of them was taken for deleted. "
            f"What to do: see whether our user in {name} may still see them all; restore them from the recycle bin if they "
            "were deleted by mistake.",
            error_class="missing reference",
        )
