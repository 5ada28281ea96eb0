"""The invoice of an order, by policy: `never` (the ERP invoices), `on_order`, `on_paid`. Created once, from the order."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from connectors.roles import OrderRefs
from core.keys import external_id
from ledger.runs import marked
from mapping.canonical import OrderStatus, PaymentStatus, SalesOrder
from pipelines.run import Ensured, Run

KIND: Final = "invoice"
_NEVER_INVOICED: Final = frozenset(
    {OrderStatus.DRAFT, OrderStatus.FAILED, OrderStatus.CANCELLED, OrderStatus.REFUNDED, OrderStatus.DELETED}
)


def wanted(policy: str, order: SalesOrder) -> bool:
    """Whether this order is to have an invoice now (pure)."""
    if policy == "never" or order.status in _NEVER_INVOICED:
        return False
    return policy == "on_order" or order.payment_status is PaymentStatus.PAID


def ensure(run: Run, order: SalesOrder, refs: OrderRefs, sales_order: Ensured) -> Ensured | None:
    """Create the invoice where the policy asks for one and there is none. A backfill makes none unless it was told to; a
    live change of the same order follows the policy again.
    """
    if not wanted(run.flow.invoices, order) or _silent(run):
        return None
    key = f"{order.key}"
    known = run.ledger.links.get(run.flow.target, KIND, key)
    if known is not None and known.linked:
        return None
    own = replace(refs, external_id=external_id(order.key.connection, KIND, order.key.id))
    return run.ensure(
        KIND,
        key,
        payload_hash="once",
        # An order that was created a moment ago, in this very attempt, cannot have an invoice yet.
        find=lambda: () if sales_order.created else run.crm.find_invoice(own.external_id),
        create=lambda: run.crm.create_invoice(order, own, sales_order.ref),
        known=known,
    )


def _silent(run: Run) -> bool:
    """Whether what woke this job last is a backfill that makes no invoices."""
    number = marked(run.claim.correlation)
    asked = run.context.ledger.runs.get(number) if number is not None else None
    return asked is not None and asked.kind == "backfill" and not asked.options.get("invoices")
