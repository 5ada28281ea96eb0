"""`/stock`: levels, thresholds and alerts of goods."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.thresholds import Threshold
from pipelines.desk import Refused
from pipelines.stockdesk import AlertView, LevelView, StockDesk, behind, cursor, quantity
from web.api.common import LARGEST, LINE, Body, Given, Limit, Line, Moment, Money, Name, Number, Page, further, sendable
from web.api.door import needs
from web.dashboard.common import context_of, state_of

router = APIRouter(tags=["stock"])
Handling = Annotated[Person, Depends(needs(Right.HANDLE))]
Quantity = Annotated[str, Field(description="A decimal number as text", pattern=r"^-?\d+(\.\d+)?$", examples=["12.5"])]
Amount = Annotated[
    str,
    Field(
        pattern=r"^(-?[0-9]{1,12}(\.[0-9]{1,6})?)?$", description='A decimal number as text; "": none', examples=["5"]
    ),
]
Scoped = Annotated[Literal["product", "group", "warehouse"], Field(examples=["product"])]


class InStore(BaseModel):
    """What a store was told of how much of an article may be sold."""

    store: Annotated[str, Field(examples=["shop"])]
    quantity: Annotated[int | None, Field(description="null: nothing yet", examples=[12])]
    at: Annotated[Moment | None, Field(description="Since when it has this from us")]
    problem: Annotated[
        str,
        Field(
            description='"", doubtful, unknown (to the store), unkept (it counts no stock of it), refused',
            examples=[""],
        ),
    ]
    reason: Annotated[str, Field(examples=[""])]


class Level(BaseModel):
    """How much of one article is in one warehouse."""

    sku: Annotated[str, Field(examples=["LAMP-1"])]
    name: Annotated[str, Field(examples=["Desk lamp"])]
    warehouse: Annotated[str, Field(description='"" where the source has none', examples=["main"])]
    group: Annotated[str, Field(examples=["lamps"])]
    on_hand: Quantity
    available: Annotated[Quantity | None, Field(description="As the source reckons it")]
    free: Annotated[Quantity, Field(description="What may be sold: without the safety stock")]
    minimum: Annotated[Quantity | None, Field(description="The threshold that holds")]
    minimum_of: Annotated[
        str, Field(description='product, source, group, warehouse, usual; "": none', examples=["product"])
    ]
    owner: Annotated[str, Field(description="The buyer in charge", examples=["anna"])]
    low: bool
    since: Annotated[Moment, Field(description="When it was first read like this")]
    stores: Annotated[
        list[InStore], Field(description="What stores were told of the article, all warehouses together")
    ] = []


class LevelPage(Page[Level]):
    """By article number."""

    read_at: Annotated[Moment | None, Field(description="All of it was so then; null: it was never read to the end")]
    source: Annotated[str, Field(examples=["erp"])]


class StockAlert(BaseModel):
    """An article below its threshold."""

    id: Annotated[int, Field(examples=[41])]
    stock: Annotated[str, Field(examples=["goods"])]
    sku: Annotated[str, Field(examples=["LAMP-1"])]
    name: Annotated[str, Field(examples=["Desk lamp"])]
    warehouse: Annotated[str, Field(examples=["main"])]
    quantity: Quantity
    minimum: Quantity
    target: Annotated[Quantity | None, Field(description="How much there should be after buying")]
    owner: Annotated[str, Field(examples=["anna"])]
    opened_at: Moment
    told_at: Moment | None
    closed_at: Moment | None
    closed_why: Annotated[str, Field(description='risen, gone, no threshold; "" while it is open', examples=[""])]
    snooze: Annotated[Literal["", "date", "delivery"], Field(description="Until when nothing is said of it")]
    snoozed_until: Moment | None
    days_of_cover: Annotated[int | None, Field(description="null: nothing of it was ordered lately", examples=[4])]
    orders_at_risk: Annotated[list[str], Field(description="Open orders it does not suffice for")]
    money_at_risk: Annotated[list[Money], Field(description="The totals of these orders, by currency")]


class StockAlertPage(Page[StockAlert]):
    """The newest first."""


class StockThreshold(BaseModel):
    """From how much on whom to tell. What is empty is taken from the next wider one."""

    scope: Scoped
    subject: Annotated[str, Field(description='Article or group; "" for a warehouse', examples=["LAMP-1"])]
    warehouse: Annotated[str, Field(description='"": every one', examples=["main"])]
    owner: Annotated[str, Field(examples=["anna"])]
    minimum: Quantity | None
    target: Quantity | None
    updated_at: Moment | None
    updated_by: Annotated[str, Field(examples=["anna"])]


class StockThresholdPage(Page[StockThreshold]):
    """Those of a stock, as they were first set."""


class Setting(Body):
    """A threshold to be set. Refused (409) if it says nothing, or if its target is below its minimum."""

    scope: Scoped
    subject: Annotated[
        str,
        Field(max_length=200, pattern=LINE, description="Article or group; none for a warehouse", examples=["LAMP-1"]),
    ] = ""
    warehouse: Annotated[
        str, Field(max_length=80, pattern=LINE, description='"": every one; not for a warehouse', examples=["main"])
    ] = ""
    owner: Annotated[
        str, Field(max_length=32, pattern=LINE, description="Refused (409) if no buyer is named so", examples=["anna"])
    ] = ""
    minimum: Amount = ""
    target: Amount = ""


class Snoozing(Body):
    """Until when nothing is said."""

    kind: Annotated[Literal["", "date", "delivery"], Field(description='"" ends it', examples=["delivery"])] = (
        "delivery"
    )
    until: Annotated[
        Given | None, Field(description="With `date`; refused (409) unless it lies in the future, within a year")
    ] = None


@router.get("/stock/{stock}/levels", dependencies=[Depends(needs(Right.SEE))])
def list_stock_levels(
    request: Request,
    stock: Name,
    text: Line = "",
    warehouse: Line = "",
    after: Annotated[
        str, Query(max_length=4000, pattern=r"^([0-9A-Za-z_.~%-]*/[0-9A-Za-z_.~%-]+)?$", description="From `next`")
    ] = "",
    limit: Limit = 50,
) -> LevelPage:
    """Levels with their age and the threshold that holds for each. `text`: in the article's number or name."""
    desk = _desk(request)
    chosen = desk.chosen(stock)
    found = desk.levels(stock, text=text, warehouse=warehouse, after=behind(after), limit=limit + 1)
    following = cursor(found[limit - 1].level) if len(found) > limit else ""
    return LevelPage(
        data=[_level(one) for one in found[:limit]],
        next=further(request, following, text=text, warehouse=warehouse, limit=limit),
        read_at=context_of(request).ledger.stock.source(chosen.source).polled_at,
        source=chosen.source,
    )


@router.get("/stock/alerts", dependencies=[Depends(needs(Right.SEE))])
def list_stock_alerts(
    request: Request,
    stock: Line = "",
    owner: Line = "",
    text: Line = "",
    closed: bool = False,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Limit = 50,
) -> StockAlertPage:
    """What is below its threshold, or (`closed`) was."""
    found = _desk(request).alerts(stock, owner=owner, text=text, closed=closed, after=after, limit=limit + 1)
    following = str(found[limit - 1].alert.id) if len(found) > limit else ""
    kept = {"stock": stock, "owner": owner, "text": text, "closed": "true" if closed else "", "limit": limit}
    return StockAlertPage(data=[_alert(one) for one in found[:limit]], next=further(request, following, **kept))


@router.post("/stock/alerts/{number}/snooze", status_code=204)
def snooze_stock_alert(request: Request, number: Number, wanted: Snoozing, person: Handling) -> Response:
    """Say nothing of it until more of the article is there, or until a day."""
    _desk(request).snooze(number, wanted.kind, until=wanted.until, by=person.actor)
    return Response(status_code=204)


@router.get("/stock/{stock}/thresholds", dependencies=[Depends(needs(Right.SEE))])
def list_stock_thresholds(
    request: Request, stock: Name, after: Annotated[int, Query(ge=0, le=LARGEST)] = 0, limit: Limit = 50
) -> StockThresholdPage:
    """The thresholds of a stock, as they were first set."""
    source = _desk(request).chosen(stock).source
    found = context_of(request).ledger.stock.thresholds.listed(source, after=after, limit=limit + 1)
    following = str(found[limit - 1].id) if len(found) > limit else ""
    return StockThresholdPage(
        data=[_threshold(one) for one in found[:limit]], next=further(request, following, limit=limit)
    )


@router.put("/stock/{stock}/thresholds", status_code=204)
def set_stock_threshold(request: Request, stock: Name, wanted: Setting, person: Handling) -> Response:
    """Set one; the others stay."""
    try:
        numbers = quantity(wanted.minimum), quantity(wanted.target)
    except ValueError as error:
        raise Refused(str(error)) from None
    threshold = Threshold(wanted.scope, wanted.subject, wanted.warehouse, wanted.owner, *numbers)
    _desk(request).set(stock, threshold, by=person.actor)
    return Response(status_code=204)


@router.delete("/stock/{stock}/thresholds", status_code=204)
def remove_stock_threshold(
    request: Request,
    stock: Name,
    person: Handling,
    scope: Annotated[Literal["product", "group", "warehouse"], Query()],
    subject: Line = "",
    warehouse: Line = "",
) -> Response:
    """Forget one."""
    _desk(request).remove(stock, scope, subject, warehouse, by=person.actor)
    return Response(status_code=204)


def _desk(request: Request) -> StockDesk:
    return StockDesk(context_of(request), state_of(request).nudge)


def _level(one: LevelView) -> Level:
    level, rule = one.level, one.rule
    return Level(
        sku=sendable(level.sku),
        name=sendable(level.name),
        warehouse=sendable(level.warehouse),
        group=sendable(one.group),
        on_hand=f"{level.on_hand:f}",
        available=f"{level.available:f}" if level.available is not None else None,
        free=f"{one.free:f}",
        minimum=f"{rule.minimum:f}" if rule is not None else None,
        minimum_of=rule.by if rule is not None else "",
        owner=rule.owner if rule is not None else "",
        low=one.low,
        since=level.read_at,
        stores=[
            InStore(store=store, quantity=told.quantity, at=told.at, problem=told.problem, reason=sendable(told.reason))
            for store, told in one.told.items()
        ],
    )


def _alert(one: AlertView) -> StockAlert:
    alert, item = one.alert, one.item
    return StockAlert(
        id=alert.id,
        stock=one.stock,
        sku=sendable(alert.sku),
        name=sendable(alert.name),
        warehouse=sendable(alert.warehouse),
        quantity=f"{alert.quantity:f}",
        minimum=f"{alert.minimum:f}",
        target=f"{alert.target:f}" if alert.target is not None else None,
        owner=alert.owner,
        opened_at=alert.opened_at,
        told_at=alert.told_at,
        closed_at=alert.closed_at,
        closed_why=alert.closed_why,
        snooze=alert.snooze,
        snoozed_until=alert.snoozed_until,
        days_of_cover=item.cover,
        orders_at_risk=[sendable(key) for key in item.risk.orders],
        money_at_risk=[Money(amount=f"{amount:f}", currency=currency) for currency, amount in item.risk.money],
    )


def _threshold(one: Threshold) -> StockThreshold:
    return StockThreshold(
        scope=one.scope,
        subject=sendable(one.subject),
        warehouse=sendable(one.warehouse),
        owner=one.owner,
        minimum=f"{one.minimum:f}" if one.minimum is not None else None,
        target=f"{one.target:f}" if one.target is not None else None,
        updated_at=one.updated_at,
        updated_by=one.updated_by,
    )
