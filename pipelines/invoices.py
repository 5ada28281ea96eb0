"""The invoice of an order, by policy: `never`, `on_order`, `on_paid`, `on_delivered`; created once, from the order. With
`from_erp` the ERP invoices, and `pipelines.erpinvoices` brings its invoices over.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final, cast

from connectors.roles import Invoicing, OrderRefs, Ref, Written
from core.keys import external_id
from ledger.invoices import KIND, InvoiceState, State
from ledger.links import Link
from ledger.orderstates import OrderState
from ledger.runs import marked
from mapping.canonical import OrderStatus, PaymentStatus, SalesOrder
from mapping.days import invoice_day
from pipelines import aftermath, crediting, erporders, life
from pipelines.run import Ensured, Run

_NEVER_INVOICED: Final = frozenset(
    {OrderStatus.DRAFT, OrderStatus.FAILED, OrderStatus.CANCELLED, OrderStatus.REFUNDED, OrderStatus.DELETED}
)


_NOT_OURS: Final = frozenset({"never", "from_erp"})
"""Policies by which we make none."""


def wanted(policy: str, order: SalesOrder, *, delivered: bool = False) -> bool:
    """Whether this order is to have an invoice of ours now (pure)."""
    if order.status in _NEVER_INVOICED:
        return False
    when = {
        "on_order": True,
        "on_paid": order.payment_status is PaymentStatus.PAID,
        "on_delivered": delivered,
    }
    return when.get(policy, False)


def ensure(run: Run, order: SalesOrder, refs: OrderRefs, sales_order: Ensured, state: OrderState) -> Ensured | None:
    """Create the invoice where the policy asks for one and there is none. A backfill makes none unless it was told to; a
    live change of the same order follows the policy again. Bills of the ERP that waited for this order go on.
    """
    _wake_bills(run, order, sales_order)
    delivered = life.delivered(run.flow, order, state.crm_status)
    if not wanted(run.flow.invoices, order, delivered=delivered) or _silent(run):
        if run.flow.invoices not in _NOT_OURS and not sales_order.created:
            settle(run, order)
        return None
    key = str(order.key)
    known = run.ledger.links.get(run.flow.target, KIND, key)
    if known is not None and known.linked and known.payload_hash:
        _show(run, order, known)
        return None
    own = replace(refs, external_id=external_id(order.key.connection, KIND, order.key.id), zone=run.context.seller.zone)
    made = run.ensure(
        KIND,
        key,
        payload_hash=crediting.INVOICED,
        # An order that was created a moment ago, in this very attempt, cannot have an invoice yet.
        find=lambda: () if sales_order.created else run.crm.find_invoice(own.external_id),
        create=lambda: _create(run, order, own, sales_order),
        # Nobody saw the end of its creation: a crash came between, or a line was lost twice.
        update=lambda ref: _mended(run, order, own, sales_order, ref),
        known=known,
    )
    _note(run, order, made)
    return made


def settle(run: Run, order: SalesOrder) -> None:
    """An invoice whose creation is in doubt is looked for, also where none is wanted any more: one that was made counts."""
    key = str(order.key)
    known = run.ledger.links.get(run.flow.target, KIND, key)
    if known is None or known.state != "sent":
        return
    run.intend(KIND, [key])  # nobody looks before the hold is over
    found = run.crm.find_invoice(external_id(order.key.connection, KIND, order.key.id))
    if found:
        run.ensure(KIND, key, payload_hash="", find=lambda: found, create=lambda: Written(found[0]))
        link = run.ledger.links.get(run.flow.target, KIND, key)
        if link is not None and link.linked:
            _show(run, order, link)


def _create(run: Run, order: SalesOrder, refs: OrderRefs, sales_order: Ensured) -> Written:
    """Less what has been refunded so far; what is refunded from now on gets credit notes."""
    crediting.invoiced(run, order)
    return run.crm.create_invoice(order, refs, sales_order.ref)


def _mended(run: Run, order: SalesOrder, refs: OrderRefs, sales_order: Ensured, ref: Ref) -> Written:
    """Make it whole as the order is now, unless credit notes rest upon what it was."""
    crm = aftermath.crediting(run)
    if crm is None or aftermath.of(run, str(order.key)).credits:
        return Written(ref)
    stamp = run.crm.record_stamp("invoice", ref.id)
    if stamp is not None and stamp.ours is False:
        return Written(ref)  # people have taken it on from there
    crediting.invoiced(run, order)
    return crm.mend_invoice(ref, order, refs, sales_order.ref)


def _note(run: Run, order: SalesOrder, made: Ensured) -> None:
    """Show it with the order. What the CRM says of it later comes by its own way (pipelines.crmpolling)."""
    if run.rehearsed:
        return
    crm = invoicing(run)
    word = crm.invoice_word(order) if crm is not None else ""
    state: State = crm.invoice_state(word) if crm is not None else "unknown"
    run.ledger.invoices.made(
        InvoiceState(
            flow=run.flow.name,
            order_key=str(order.key),
            system=run.flow.target,
            remote_id=made.ref.id,
            origin="ours",
            number=made.ref.number,
            word=word,
            state=state,
            currency=order.currency,
            total=order.total,
            issued=invoice_day(order, run.context.seller.zone),
        )
    )


def _show(run: Run, order: SalesOrder, link: Link) -> None:
    """One that was linked and is not shown (a crash between the two, an older ledger): what it holds, its CRM tells."""
    flow, key = run.flow.name, str(order.key)
    shown = {(one.system, one.remote_id) for one in run.ledger.invoices.of_order(flow, key)}
    if not run.rehearsed and (link.target, link.remote_id) not in shown:
        run.ledger.invoices.made(
            InvoiceState(flow, key, link.target, link.remote_id, "ours", link.remote_number, currency=order.currency)
        )


def _wake_bills(run: Run, order: SalesOrder, sales_order: Ensured) -> None:
    if not run.flow.invoices_from or run.rehearsed:
        return
    names = erporders.names_of(order.key, order.number, sales_order.ref.number)
    for route in run.context.invoice_routes(run.flow.invoices_from):
        if route.flow == run.flow.name:
            run.ledger.invoices.came(route, names)


def invoicing(run: Run) -> Invoicing | None:
    """The target, where its invoices have a life of their own; a rehearsal's notes what would be written."""
    return cast("Invoicing", run.crm) if isinstance(run.context.crms.get(run.to), Invoicing) else None


def paid_of(total: Decimal | None, balance: Decimal | None) -> Decimal | None:
    """What was paid of a bill whose ERP tells what is still to be paid; None where it does not."""
    return total - balance if total is not None and balance is not None else None


def _silent(run: Run) -> bool:
    """Whether what woke this job last is a backfill that makes no invoices."""
    number = marked(run.claim.correlation)
    asked = run.context.ledger.runs.get(number) if number is not None else None
    return asked is not None and asked.kind == "backfill" and not asked.options.get("invoices")
