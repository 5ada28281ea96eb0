"""`/deliveries`: promises that are at risk or were not kept."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.watches import Unkept
from web.api.common import Limit, Line, Moment, Money, Page, further, money, sendable
from web.api.door import needs
from web.dashboard.common import context_of

router = APIRouter(tags=["deliveries"])

Level = Literal["at_risk", "late"]
Source = Literal["store", "erp", "rule"]


class Promise(BaseModel):
    """An order whose promised day is at risk or over."""

    order: Annotated[str, Field(description="The store's record", examples=["shop/order/1001"])]
    number: Annotated[str, Field(examples=["WEB-1001"])]
    flow: Annotated[str, Field(examples=["orders"])]
    level: Annotated[Level, Field(description="at_risk: it should have left by now; late: the day is over")]
    since: Moment
    promised_on: Annotated[date, Field(examples=["2026-11-24"])]
    promised_by: Annotated[Source, Field(description="The store, the ERP, or a rule of the flow")]
    ship_by: Annotated[Moment, Field(description="By when it must have left")]
    due: Annotated[Moment, Field(description="The end of the promised day")]
    rush: bool
    method: Annotated[str, Field(description="The store's code of the delivery method", examples=["flat_rate"])]
    status: Annotated[str, Field(description="Of the order, in the common language", examples=["confirmed"])]
    crm_status: Annotated[str, Field(description="The CRM's own word", examples=["Approved"])]
    shipped_at: Moment | None
    owner: Annotated[str, Field(description="In the CRM connection's owners table", examples=["sales"])]
    total: Money | None
    told: Annotated[bool, Field(description="The rep was told that it stands so")]
    note: Annotated[str, Field(description='The note in the CRM; "": none', examples=["31x5"])]


class PromisePage(Page[Promise]):
    """The oldest promise first."""


@router.get("/deliveries", dependencies=[Depends(needs(Right.SEE))])
def list_deliveries(
    request: Request,
    flow: Line = "",
    level: Annotated[Level | None, Query()] = None,
    after: Annotated[int, Query(ge=0, le=100_000, description="Rows that were read already")] = 0,
    limit: Limit = 50,
) -> PromisePage:
    """Exceptions only: what is in time is not listed."""
    watches = context_of(request).ledger.watches
    found = watches.unkept(flow=flow, level=level or "", limit=limit + 1, offset=after)
    following = str(after + limit) if len(found) > limit and after + limit <= 100_000 else ""
    return PromisePage(
        data=[_shown(one) for one in found[:limit]],
        next=further(request, following, flow=flow, level=level or "", limit=limit) if following else None,
    )


def _shown(one: Unkept) -> Promise:
    watched = one.watched
    return Promise(
        order=sendable(watched.order_key),
        number=sendable(one.number),
        flow=watched.flow,
        level="late" if watched.level == "late" else "at_risk",
        since=watched.since,
        promised_on=watched.promised_on,
        promised_by="store" if watched.source == "store" else "erp" if watched.source == "erp" else "rule",
        ship_by=watched.ship_by,
        due=watched.due,
        rush=one.rush,
        method=sendable(one.method),
        status=one.status,
        crm_status=sendable(one.crm_status),
        shipped_at=one.shipped_at,
        owner=sendable(one.owner),
        total=money(one.total, one.currency),
        told=watched.told == watched.level,
        note=watched.task,
    )
