"""`/orders`: where an order is, in every system, and what came in of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from core.rights import Right
from pipelines import whereabouts
from pipelines.billing import Shown
from pipelines.way import Way
from web.api.common import Moment, Number, Page, sendable
from web.api.door import needs
from web.api.labels import ConnectionName, Job, OrderNumber, RecordKey, job_of
from web.api.refusal import unknown
from web.dashboard.common import context_of
from web.dashboard.desk import body, search
from web.dashboard.orders import SHOWN

router = APIRouter(tags=["orders"])
SEEING = [Depends(needs(Right.SEE))]
OrderName = Annotated[
    str,
    Path(
        max_length=300,
        description="An order's number, the store's id, its key, or its number in a target system; percent-encoded",
        examples=["1001"],
    ),
]


class Place(BaseModel):
    """What the order became in one system."""

    target: ConnectionName
    kind: Annotated[str, Field(examples=["order"])]
    state: Annotated[str, Field(description="intended, sent, linked, ...", examples=["linked"])]
    number: Annotated[str, Field(description="Its number over there", examples=["SO17"])]
    remote_id: Annotated[str, Field(examples=["6x41"])]
    origin: Annotated[str, Field(description="How it was found or made", examples=["created"])]
    url: Annotated[str, Field(description='Opens it in a browser; "": nobody can tell')]


class Delivery(BaseModel):
    """One thing that came in. `/deliveries/{id}` has the body, personal data hidden."""

    id: Annotated[int, Field(examples=[99])]
    received_at: Moment
    via: Annotated[str, Field(examples=["webhook"])]
    topic: Annotated[str, Field(examples=["order.updated"])]
    verdict: Annotated[str, Field(description="What it meant for the record", examples=["newest"])]
    correlation: str


class Invoice(BaseModel):
    """An invoice or a credit note of the order. Amounts are positive."""

    system: Annotated[ConnectionName, Field(description="Who keeps it: the ERP that wrote it, else the CRM")]
    number: Annotated[str, Field(description="Its number there", examples=["INV17"])]
    remote_id: Annotated[str, Field(examples=["7x50"])]
    origin: Annotated[str, Field(description="Who made it: ours, erp, crm", examples=["ours"])]
    credit: Annotated[bool, Field(description="A credit note")]
    state: Annotated[
        str, Field(description="draft, open, paid, cancelled, credited, deleted, unknown", examples=["open"])
    ]
    word: Annotated[str, Field(description="The system's own word", examples=["Created"])]
    currency: Annotated[str, Field(examples=["EUR"])]
    total: Annotated[str | None, Field(description="null: not told", examples=["119.00"])]
    paid: Annotated[str | None, Field(examples=["0"])]
    balance: Annotated[str | None, Field(description="What is still to be paid", examples=["119.00"])]
    issued: date | None
    due: date | None
    seen_at: Annotated[Moment | None, Field(description="When its system said so; null: it is what we wrote")]
    elsewhere: Annotated[str, Field(description='The same bill in the CRM: its number there; ""', examples=["INV17"])]


class Paper(BaseModel):
    """A paper that `/papers/{kind}/{flow}/{record}` gives as a file."""

    kind: Annotated[str, Field(examples=["invoice"])]
    flow: Annotated[str, Field(examples=["shop-orders"])]
    number: Annotated[str, Field(description="What it is called", examples=["INV17"])]
    language: Annotated[str, Field(examples=["de"])]
    issued_at: Moment


class Letter(BaseModel):
    """A letter about the order. Whom it went to is not shown."""

    subject: str
    via: ConnectionName
    state: Annotated[str, Field(description="wanted, sending, sent, doubtful", examples=["sent"])]
    created_at: Moment
    sent_at: Moment | None
    job: Annotated[str, Field(description="Key of the job that sends it", examples=["mail/mail/0f3c"])]


class Promised(BaseModel):
    """What one flow makes of the promise."""

    flow: Annotated[str, Field(examples=["shop-orders"])]
    promised_on: date
    promised_by: Annotated[str, Field(description="store, erp, or rule: one of the flow's", examples=["store"])]
    level: Annotated[str, Field(description="on_time, at_risk, late, kept, off", examples=["on_time"])]
    due: Moment


class Parcel(BaseModel):
    """As the store tells it."""

    carrier: Annotated[str, Field(examples=["DHL"])]
    number: str
    url: Annotated[str, Field(description='Where one can follow it; ""')]


class WayToCustomer(BaseModel):
    """As the store told it last."""

    rush: bool
    promised_on: date | None
    shipped_at: Moment | None
    delivered_at: Moment | None
    parcels: list[Parcel]
    promises: list[Promised]


class Order(BaseModel):
    """One order everywhere."""

    record: RecordKey
    number: OrderNumber
    url: Annotated[str, Field(description='Opens it in its store; "": nobody can tell')]
    known: Annotated[bool, Field(description="Its state is kept; false: only a hint of it, or its job")]
    deleted: Annotated[bool, Field(description="The store has deleted it")]
    jobs: list[Job]
    places: list[Place]
    invoices: list[Invoice]
    papers: list[Paper]
    letters: Annotated[list[Letter], Field(description="The newest first")]
    way: Annotated[WayToCustomer | None, Field(description="To the customer; null: nothing is known of it")]
    deliveries: Annotated[list[Delivery], Field(description="The newest first, 200 at most")]


class OrderPage(Page[Order]):
    """Every order that people call so: each shop may have one."""

    more: Annotated[bool, Field(description=f"There are more than {SHOWN}: name the key")]


class DeliveryBody(BaseModel):
    """A delivery as it is kept. Nothing that is hidden here is shown by the API to anybody."""

    id: Annotated[int, Field(examples=[99])]
    record: RecordKey
    received_at: Moment
    text: Annotated[str, Field(description="Personal data hidden; cut after 200,000 characters")]


@router.get("/orders/{number:path}", dependencies=SEEING)
def get_orders(request: Request, number: OrderName) -> OrderPage:
    """By any number that people have."""
    look = search(request)
    hits = look.records(number)
    if not hits:
        raise unknown("No order is called so. What to do: try its number in the store, or its key (shop/order/1001).")
    found = [_shown(whereabouts.of(context_of(request), look, hit.key)) for hit in hits[:SHOWN]]
    return OrderPage(data=found, more=len(hits) > SHOWN)


@router.get("/deliveries/{delivery_id}", dependencies=SEEING)
def get_delivery(request: Request, delivery_id: Number) -> DeliveryBody:
    """What came in, personal data hidden."""
    found = search(request).event(delivery_id)
    if found is None:
        raise unknown("There is no such delivery. What to do: see its order.")
    return DeliveryBody(
        id=found.id,
        record=str(found.key),
        received_at=found.received_at,
        text=sendable(body(found.raw, hidden=True)),
    )


def _way(way: Way) -> WayToCustomer:
    return WayToCustomer(
        rush=way.rush,
        promised_on=way.promised_on,
        shipped_at=way.shipped_at,
        delivered_at=way.delivered_at,
        parcels=[
            Parcel(carrier=sendable(one.carrier), number=sendable(one.number), url=sendable(one.url))
            for one in way.tracking
        ],
        promises=[
            Promised(flow=one.flow, promised_on=one.promised_on, promised_by=one.source, level=one.level, due=one.due)
            for one in way.promises
        ],
    )


def _shown(one: whereabouts.Whereabouts) -> Order:
    return Order(
        record=str(one.key),
        number=one.number,
        url=one.url,
        known=one.record is not None and one.record.raw is not None,
        deleted=one.record is not None and one.record.deleted,
        jobs=[job_of(job) for job in one.jobs],
        places=[
            Place(
                target=place.target,
                kind=place.kind,
                state=place.state,
                number=place.number,
                remote_id=place.remote_id,
                origin=place.origin,
                url=place.url,
            )
            for place in one.places
        ],
        invoices=[_invoice(bill) for bill in one.invoices],
        way=_way(one.way) if one.way is not None else None,
        papers=[
            Paper(kind=it.kind, flow=it.flow, number=it.number, language=it.language, issued_at=it.issued_at)
            for it in one.papers
        ],
        letters=[
            Letter(
                subject=it.subject,
                via=it.via,
                state=it.state,
                created_at=it.created_at,
                sent_at=it.sent_at,
                job=it.job,
            )
            for it in one.letters
        ],
        deliveries=[
            Delivery(
                id=event["id"],
                received_at=event["received_at"],
                via=event["via"],
                topic=event["topic"],
                verdict=event["verdict"],
                correlation=event["correlation"],
            )
            for event in one.events
        ],
    )


def _invoice(bill: Shown) -> Invoice:
    return Invoice(
        system=bill.system,
        number=bill.number,
        remote_id=bill.remote_id,
        origin=bill.origin,
        credit=bill.credit,
        state=bill.state,
        word=bill.word,
        currency=bill.currency,
        total=_amount(bill.total),
        paid=_amount(bill.paid),
        balance=_amount(bill.balance),
        issued=bill.issued,
        due=bill.due,
        seen_at=bill.seen_at,
        elsewhere=(bill.elsewhere.number or bill.elsewhere.remote_id) if bill.elsewhere is not None else "",
    )


def _amount(value: Decimal | None) -> str | None:
    return f"{value:f}" if value is not None else None
