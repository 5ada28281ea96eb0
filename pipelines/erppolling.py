"""Asks an ERP what changed of reps, regions, customers, invoices and sales, and by night which of them are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from connectors.roles import Erp, ErpKind, Feed
from core.errors import Held, NotThere
from core.keys import Change, Key
from ledger.inbox import Verdict
from pipelines import erppromises, feeds
from pipelines.context import REP_KINDS, Context
from pipelines.reprun import gone

log = structlog.get_logger(__name__)

SUSPICIOUS: Final = 20
"""So many may be gone in a night without a second thought; of more, a tenth."""
SHARE: Final = 10


def cursor_name(source: str, kind: str) -> str:
    """Where a kind was read up to."""
    return f"{source}/{kind}"


def kinds_of(context: Context, erp: Erp) -> list[ErpKind]:
    """What of this ERP the flows want, as far as it tells, in the order in which it is read."""
    wanted: list[ErpKind] = []
    if any(flow.source == erp.name for flow in context.reps.values()):
        wanted += REP_KINDS
    if context.invoice_routes(erp.name):
        wanted.append("invoice")
    if context.sale_routes(erp.name):
        wanted.append("sale")
    return [kind for kind in wanted if kind in erp.kinds]


def poll(context: Context, source: str, stopping: Callable[[], bool] = feeds.never) -> int:
    """Take in everything that changed since each kind's cursor, which moves only after its page is committed; reading a row
    twice is harmless. How many changes were new.
    """
    erp, ledger, fresh = context.erp(source), context.ledger, 0
    if isinstance(erp, Feed):
        return feeds.poll(context, source, stopping)
    for kind in kinds_of(context, erp):
        name = cursor_name(source, kind)
        for page in erp.changes_since(kind, ledger.cursors.get(name)):
            accepted = ledger.inbox.accept(page.changes, context.routes, via="poll") if page.changes else []
            fresh += sum(1 for item in accepted if item.verdict in {Verdict.NEWEST, Verdict.DIRTY})
            ledger.cursors.set(name, page.cursor)
    if fresh:
        log.info("poll found changes", connection=source, count=fresh)
    return fresh


def compare(context: Context, source: str, *, anyway: bool = False) -> int:
    """What the ERP deleted tells no change: it is what we know and it lists no more. What it lists and we do not know is taken
    in too. How many differences; raises `Held` where so much is missing that the list itself is in doubt, unless `anyway`.
    """
    erp, found = context.erp(source), 0
    for kind in kinds_of(context, erp):
        found += _compare(context, erp, kind, anyway=anyway)
    erppromises.forget(context, source)
    return found


def _compare(context: Context, erp: Erp, kind: ErpKind, *, anyway: bool) -> int:
    unread = context.ledger.cursors.get(cursor_name(erp.name, kind)) is None
    if unread:
        return 0
    # First what we know, then what is there: who comes meanwhile is no difference.
    known = set(context.ledger.reps.known_ids(erp.name, kind))
    missing, new = set(known), set[str]()
    for page in erp.ids(kind):
        missing.difference_update(page)
        new.update(set(page) - known)
    if not anyway and len(missing) > max(SUSPICIOUS, len(known) // SHARE):
        raise Held(
            f"{erp.name} lists {len(missing)} of {len(known)} records of {kind} no more, and none of them was taken for deleted. "
            f"What to do: see whether our user in {erp.name} may still see them all; if they are really gone, "
            f"`orderwire reps compare {erp.name} --anyway` takes them for it.",
            error_class="missing reference",
        )
    asked_at = context.ledger.clock.now()
    changes: list[Change] = []
    for id in sorted(missing | new):
        key = Key(erp.name, kind, id)
        try:
            change = erp.fetch(key)
        except NotThere:
            if id in new:
                continue
            change = gone(key)
        changes.append(
            Change(
                change.key,
                change.stamp,
                change.raw,
                f"{change.dedupe}:{asked_at.isoformat()}",
                number=change.number,
                topic=change.topic,
                fetched_at=asked_at,
                deleted=change.deleted,
                content=change.content,
            )
        )
    accepted = context.ledger.inbox.accept(changes, context.routes, via="fetch") if changes else []
    return sum(1 for item in accepted if item.verdict in {Verdict.NEWEST, Verdict.DIRTY})
