"""Records of an ERP that are about a web order: the newest state of one, and by which names order and record find each other.

An ERP names an order as the customer or the store calls it, else by its own number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from connectors.roles import Erp
from core.errors import Held, NotThere
from core.keys import Change, Key, external_id
from core.settings import FlowSettings
from ledger.inbox import Record
from mapping.erpinvoices import named
from pipelines.context import Context
from pipelines.run import Run

ORDER: Final = "order"


def newest(run: Run, erp: Erp) -> Record:
    """The newest state of the record that this run is about; asked of the ERP where what we have cannot be trusted."""
    key, inbox = run.claim.key, run.context.ledger.inbox
    record = inbox.record(key)
    if record is not None and not record.must_fetch:
        return record
    asked_at = run.context.ledger.clock.now()
    try:
        change = erp.fetch(key)
    except NotThere:
        dedupe = f"gone:{key.kind}:{key.id}:{asked_at.isoformat()}"
        change = Change(key, None, None, dedupe, fetched_at=asked_at, deleted=True)
    inbox.accept(
        [replace(change, fetched_at=asked_at)],
        run.context.routes,
        via="fetch",
        want_jobs=False,
        correlation=run.claim.correlation,
    )
    record = inbox.record(key)
    if record is None:
        raise unknown_state(key)
    return record


def unknown_state(key: Key) -> Held:
    """For a record of which we have nothing but that it changed."""
    return Held(
        f"Only a hint of this {key.kind} is known. What to do: have the ERP's {key.kind}s polled again.",
        error_class="missing reference",
    )


def keys_called(context: Context, flow: FlowSettings, name: str) -> list[Key]:
    """The orders of this flow's store that are called so: by number, by our name for them, by their number in the CRM."""
    source, target = flow.source, flow.target
    records = context.ledger.inbox.by_number(name, source)
    keys = [one.key for one in records if one.key.kind == ORDER and one.number == name and not one.deleted]
    if not keys and name.startswith(f"{source}/{ORDER}/"):
        keys = [Key.parse(name)]
    if not keys:
        keys = [Key.parse(one) for one in context.ledger.invoices.orders_called(source, target, name)]
    return keys


def names_of(key: Key, number: str, crm_number: str) -> list[str]:
    """What a record of the ERP may call this order."""
    own = external_id(key.connection, key.kind, key.id)
    return list(dict.fromkeys([*named(number, crm_number), own, str(key)]))
