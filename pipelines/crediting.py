"""Credit notes: what went back of an order that was invoiced already is taken back by a document of its own, once a refund.

A refund that the invoice was made with needs none: the invoice was less from the start. One that the store deletes takes its
note with it: the note is cancelled, never deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from connectors.roles import CREDIT, Crediting, OrderRefs, Ref
from core.keys import external_id
from ledger.invoices import InvoiceState
from ledger.links import Link
from mapping.canonical import OrderLine, Refund, SalesOrder
from mapping.days import day_in
from mapping.refunds import credit_of, less_refunds, lines_of, taken_off
from pipelines import aftermath
from pipelines.aftermath import Aftermath
from pipelines.run import Run

KIND: Final = CREDIT
INVOICE: Final = "invoice"
CANCELLED: Final = "cancelled"
"""In place of the digest of an invoice or note: the record's word is the one for cancelled ones."""
CREDITED: Final = "credited"
INVOICED: Final = "once"
"""In place of the digest of an invoice that is made once, and left to the CRM."""


@dataclass(frozen=True, slots=True)
class Note:
    """One credit note. `place`: what it is for, `refund/15=3.5` or `cancelled/1`; `lines` are negative."""

    place: str
    lines: Sequence[OrderLine]
    reason: str
    issued: date | None = None


def invoiced(run: Run, order: SalesOrder) -> None:
    """Called just before the order's invoice is made: the refunds that are taken off it already need no credit notes."""
    known = aftermath.of(run, str(order.key))
    # None is there yet: whatever was noted before an earlier try does not count any more.
    off = taken_off(order)
    marks = frozenset(mark(refund) for refund in order.refunds if refund.id in off)
    if marks != known.invoiced:
        aftermath.keep(run, str(order.key), replace(known, invoiced=marks))


def mark(refund: Refund) -> str:
    """What a refund is known by: of another amount it is another one, though it may have the same id."""
    return f"{refund.id}={refund.amount.normalize():f}"


def later(order: SalesOrder, known: Aftermath) -> list[Refund]:
    """The refunds that the invoice was not made with."""
    counted = {one.rpartition("=")[0] for one in known.invoiced}
    return [one for one in order.refunds if one.amount and one.id not in counted]


def invoice_of(run: Run, order: SalesOrder) -> Link | None:
    """The invoice that we made of this order."""
    link = run.ledger.links.get(run.flow.target, INVOICE, str(order.key))
    return link if link is not None and link.linked else None


def follow(run: Run, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> None:
    """A note for each refund of what was invoiced, none for what the store took back, nor for what goes back of an order
    whose whole invoice is taken back.
    """
    known = aftermath.of(run, str(order.key))
    if known.action == "credit":
        return  # once all that was left of the invoice went back, nothing of it comes again before the order does
    wanted = later(order, known)
    if known.action:
        wanted = [one for one in wanted if mark(one) in known.credits and known.action != "cancel"]
    refunded(run, order, refs, order_ref, wanted)


def refunded(run: Run, order: SalesOrder, refs: OrderRefs, order_ref: Ref, wanted: Sequence[Refund]) -> None:
    """A note for each of these refunds and for no other one, as far as the flow wants notes and the invoice stands."""
    crm, known = aftermath.crediting(run), aftermath.of(run, str(order.key))
    invoice = invoice_of(run, order)
    if crm is None or run.flow.refunds.invoice != "credit" or invoice is None:
        return
    if invented := invoice.created_at is None:  # a rehearsal has just made it: nothing was noted with it
        off = taken_off(order)
        wanted = [one for one in wanted if one.id not in off]
    _warn_of_lost(run, order, known)
    new = {mark(refund) for refund in wanted} - known.credits
    if new and not invented and not _stands(crm, invoice):
        run.warn(
            f"{invoice.remote_number or invoice.remote_id} was cancelled or deleted in {run.flow.target}: the refund "
            f"{', '.join(sorted(one.id for one in wanted if mark(one) in new))} gets no credit note. "
            "What to do: nothing if that was meant; else set it back there.",
            "invoice taken back",
        )
        wanted, new = [one for one in wanted if mark(one) not in new], set()
    if new:
        known = aftermath.keep(run, str(order.key), replace(known, credits=known.credits | new))
    for refund in wanted:
        lines = _lines(order, refund)
        day = day_in(refund.created, run.context.seller.zone) if refund.created is not None else None
        reason = f"Refund {refund.id}" + (f": {refund.reason}" if refund.reason else "")
        ensure(run, crm, order, refs, order_ref, Note(_place(mark(refund)), lines, reason, day))
    for one in sorted(known.credits - {mark(refund) for refund in wanted}):
        cancel(run, crm, order, _place(one))


def _stands(crm: Crediting, invoice: Link) -> bool:
    """Whether people have left the invoice as it was."""
    there = crm.issued(Ref(invoice.remote_id, invoice.remote_number))
    return there is not None and there.status != crm.bill_word("cancelled")


def _warn_of_lost(run: Run, order: SalesOrder, known: Aftermath) -> None:
    """An invoice is never made more than it was."""
    if lost := sorted(known.invoiced - {mark(refund) for refund in order.refunds}):
        link = invoice_of(run, order)
        name = (link.remote_number or link.remote_id) if link is not None else "its invoice"
        run.warn(
            f"The store has taken back or changed the refund {', '.join(one.rpartition('=')[0] for one in lost)}, which {name} "
            "was made with: it is another sum than the order. "
            f"What to do: cancel {name} in {run.flow.target} and write another one, or invoice the difference.",
            "invoice too low",
        )


def _lines(order: SalesOrder, refund: Refund) -> tuple[OrderLine, ...]:
    """What this refund takes off, whether it stands on the order or not."""
    return lines_of(order if refund.id in taken_off(order) else less_refunds(order, [refund]), refund.id)


def _place(marked: str) -> str:
    return f"refund/{marked}"


# -- one note ----------------------------------------------------------------------------------------------------------


def _key(order: SalesOrder, place: str) -> str:
    """The note's own key. Notes are looked for by it, also when their creation was in doubt (pipelines.doubles)."""
    return f"{order.key}/{place}"


def order_of(key: str) -> str:
    """The key of the order that a note is for."""
    return next((key.rpartition(mark)[0] for mark in ("/refund/", "/cancelled/") if mark in key), key)


def _external(order: SalesOrder, place: str) -> str:
    return external_id(order.key.connection, KIND, f"{order.key.id}/{place}")


def ensure(run: Run, crm: Crediting, order: SalesOrder, refs: OrderRefs, order_ref: Ref, note: Note) -> None:
    """The credit note, once, and not cancelled."""
    credit = credit_of(order, note.lines)
    own = replace(refs, external_id=_external(order, note.place), notes=(note.reason,), zone=run.context.seller.zone)
    word = crm.bill_word("credited")
    made = run.ensure(
        KIND,
        _key(order, note.place),
        payload_hash=CREDITED,
        find=lambda: run.crm.find_invoice(own.external_id),
        create=lambda: crm.create_credit(credit, own, order_ref, note.issued),
        update=lambda ref: crm.set_invoice_status(ref, word),
    )
    if run.rehearsed:
        return
    shown = {one.remote_id: one for one in run.ledger.invoices.of_order(run.flow.name, str(order.key))}
    known = shown.get(made.ref.id)
    if known is None or known.origin != "ours":
        run.ledger.invoices.made(_state(run, credit, made.ref, word, note))
    elif made.changed:
        _told(run, crm, made.ref, word)


def _state(run: Run, credit: SalesOrder, ref: Ref, word: str, note: Note) -> InvoiceState:
    return InvoiceState(
        flow=run.flow.name,
        order_key=str(credit.key),
        system=run.flow.target,
        remote_id=ref.id,
        origin="ours",
        number=ref.number,
        word=word,
        state="credited",
        credit=True,
        currency=credit.currency,
        total=-credit.total,
        issued=note.issued,
    )


def cancel(run: Run, crm: Crediting, order: SalesOrder, place: str) -> None:
    """The note, if it was made, counts no more."""
    key = _key(order, place)
    link = run.ledger.links.get(run.flow.target, KIND, key)
    if link is None:
        return
    if not link.linked:  # its creation is in doubt: what was not made needs no cancelling
        link = run.intend(KIND, [key]).links[0]
        found = run.crm.find_invoice(_external(order, place))
        if not link.linked and not found:
            return
        if not link.linked:
            run.ledger.links.link([link], found[0].id, number=found[0].number, recheck=run.recheck)
            link = run.ledger.links.get(run.flow.target, KIND, key) or link
    set_status(run, crm, link, CANCELLED, crm.bill_word("cancelled"))


def set_status(run: Run, crm: Crediting, link: Link, digest: str, word: str) -> None:
    """An invoice or note that is there gets this word; `digest` stands for it in its link."""
    there = Ref(link.remote_id, link.remote_number)
    done = run.ensure(
        link.kind,
        link.key,
        payload_hash=digest,
        find=lambda: [there] if crm.issued(there) is not None else [],
        create=lambda: crm.set_invoice_status(there, word),  # it is linked: nothing is created
        update=lambda ref: crm.set_invoice_status(ref, word),
        known=link,
    )
    if done.changed and not run.rehearsed:
        _told(run, crm, there, word)


def _told(run: Run, crm: Crediting, ref: Ref, word: str) -> None:
    """What we wrote is shown at once; when the CRM says the same later, that is no news."""
    state = crm.invoice_state(word)
    for shown in run.ledger.invoices.of_remote(run.flow.target, ref.id):
        run.ledger.invoices.keep(replace(shown, word=word, state=state))


def sum_of(run: Run, order: SalesOrder, crm: Crediting) -> Decimal:
    """What the notes of this order take back, positive, as the CRM has them."""
    total = Decimal(0)
    for marked in sorted(aftermath.of(run, str(order.key)).credits):
        link = run.ledger.links.get(run.flow.target, KIND, _key(order, _place(marked)))
        if link is None or not link.linked or link.payload_hash == CANCELLED:
            continue
        there = crm.issued(Ref(link.remote_id, link.remote_number))
        if there is not None and there.status != crm.bill_word("cancelled"):
            total -= there.total
    return total
