"""`/orders` without a number: the orders that people work through."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.orderlist import Listed, OrderLists, View, Wanted
from web.api.common import Limit, Line, Moment, Money, Page, further, money, sendable
from web.api.door import needs
from web.api.labels import ConnectionName, OrderNumber, RecordKey
from web.dashboard.common import context_of

router = APIRouter(tags=["orders"])


class ListedInvoice(BaseModel):
    """An invoice or a credit note; `/orders/{number}` has the rest."""

    number: Annotated[str, Field(examples=["INV17"])]
    state: Annotated[str, Field(description="draft, open, paid, cancelled, credited, unknown", examples=["open"])]
    credit: Annotated[bool, Field(description="A credit note")]


class ListedOrder(BaseModel):
    """One order of one flow, as it was carried last."""

    record: RecordKey
    number: OrderNumber
    flow: Annotated[str, Field(examples=["shop-orders"])]
    target: ConnectionName
    remote_id: Annotated[str, Field(description="In the target system", examples=["13x7"])]
    placed_at: Moment
    current: Annotated[bool, Field(description="Neither delivered nor called off")]
    status: Annotated[str, Field(description="In the common language", examples=["confirmed"])]
    payment: Annotated[str, Field(description="unpaid, paid, refunded, unknown", examples=["paid"])]
    crm_status: Annotated[str, Field(description="The CRM's own word", examples=["Approved"])]
    owner: Annotated[str, Field(description="In the CRM connection's owners table", examples=["sales"])]
    method: Annotated[str, Field(description="The store's code of the delivery method", examples=["flat_rate"])]
    rush: bool
    promised_on: date | None
    promise: Annotated[str, Field(description='on_time, at_risk, late, kept, off; "": none is watched')]
    shipped_at: Moment | None
    delivered_at: Moment | None
    total: Annotated[Money | None, Field(description="What is left after refunds")]
    invoices: list[ListedInvoice]


class ListedOrderPage(Page[ListedOrder]):
    """The newest first."""


@router.get("/orders", dependencies=[Depends(needs(Right.SEE))])
def list_orders(
    request: Request,
    view: Annotated[View, Query(description="How far they have come")] = "current",
    flow: Line = "",
    owner: Line = "",
    crm_status: Line = "",
    rush: Annotated[bool, Query(description="Rush orders alone")] = False,
    limit: Limit = 50,
    after: Annotated[str, Query(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
) -> ListedOrderPage:
    """What was carried; what failed or waits is at `/jobs`."""
    lists = OrderLists(context_of(request).ledger.db)
    found = lists.part(Wanted(view, flow, owner, crm_status, rush), after=after, limit=limit)
    kept = {"view": view, "flow": flow, "owner": owner, "crm_status": crm_status, "rush": "true" if rush else ""}
    return ListedOrderPage(
        data=[_shown(one) for one in found.orders], next=further(request, found.after, **kept, limit=limit)
    )


def _shown(one: Listed) -> ListedOrder:
    return ListedOrder(
        record=sendable(one.order_key),
        number=sendable(one.number),
        flow=one.flow,
        target=one.target,
        remote_id=one.remote_id,
        placed_at=one.placed_at,
        current=one.open,
        status=one.status,
        payment=one.payment,
        crm_status=sendable(one.crm_status),
        owner=sendable(one.owner),
        method=sendable(one.method),
        rush=one.rush,
        promised_on=date.fromisoformat(one.promised_on) if one.promised_on else None,
        promise=one.level,
        shipped_at=one.shipped_at,
        delivered_at=one.delivered_at,
        total=money(one.total, one.currency),
        invoices=[ListedInvoice(number=sendable(b.number), state=b.state, credit=b.credit) for b in one.bills],
    )
