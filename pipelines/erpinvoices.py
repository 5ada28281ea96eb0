"""Invoices of an ERP beside the orders that they are for; where the flow says `from_erp`, in the CRM too.

A bill names its order as the customer or the store calls it, else by the ERP's own number; the latter counts only where the
sums are the same, for numbers of two systems meet. One that names an order nobody knows waits for it, and goes on the moment it
is there. One bill may be for several orders: it stands beside each of them, and in the CRM at the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from connectors.roles import Bill, OrderRefs, Ref
from connectors.roles.invoicing import InvoiceWord
from core.errors import Held, OrderwireError, RetryLater, Skipped
from core.keys import Key, external_id
from ledger.flows import REHEARSED
from ledger.invoices import KIND, InvoiceState, State
from ledger.jobs import Outcome
from ledger.links import Link
from mapping.canonical import ErpInvoice, SalesOrder
from mapping.days import day_in
from mapping.erpinvoices import billed, fits, named
from pipelines import adopted, crediting, customers, erporders, invoices, orders, products
from pipelines.run import Ensured, Run
from pipelines.standing import UNTIL_LIVE

MOST_NAMES: Final = 50
HALF: Final = 31
"""Characters of each of the two digests that a link keeps: of the header, which follows alone, and of the rest."""
_WORDS: Final[dict[str, InvoiceWord]] = {"draft": "draft", "open": "open", "paid": "paid", "cancelled": "cancelled"}


@dataclass(frozen=True, slots=True)
class Found:
    """An order that a bill is for, as its store has it, and where it is in the CRM."""

    order: SalesOrder
    link: Link


def carry(run: Run) -> Outcome:
    """Converge to the present state of one bill of the ERP. Raises the taxonomy of core.errors."""
    if run.rehearsed:
        return Outcome(
            "retry",
            "Invoices of the ERP wait until the flow is live. What to do: nothing more than for its orders.",
            error_class=REHEARSED,
            seconds=UNTIL_LIVE,
            burns=False,
        )
    erp = run.context.erp(run.claim.key.connection)
    record = erporders.newest(run, erp)
    if record.deleted:
        return _deleted(run)
    if record.raw is None:
        raise erporders.unknown_state(record.key)
    invoice = erp.invoice(record.key, record.raw)
    found = _orders(run, invoice)
    if not found:
        raise _no_order(run, invoice)
    run.ledger.invoices.waits_no_more(run.flow.name, invoice.key)
    made = _into_crm(run, invoice, found[0]) if _goes_over(run, invoice, found[0]) else None
    _show(run, invoice, found, made)
    return Outcome("settled", number=invoice.number, amount=str(invoice.total), currency=invoice.currency)


# -- the bill ----------------------------------------------------------------------------------------------------------


def _deleted(run: Run) -> Outcome:
    """An ERP deletes drafts; what was issued it cancels. One that was brought over is a person's to judge."""
    key = run.claim.key
    run.ledger.invoices.waits_no_more(run.flow.name, key)
    link = run.ledger.links.get(run.flow.target, KIND, str(key))
    if link is not None and link.linked and _is_ours(run, key):
        name = link.remote_number or link.remote_id
        raise Held(
            f"{key.connection} has deleted this invoice, which is {name} in {run.flow.target}. "
            "What to do: cancel or delete it there, then skip this job.",
            error_class="missing reference",
        )
    run.ledger.invoices.forget(run.flow.name, key.connection, key.id)
    raise Skipped("The ERP deleted this invoice before it was carried over.", rule="deleted")


# -- whose bill it is --------------------------------------------------------------------------------------------------


def _orders(run: Run, invoice: ErpInvoice) -> list[Found]:
    """The orders that it is for, in the order in which it names them. A reference that names an order that is not there is not
    overruled by a number.
    """
    if invoice.reference:
        return _named(run, named(invoice.reference))
    return [found for found in _named(run, named(invoice.order)) if fits(invoice, found.order)]


def _named(run: Run, names: Sequence[str]) -> list[Found]:
    found: dict[Key, Found] = {}
    for name in names[:MOST_NAMES]:
        for key in erporders.keys_called(run.context, run.flow, name):
            if key in found:
                continue
            one = _linked(run, key)
            if one is not None:
                found[key] = one
    return list(found.values())


def _linked(run: Run, key: Key) -> Found | None:
    """The order, once it is in the CRM; its own job brings it there."""
    link = run.ledger.links.get(run.flow.target, orders.KIND, str(key))
    record = run.context.ledger.inbox.record(key)
    if link is None or not link.linked or record is None or record.raw is None:
        return None
    return Found(run.context.store(key.connection).order(key, record.raw), link)


def _no_order(run: Run, invoice: ErpInvoice) -> OrderwireError:
    """It waits for its order, and after a while a person is asked; what is not ours to wait for is set aside."""
    names = named(invoice.reference, invoice.order)
    what = f"The invoice {invoice.number or invoice.key.id}"
    if not names:
        return Skipped(f"{what} names no order.", rule="no order")
    begun = run.ledger.flows.get(run.flow.name).start
    if begun is not None and invoice.issued is not None and invoice.issued < day_in(begun, run.context.seller.zone):
        return Skipped(f"{what} was issued before this flow began to create orders.", rule="before start")
    if invoice.status == "cancelled":
        return Skipped(f"{what} is cancelled, and its order is not known.", rule="no order")
    since = run.ledger.invoices.wait(run.flow.name, invoice.key, names)
    if _is_anothers(run, invoice):
        return Skipped(f"{what} names no order of this flow; another flow watches for it.", rule="no order")
    called = invoice.reference or invoice.order
    left = (since + timedelta(seconds=run.flow.invoices_wait) - run.ledger.clock.now()).total_seconds()
    if left > 0:
        return RetryLater(
            f"{what} is for {called}, which is not in {run.flow.target} yet. What to do: nothing, it follows the order.",
            seconds=left + 1,
            cause="waits for its order",
            burns_attempt=False,
        )
    if run.flow.invoices_unknown == "skip":
        return Skipped(f"{what} is for {called}, which did not come.", rule="no order")
    return Held(
        f"{what} is for {called}, and no order of {run.flow.source} is called that. What to do: correct the reference in the "
        'ERP; or skip this job if the order was never a web order (invoices_unknown = "skip" does so for all).',
        error_class="missing reference",
        field="order",
    )


def _is_ours(run: Run, key: Key) -> bool:
    """Whether it stands beside an order of this flow."""
    return any(one.flow == run.flow.name for one in run.ledger.invoices.of_remote(key.connection, key.id))


def _is_anothers(run: Run, invoice: ErpInvoice) -> bool:
    """Several stores may share an ERP. Whose order it names has it; what nobody knows is the first flow's to tell."""
    same = [flow for flow in run.context.flows.values() if flow.invoices_from == run.flow.invoices_from]
    others = {flow.source for flow in same if flow.name != run.flow.name and flow.source != run.flow.source}
    called = named(invoice.reference)[:MOST_NAMES]
    by_number = run.context.ledger.inbox.by_number
    if any(one.number == name for source in others for name in called for one in by_number(name, source)):
        return True
    return min(flow.name for flow in same) != run.flow.name if same else False


# -- into the CRM ------------------------------------------------------------------------------------------------------


def _goes_over(run: Run, invoice: ErpInvoice, found: Found) -> bool:
    """Whether the CRM is to have it: one that was never issued, or is of an order that stood there before us, is not."""
    if run.flow.invoices != "from_erp" or invoices.invoicing(run) is None:
        return False
    known = run.ledger.links.get(run.flow.target, KIND, str(invoice.key))
    if known is not None and (known.linked or known.state == "sent"):
        return True
    if not invoice.credit and crediting.invoice_of(run, found.order) is not None:
        return False  # the order was invoiced by us, before the flow left that to the ERP
    begun = run.ledger.flows.get(run.flow.name).start
    old = begun is not None and found.order.placed_at < begun
    issued = bool(invoice.number) and invoice.status not in {"draft", "cancelled"}
    return issued and not old and found.link.origin != adopted.ORIGIN


def _into_crm(run: Run, invoice: ErpInvoice, found: Found) -> Ensured:
    """Create it once, then follow its status, payments and lines."""
    crm = invoices.invoicing(run)
    if crm is None:
        raise Held(
            f"{run.flow.target} keeps no invoices of an ERP. What to do: choose another policy for invoices.",
            error_class="configuration",
        )
    content = billed(found.order, invoice)
    refs, order_ref, bill = _refs(run, invoice, content, found), Ref(found.link.remote_id), _bill(invoice)
    header, rest = crm.bill_fingerprints(bill, content, refs, order_ref)
    known = run.ledger.links.get(run.flow.target, KIND, str(invoice.key))
    digest = f"{header[:HALF]}/{rest[:HALF]}"
    lines = known is None or known.payload_hash.partition("/")[2] != digest.partition("/")[2]
    return run.ensure(
        KIND,
        str(invoice.key),
        payload_hash=digest,
        find=lambda: run.crm.find_invoice(refs.external_id),
        create=lambda: crm.create_bill(bill, content, refs, order_ref),
        update=lambda ref: crm.update_bill(ref, bill, content, refs, order_ref, lines=lines),
        known=known,
    )


def _refs(run: Run, invoice: ErpInvoice, content: SalesOrder, found: Found) -> OrderRefs:
    state = run.ledger.orders.get(run.flow.name, str(found.order.key))
    articles = products.resolve(run.context.products, run.crm, content)
    words = orders.words_of(run, content, articles)
    identities = customers.identity_keys(found.order.customer, run.flow.region)
    links = run.ledger.links.find(run.flow.target, customers.KIND, identities)
    customer = next((links[key] for key in identities if key in links and links[key].linked), None)
    account = (state.account if state is not None else "") or (customer.remote_id if customer is not None else "")
    if not account:
        raise RetryLater(
            f"The customer of {found.order.number} is not known any more. What to do: nothing yet, the order is looked at.",
            seconds=60,
            cause="missing reference",
        )
    note = f"{'Credit note' if invoice.credit else 'Invoice'} {invoice.number} of {invoice.key.connection}"
    same = customer is not None and customer.remote_id == account
    return replace(
        words,
        external_id=external_id(invoice.key.connection, KIND, invoice.key.id),
        account=account,
        contact=customer.refs.get("contact", "") if same and customer is not None else "",
        owner=state.owner if state is not None and run.crm.has_owner(state.owner) else words.owner,
        notes=(note, *words.notes),
        zone=run.context.seller.zone,
    )


def _bill(invoice: ErpInvoice) -> Bill:
    received = invoices.paid_of(invoice.total, invoice.balance)
    return Bill(
        number=invoice.number or invoice.key.id,
        state=_state(invoice),
        issued=invoice.issued,
        due=invoice.due,
        received=received if not invoice.credit else None,
        balance=invoice.balance,
    )


def _state(invoice: ErpInvoice) -> InvoiceWord:
    state = _WORDS.get(invoice.status, "unknown")
    return "credited" if invoice.credit and state in {"open", "paid"} else state


# -- beside the order --------------------------------------------------------------------------------------------------


def _show(run: Run, invoice: ErpInvoice, found: Sequence[Found], made: Ensured | None) -> None:
    """What people see with each order: the bill as the ERP has it, and as it stands in the CRM."""
    seen_at, ledger, flow = run.ledger.clock.now(), run.ledger.invoices, run.flow.name
    in_crm = f"{run.flow.target}/{KIND}/{made.ref.id}" if made is not None else ""
    state: State = _state(invoice)
    for one in found:
        theirs = InvoiceState(
            flow=flow,
            order_key=str(one.order.key),
            system=invoice.key.connection,
            remote_id=invoice.key.id,
            origin="erp",
            number=invoice.number,
            word=invoice.status,
            state=state,
            credit=invoice.credit,
            currency=invoice.currency or one.order.currency,
            total=invoice.total,
            received=invoices.paid_of(invoice.total, invoice.balance),
            balance=invoice.balance,
            issued=invoice.issued,
            due=invoice.due,
            same_as=in_crm,
            seen_at=seen_at,
        )
        ledger.keep(theirs)
        if made is not None:
            ours = replace(theirs, **_in_crm(run, invoice, made))
            # What the CRM was seen to say stands, unless we wrote just now.
            ledger.keep(ours) if made.changed else ledger.made(ours)
    _forget_others(run, invoice, found, made)


def _in_crm(run: Run, invoice: ErpInvoice, made: Ensured) -> dict[str, Any]:
    """How the CRM's own record of the bill differs from the ERP's."""
    state, crm = _state(invoice), invoices.invoicing(run)
    return {
        "system": run.flow.target,
        "remote_id": made.ref.id,
        "number": made.ref.number,
        "word": crm.bill_word(state) if crm is not None else "",
        "same_as": str(invoice.key),
        "seen_at": None,
    }


def _forget_others(run: Run, invoice: ErpInvoice, found: Sequence[Found], made: Ensured | None) -> None:
    """Orders that it was for once, before its reference was corrected."""
    ledger, flow = run.ledger.invoices, run.flow.name
    ledger.forget(flow, invoice.key.connection, invoice.key.id, but=[str(one.order.key) for one in found])
    if made is not None:
        ledger.forget(flow, run.flow.target, made.ref.id, but=[str(one.order.key) for one in found])
