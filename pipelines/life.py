"""How far an order has come: what the store and the CRM say of it together, kept beside its job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from connectors.roles import OrderRefs
from ledger.orderstates import OrderState, StateLine
from mapping.canonical import LineKind, OrderStatus, SalesOrder
from pipelines.run import Ensured, Run

if TYPE_CHECKING:
    from core.settings import FlowSettings

CALLED_OFF: Final = frozenset(
    {OrderStatus.CANCELLED, OrderStatus.REFUNDED, OrderStatus.FAILED, OrderStatus.DELETED, OrderStatus.DRAFT}
)
"""Statuses in which no goods will leave."""


@dataclass(frozen=True, slots=True)
class There:
    """An order as it stands in the CRM."""

    remote_id: str
    account: str
    owner: str
    """By the owners table of the CRM's connection; "" where that is not known."""
    word: str
    """The CRM's own word for where it stands."""
    seen_at: datetime | None = None
    """When the CRM was seen to say so; None: it is what we wrote."""


def note(run: Run, order: SalesOrder, refs: OrderRefs, ensured: Ensured) -> OrderState:
    """Keep how far the order has come, and tell it. A rehearsal keeps nothing."""
    key = str(order.key)
    before = run.ledger.orders.get(run.flow.name, key)
    word = _word(run, order, refs, ensured, before)
    seen = before.crm_seen_at if before is not None and word == before.crm_status else None
    state = state_of(run.flow, order, There(ensured.ref.id, refs.account, refs.owner, word, seen))
    if run.rehearsed:
        return state
    run.ledger.orders.keep(state, over=before)
    if before is not None and word != before.crm_status:
        run.ledger.orders.crm_says(run.flow.name, key, word)
    return state


def called_off(order: SalesOrder) -> bool:
    """Whether its goods will not leave (pure)."""
    return order.status in CALLED_OFF


def delivered(flow: FlowSettings, order: SalesOrder, crm_word: str) -> bool:
    """Whether the customer has the goods: by the store, or by the CRM's word where that is one of the flow's (pure)."""
    return not called_off(order) and (order.delivered_at is not None or crm_word in flow.delivered)


def _word(run: Run, order: SalesOrder, refs: OrderRefs, ensured: Ensured, before: OrderState | None) -> str:
    """The CRM's word for where the order stands: ours where we wrote it just now, else what it was seen to say."""
    if ensured.word:
        return ensured.word
    ours = run.crm.order_word(refs, order)
    kept = "status" in run.flow.ownership.parts("crm") | run.flow.ownership.parts("empty")
    if ensured.created or before is None or (ensured.changed and not kept):
        return ours
    return before.crm_status


def state_of(flow: FlowSettings, order: SalesOrder, there: There) -> OrderState:
    """How far it has come, by both sides (pure)."""
    return OrderState(
        flow=flow.name,
        order_key=str(order.key),
        target=flow.target,
        remote_id=there.remote_id,
        number=order.number,
        account=there.account,
        owner=there.owner,
        status=order.status.value,
        payment=order.payment_status.value,
        currency=order.currency,
        total=order.total,
        language=order.language,
        method=order.delivery_method,
        rush=order.rush,
        open=not called_off(order) and not delivered(flow, order, there.word),
        placed_at=order.placed_at,
        paid_at=order.paid_at,
        shipped_at=order.shipped_at,
        delivered_at=order.delivered_at,
        promised_on=order.promised_on,
        crm_status=there.word,
        crm_seen_at=there.seen_at,
        lines=tuple(
            StateLine(line.sku, line.name, line.quantity, line.net)
            for line in order.lines
            if line.kind is LineKind.PRODUCT
        ),
    )
