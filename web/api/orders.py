"""`/orders`: where an order is, in every system, and what came in of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from core.rights import Right
from pipelines import whereabouts
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


class Order(BaseModel):
    """One order everywhere."""

    record: RecordKey
    number: OrderNumber
    url: Annotated[str, Field(description='Opens it in its store; "": nobody can tell')]
    known: Annotated[bool, Field(description="Its state is kept; false: only a hint of it, or its job")]
    deleted: Annotated[bool, Field(description="The store has deleted it")]
    jobs: list[Job]
    places: list[Place]
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
