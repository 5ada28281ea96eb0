"""What went back to the customer: each refund asked for once, kept as a record of its own, and taken off the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from connectors.roles import Refunding, refund_key
from core.errors import Held, NotThere
from core.keys import Change
from core.settings import FlowSettings
from mapping.canonical import Refund, SalesOrder
from mapping.refunds import less_refunds
from pipelines.context import Context
from pipelines.run import Run

__all__ = ["applied", "less", "read", "shown", "texts"]

_NOBODY: Final = ()


def applied(run: Run, order: SalesOrder) -> SalesOrder:
    """The order less what went back, as far as the flow wants that; as read it is as it was sold. Where a refund's parts are
    not known yet the store is asked for them, once. Raises Held for refunds that cannot be.
    """
    if order.refunds:
        order = less(run.flow, order, _asked(run, order))
        run.order = run.seen = order
    return order


def less(flow: FlowSettings, order: SalesOrder, refunds: Sequence[Refund]) -> SalesOrder:
    """The order with these refunds, as this flow wants them. Raises Held for refunds that cannot be."""
    if flow.refunds.order == "lines":
        return less_refunds(order, refunds)
    return order.model_copy(update={"refunds": tuple(refunds)})


def shown(context: Context, flow: FlowSettings | None, order: SalesOrder) -> SalesOrder:
    """The same from what is known, for people who look: asks nobody. What the store was not asked yet stands there by its
    amount; refunds that cannot be are left out.
    """
    if flow is None or not order.refunds:
        return order
    try:
        known = _known(context, order)
        return less(flow, order, [known.get(refund.id, refund) for refund in order.refunds])
    except Held:
        return order


def texts(context: Context, order: SalesOrder) -> dict[str, bytes]:
    """What the store told of the order's refunds, by their ids, as far as it was asked."""
    if _asked_of(context, order) is None:
        return {}
    found: dict[str, bytes] = {}
    for refund in order.refunds:
        record = context.ledger.inbox.record(refund_key(order.key, refund.id)) if refund.parts is None else None
        if record is not None and record.raw is not None and not record.deleted:
            found[refund.id] = record.raw
    return found


def read(store: object, order: SalesOrder, told: Mapping[str, bytes]) -> list[Refund]:
    """The order's refunds with their parts, by these texts; the others as the order names them. Raises Held."""
    if not isinstance(store, Refunding):
        return list(order.refunds)
    return [
        _merged(one, store.refund(refund_key(order.key, one.id), told[one.id])) if one.id in told else one
        for one in order.refunds
    ]


def _asked(run: Run, order: SalesOrder) -> list[Refund]:
    """The order's refunds with their parts. One that the store does not have any more is none; of an order that it does not
    have any more, the amounts are all there is.
    """
    known, store = _known(run.context, order), _asked_of(run.context, order)
    if len(known) == len(order.refunds):
        return [known[refund.id] for refund in order.refunds]
    if store is None or not _ask(run, store, order):
        return [known.get(refund.id, refund) for refund in order.refunds]
    known = _known(run.context, order)
    return [known[refund.id] for refund in order.refunds if refund.id in known]


def _known(context: Context, order: SalesOrder) -> Mapping[str, Refund]:
    """The refunds of the order whose parts are known, by id: from the order itself, or from their own records."""
    told = texts(context, order)
    found = read(_asked_of(context, order), order, told)
    return {one.id: one for one in found if one.parts is not None}


def _asked_of(context: Context, order: SalesOrder) -> Refunding | None:
    """Who can be asked for the order's refunds."""
    store = context.stores.get(order.key.connection)
    return store if store is not None and isinstance(store, Refunding) else None


def _ask(run: Run, store: Refunding, order: SalesOrder) -> bool:
    """Ask and keep; False: the order itself is gone."""
    try:
        found = store.refunds(order.key)
    except NotThere:
        return False
    if any(change.problem for change in found):
        raise Held(
            f"The store told of a refund of the order {order.number} that cannot be read. What to do: look at the order's "
            "refunds in the store, and show them to the shop's developer; then retry.",
            error_class="mapping",
            field="refunds",
        )
    own: list[Change] = [replace(change, number=order.number) for change in found]
    run.context.ledger.inbox.accept(
        own, lambda _key: _NOBODY, via="fetch", want_jobs=False, correlation=run.claim.correlation
    )
    return True


def _merged(named: Refund, told: Refund) -> Refund:
    """The amount is the order's word: its newest state was read later than the refund, which never changes."""
    if told.amount != named.amount:
        raise Held(
            f"The order says that {named.amount} went back with the refund {named.id}, the refund itself says {told.amount}. "
            "What to do: have the order sent again; if it stays, compare both in the store.",
            error_class="money",
            field="refunds",
        )
    return told.model_copy(update={"reason": named.reason or told.reason})
