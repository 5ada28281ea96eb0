"""Web orders into the CRM: the recipe. skip? -> check -> products -> customer -> order -> invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from connectors.roles import CrmProduct, OrderRefs, Ref, Written
from core.errors import Held, Skipped
from core.keys import Change, Key, external_id
from core.money import show
from core.settings import MethodTable
from ledger.jobs import Outcome
from ledger.links import Link
from ledger.reps import OrderRep
from mapping.canonical import LineKind, OrderStatus, SalesOrder
from mapping.refunds import taken_off
from pipelines import (
    adopted,
    adoptedwatch,
    amending,
    calling_off,
    crediting,
    customers,
    invoices,
    life,
    orderreps,
    papers,
    products,
    refunds,
    start,
    watch,
    writeoff,
)
from pipelines.customers import CustomerRefs
from pipelines.run import Ensured, Run

KIND: Final = "order"


def sync_order(run: Run, order: SalesOrder) -> Outcome:
    """Converge the CRM to this state of the order. Raises the taxonomy of core.errors."""
    order = refunds.applied(run, order)
    link = run.ledger.links.get(run.flow.target, KIND, str(order.key))
    if link is None or not link.linked:
        if not _made_already(run, order, link):
            _import_rules(run, order)
        start.require(run, order, link)
    elif link.origin == adopted.ORIGIN:
        if not run.rehearsed:
            adoptedwatch.follow(run.context, run.flow, order)
        return adopted.sync(run, order, link, lambda: _update_words(run, order, link))
    _limits(run, order)
    _balanced(order)
    rep = orderreps.whose(run.context, run.crm, run.flow, order)
    words = words_of(run, order, products.resolve(run.context.products, run.crm, order), rep)
    run.crm.check_order_words(words, order)
    action = calling_off.decide(run, order, words, link)
    customer = customers.ensure(run, order, owner=words.owner)
    refs = with_customer(words, customer)
    try:
        ensured = amending.ensure(run, order, refs, link)
    except Held as error:
        if error.error_class == "missing reference":
            customers.look_again(run, customer)
        raise
    if (
        rep is not None
        and not run.rehearsed
        and (ensured.created or "owner" not in amending.ownership_of(run.flow).keep)
    ):
        orderreps.keep(run.context, order.key, rep)
    if rep is not None:
        made = [customer.account] * ("account" in customer.made) + [customer.contact] * ("contact" in customer.made)
        orderreps.given(run, words.owner, [*made, *([ensured.ref.id] if ensured.created else [])])
    state = life.note(run, order, refs, ensured)
    calling_off.follow(run, order, refs, ensured.ref, action)
    invoices.ensure(run, order, refs, ensured, state)
    crediting.follow(run, order, refs, ensured.ref)
    writeoff.follow(run, order, state)
    papers.follow(run, order, refs, state)
    watch.follow(run, state)
    return Outcome("settled", number=order.number, amount=str(order.total), currency=order.currency)


def _update_words(run: Run, order: SalesOrder, link: Link) -> Ensured:
    """Status, addresses and methods of an order that a person typed; its lines stay as they were typed."""
    ownership = amending.ownership_of(run.flow)
    ownership = replace(ownership, keep=ownership.keep | adopted.NOT_OURS, fill=ownership.fill - adopted.NOT_OURS)
    words = words_of(run, order, products.resolve(run.context.products, run.crm, order))
    run.crm.check_order_words(words, order)
    there = Ref(link.remote_id, link.remote_number)
    return run.ensure(
        KIND,
        str(order.key),
        payload_hash=run.crm.payload_fingerprint(order, words, ownership),
        find=lambda: [there] if run.crm.order_total(there) else [],
        create=lambda: Written(there),  # it is linked: nothing is created
        update=lambda ref: run.crm.update_order(ref, order, words, ownership),
        known=link,
    )


def deleted(run: Run) -> Outcome:
    """The store has deleted the order: it is called off, as it was known last."""
    link = run.ledger.links.get(run.flow.target, KIND, str(run.claim.key))
    if link is None or not (link.linked or link.state == "sent"):
        raise Skipped("The store deleted this order before it was carried over.", rule="deleted")
    order = _as_it_was(run)
    if order is None:
        raise Held(
            f"The store deleted this order, the CRM has it as {link.remote_number or link.remote_id}, and what it held is not "
            "kept any more. What to do: cancel or delete it in the CRM, then skip this job.",
            error_class="missing reference",
        )
    run.order = run.seen = order
    return sync_order(run, order)


def _as_it_was(run: Run) -> SalesOrder | None:
    """The deleted order as its store last told it; None where that is not kept, or could never be read."""
    inbox, key = run.context.ledger.inbox, run.claim.key
    record = inbox.record(key)
    raw = (record.raw if record is not None else None) or inbox.last_text(key)
    if raw is None:
        return None
    try:
        order = run.store.order(key, raw)
    except Held:
        return None
    return order.model_copy(update={"status": OrderStatus.DELETED})


def gone(key: Key, asked_at: datetime) -> Change:
    """What we note when the store answers that it has no such record."""
    return Change(
        key, None, None, f"gone:{key.kind}:{key.id}:{asked_at.isoformat()}", fetched_at=asked_at, deleted=True
    )


# -- skip? ---------------------------------------------------------------------------------------------------------


def _made_already(run: Run, order: SalesOrder, link: Link | None) -> bool:
    """Whether an order that was to be created, and whose creation is in doubt, is there. Only asked where it matters: of one
    that the store has called off since.
    """
    if link is None or link.state != "sent" or not life.called_off(order):
        return False
    run.intend(KIND, [str(order.key)])  # nobody looks before the hold is over
    return bool(run.crm.find_order(external_id(order.key.connection, order.key.kind, order.key.id)))


def _import_rules(run: Run, order: SalesOrder) -> None:
    """Orders that are in the CRM already are kept up to date whatever the rules say; new ones must pass them."""
    rules = run.flow.rules
    if order.status.value not in rules.statuses:
        raise Skipped(
            f"Orders with status {order.source_status or order.status.value} are not carried over.", rule="statuses"
        )
    if order.payment_status.value not in rules.payment:
        raise Skipped(f"Orders whose payment is {order.payment_status.value} are not carried over.", rule="payment")
    if rules.channels and order.channel not in rules.channels:
        raise Skipped(f"Orders of the channel {order.channel} are not carried over.", rule="channels")
    if rules.minimum is not None and order.total < rules.minimum:
        raise Skipped(f"Orders below {show(rules.minimum, order.currency)} are not carried over.", rule="minimum")


def _limits(run: Run, order: SalesOrder) -> None:
    if len(order.lines) > run.flow.max_lines:
        raise Held(
            f"The order has {len(order.lines)} lines, more than max_lines = {run.flow.max_lines} of the flow {run.flow.name}. "
            "What to do: raise max_lines if the order is genuine, then retry.",
            field="lines",
        )


def _balanced(order: SalesOrder) -> None:
    """The invariant of money, checked once more at the door: mappings balance orders, whatever they are written by."""
    difference = order.total - order.lines_net - order.tax - order.shipping_net - order.rounding
    if difference:
        raise Held(
            f"The order does not balance: its total is {show(order.total, order.currency)}, its parts differ by "
            f"{show(difference, order.currency)}. What to do: compare the order with the store, correct it there.",
            error_class="money",
            field="total",
        )


# -- the flow's words for the CRM ----------------------------------------------------------------------------------


def words_of(run: Run, order: SalesOrder, found: dict[str, CrmProduct], rep: OrderRep | None = None) -> OrderRefs:
    """Everything about the order that is a word or a record of the CRM, but the customer. Of the run it takes the flow, the
    owners that the CRM knows, and the ear for warnings. `rep`: whose it is, where a flow of sales reps says so.
    """
    return OrderRefs(
        external_id=external_id(order.key.connection, order.key.kind, order.key.id),
        account="",
        contact="",
        owner=rep.owner if rep is not None else _owner(run, order),
        products=found,
        status=_status(run, order.status),
        delivery_method=_method(run, run.flow.delivery, order.delivery_method, "delivery"),
        payment_method=_method(run, run.flow.payment, order.payment_method, "payment"),
        notes=tuple(_notes(run, order, found)),
    )


def with_customer(words: OrderRefs, customer: CustomerRefs) -> OrderRefs:
    """The same with the customer."""
    return OrderRefs(
        external_id=words.external_id,
        account=customer.account,
        contact=customer.contact,
        owner=words.owner,
        products=words.products,
        status=words.status,
        delivery_method=words.delivery_method,
        payment_method=words.payment_method,
        notes=words.notes,
    )


def _owner(run: Run, order: SalesOrder) -> str:
    """Who placed it, else the flow's owner. A name that the owners table does not know is held, never someone else."""
    if run.flow.owner_by == "placed_by" and order.placed_by:
        if run.crm.has_owner(order.placed_by):
            return order.placed_by
        raise Held(
            f"The order was placed by {order.placed_by}, whom the owners table of {run.flow.target} does not know. "
            f"What to do: add {order.placed_by} to the owners of the connection {run.flow.target}, then retry.",
            error_class="missing reference",
            field="placed_by",
        )
    return run.flow.owner


def _status(run: Run, status: OrderStatus) -> str:
    if status is OrderStatus.UNKNOWN:
        run.warn(
            "The store uses a status that the table does not know. What to do: add it to the statuses of the store's connection.",
            "unknown status",
        )
    return run.flow.statuses.get(status.value, "")


def _method(run: Run, table: MethodTable, code: str, what: str) -> str:
    if not code:
        return table.default
    word = table.table.get(code)
    if word is None and table.table:
        run.warn(
            f"The {what} method {code} has no word for the CRM, {table.default or 'none'} is used. "
            f"What to do: add it to the flow's {what} table.",
            f"unknown {what} method",
        )
    return table.default if word is None else word


def _notes(run: Run, order: SalesOrder, found: dict[str, CrmProduct]) -> list[str]:
    notes = [f"Order {order.number} ({order.channel}), placed {order.placed_at:%Y-%m-%d %H:%M} UTC"]
    if order.rounding:
        notes.append(f"Rounding by the store: {show(order.rounding, order.currency)} ({order.rounding_reason})")
    for line in order.lines:
        if line.kind is LineKind.PRODUCT and line.sku not in found:
            what = line.sku or "a line without article number"
            notes.append(f"Unknown article: {what} {line.name}")
            run.warn(
                f"The CRM has no product {what}: the line is parked with its text. "
                "What to do: add the product in the CRM, then retry the job.",
                "unknown sku",
            )
    if order.refunded != Decimal(0):
        off = taken_off(order) >= {refund.id for refund in order.refunds if refund.amount}
        how = "taken off the total" if off else "not part of the total"
        notes.append(f"Refunded: {show(order.refunded, order.currency)} ({how})")
    if order.coupons:
        notes.append("Coupons: " + ", ".join(coupon.code for coupon in order.coupons))
    return notes
