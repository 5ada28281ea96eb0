"""An order that its store calls off: in time it is simply cancelled; after its invoice, or after the goods left, the flow's
policy says what becomes of it. What was decided once holds until the store takes the cancellation back, and is undone then.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from connectors.roles import Crediting, OrderRefs, Ref
from core.errors import Held
from core.money import show
from core.settings import CancelWord
from ledger.links import Link
from mapping.canonical import LineKind, OrderLine, OrderStatus, SalesOrder
from mapping.canonical.totals import rounding_unit
from mapping.refunds import PREFIX, as_sold, less_refunds, reversal
from pipelines import aftermath, crediting, invoices, life
from pipelines.aftermath import Action, Aftermath
from pipelines.run import Run

CALLS_OFF: Final = frozenset({OrderStatus.CANCELLED, OrderStatus.FAILED, OrderStatus.DELETED})
"""Statuses by which a store calls an order off. A refunded one is not: its refunds say what became of it."""
LATE: Final = "cancelled late"
"""The class of an order whose cancellation a person must judge."""
_STRICTEST: Final[tuple[CancelWord, ...]] = ("hold", "credit", "cancel")


def decide(run: Run, order: SalesOrder, words: OrderRefs, link: Link | None) -> Action:
    """How the cancellation of an order that is there is met, before anything of it is written; "" where it is not called off.
    Raises Held (class "cancelled late") where a person must decide.
    """
    key = str(order.key)
    known = aftermath.of(run, key)
    if not life.called_off(order) or link is None or not link.linked:
        return ""
    known = replace(
        known,
        left=known.left or (not known.action and _shipped(run, order, link)),
        refunded=known.refunded or order.status is OrderStatus.REFUNDED,
    )
    if order.status in CALLS_OFF and not known.action:
        known = replace(known, action=_action(run, order, words, link, known))
    aftermath.keep(run, key, known)
    return known.action if order.status in CALLS_OFF else ""


def follow(run: Run, order: SalesOrder, refs: OrderRefs, order_ref: Ref, action: Action) -> None:
    """The invoice of a cancelled order, as it was decided; what a cancellation did that the store has taken back is undone."""
    crm, known = aftermath.crediting(run), aftermath.of(run, str(order.key))
    if (known.left or known.refunded) and not life.called_off(order):  # its status tells again, and it is noted
        known = aftermath.keep(run, str(order.key), replace(known, left=False, refunded=False))
    if crm is None:
        return
    if not action:
        if known.action:
            _take_back(run, order, crm, known)
        return
    invoice = crediting.invoice_of(run, order)
    if invoice is None:
        return
    if action == "cancel":
        _cancel_invoice(run, order, crm, known, invoice)
    elif action == "credit":
        _credit_rest(run, order, refs, order_ref, crm, known, invoice)


# -- what to do --------------------------------------------------------------------------------------------------------


def _action(run: Run, order: SalesOrder, words: OrderRefs, link: Link, known: Aftermath) -> Action:
    """By the strictest policy of what happened already."""
    policy = run.flow.cancel
    invoices.settle(run, order)
    late = {"invoiced": policy.invoiced} if _invoiced(run, order) else {}
    late |= {"shipped": policy.shipped} if known.left else {}
    wanted = next((word for word in _STRICTEST if word in late.values()), None)
    if wanted is None:
        return "plain"
    if wanted != "hold":
        return wanted
    why = [what for what, word in late.items() if word == "hold"]
    there, word = run.crm.order_total(Ref(link.remote_id, link.remote_number)), run.crm.order_word(words, order)
    if there is None or there[1] != word:
        raise _held(run, order, link, why)
    if known.refunded:  # the word is ours
        raise _held(run, order, link, why, word)
    return "person"


def _invoiced(run: Run, order: SalesOrder) -> bool:
    """Whether an invoice stands, whoever wrote it."""
    known = run.ledger.invoices.of_order(run.flow.name, str(order.key))
    standing = [one for one in known if not one.credit and one.state not in {"cancelled", "deleted", "draft"}]
    link = crediting.invoice_of(run, order)
    unknown = link is not None and link.remote_id not in {one.remote_id for one in known}
    return bool(standing) or unknown


def _shipped(run: Run, order: SalesOrder, link: Link) -> bool:
    """Whether goods have left, as the store tells now or told before it called the order off, or as the CRM says."""
    before = run.ledger.orders.get(run.flow.name, str(order.key))
    told = order.shipped_at or order.delivered_at or order.tracking
    if told:
        return True
    words = {*run.flow.delivered, *run.flow.shipped}
    if before is None:  # it was carried over before anybody kept how far orders have come
        there = run.crm.order_total(Ref(link.remote_id, link.remote_number))
        return there is not None and there[1] in words
    return bool(before.shipped_at or before.delivered_at) or before.crm_status in words


def _held(run: Run, order: SalesOrder, link: Link, why: list[str], word: str = "") -> Held:
    """`word`: the CRM's word for called off orders, where it is the order's already."""
    there = link.remote_number or link.remote_id
    so = "stays as it is"
    do = f"cancel {there} there, with its invoice or by a credit note, then retry; or skip this job"
    if word:
        so = f"is {word} there since it was refunded, and stays as it is"
        do = f"see what becomes of the money and of the invoices of {there} there, then skip this job"
    return Held(
        f"The store has called off the order {order.number}, which is {' and '.join(why)} already: {there} in "
        f"{run.flow.target} {so}. What to do: {do}. "
        f'To have it done from now on, set {why[0]} = "cancel" or "credit" in the flow\'s cancel table.',
        error_class=LATE,
        field="status",
    )


# -- doing it ----------------------------------------------------------------------------------------------------------


def _cancel_invoice(run: Run, order: SalesOrder, crm: Crediting, known: Aftermath, invoice: Link) -> None:
    """The CRM gives back the stock that it took by itself. What the invoice was called before is remembered. One that people
    have cancelled or deleted is theirs.
    """
    cancelled = crm.bill_word("cancelled")
    if invoice.payload_hash == crediting.CANCELLED:
        return
    if not known.was:
        there = crm.issued(Ref(invoice.remote_id, invoice.remote_number))
        if there is None or there.status == cancelled:
            return
        was = there.status or crm.invoice_word(order)
        aftermath.keep(run, str(order.key), replace(aftermath.of(run, str(order.key)), was=was))
    crediting.set_status(run, crm, invoice, crediting.CANCELLED, cancelled)


def _credit_rest(
    run: Run, order: SalesOrder, refs: OrderRefs, order_ref: Ref, crm: Crediting, known: Aftermath, invoice: Link
) -> None:
    """A note over what is left of the invoice after its refunds, whose own notes are made first. Where the order is another sum
    by now than what is left of it, the note is over that sum alone: line by line it would take back what was never invoiced.
    """
    place = _place(known)
    note = run.ledger.links.get(run.flow.target, crediting.KIND, f"{order.key}/{place}")
    if note is not None and note.linked and note.payload_hash == crediting.CREDITED:
        return
    there = crm.issued(Ref(invoice.remote_id, invoice.remote_number))
    if there is None or there.status == crm.bill_word("cancelled"):
        return
    if note is None or note.state == "intended":  # else it may be there already, over a rest without later refunds
        crediting.refunded(run, order, refs, order_ref, crediting.later(order, known))
        known = aftermath.of(run, str(order.key))
    rest = (there.total - crediting.sum_of(run, order, crm)).quantize(rounding_unit(order))
    if rest > 0:
        reason = f"Order {order.number} was cancelled"
        crediting.ensure(run, crm, order, refs, order_ref, crediting.Note(place, _rest(order, known, rest), reason))


def _rest(order: SalesOrder, known: Aftermath, rest: Decimal) -> tuple[OrderLine, ...]:
    """Lines that come to `rest`, negative: those of the order less the refunds that were taken off the invoice or have notes,
    less all of them, or less none, where that is what is left.
    """
    sold = as_sold(order)
    told = [one for one in order.refunds if crediting.mark(one) in known.invoiced | known.credits]
    for left in (less_refunds(sold, off) for off in (told, order.refunds, ())):
        if left.total == rest:
            return reversal(left)
    name = f"Cancelled: what is left of the invoice, {show(rest, order.currency)}"
    return (OrderLine(id=f"{PREFIX}cancelled/rest", kind=LineKind.REFUND, name=name, subtotal=-rest, net=-rest),)


def _place(known: Aftermath) -> str:
    """Each cancellation has a note of its own: what is left may be another sum the next time."""
    return f"cancelled/{known.times + 1}"


def _take_back(run: Run, order: SalesOrder, crm: Crediting, known: Aftermath) -> None:
    """The store wants the order after all."""
    invoice = crediting.invoice_of(run, order)
    if known.action == "cancel" and known.was and invoice is not None:
        crediting.set_status(run, crm, invoice, crediting.INVOICED, known.was)
    if known.action == "credit":
        crediting.cancel(run, crm, order, _place(known))
    aftermath.keep(run, str(order.key), replace(known, action="", was="", times=known.times + 1))
