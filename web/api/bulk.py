"""`/bulk`: actions on many jobs, a few at a time. They begin at the problem or the jobs that they are about."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.runs import RunView
from pipelines import bulk
from web.api.common import Limit, Moment, Money, Number, Page, further
from web.api.door import needs
from web.dashboard.common import context_of, desk_of

router = APIRouter(tags=["bulk"])
SEEING = [Depends(needs(Right.SEE))]
Cursor = Annotated[str, Query(pattern=r"^(\d{1,18})?$", description="From `next`")]


class Bulk(BaseModel):
    """One action on many jobs."""

    id: Annotated[int, Field(examples=[12])]
    what: Annotated[str, Field(description="retry or skip", examples=["retry"])]
    name: Annotated[str, Field(examples=["crm: outage"])]
    state: Annotated[str, Field(description="running, done, stopped or failed", examples=["running"])]
    jobs: Annotated[int, Field(description="How many it is about", examples=[250])]
    done: Annotated[int, Field(description="Jobs that were changed so far", examples=[100])]
    left_alone: Annotated[int, Field(description="Jobs that had moved on by themselves", examples=[3])]
    amounts: Annotated[list[str], Field(description="What they are worth, for people", examples=[["1234.50 EUR"]])]
    summary: str
    by: Annotated[str, Field(examples=["Olga (token nightly)"])]
    started_at: Moment
    updated_at: Moment
    ended_at: Moment | None


class BulkPage(Page[Bulk]):
    """A part of the bulk actions, the newest first."""


class BulkPreview(BaseModel):
    """How many, and how much money, before anything is done."""

    name: Annotated[str, Field(examples=["shop-orders: rate limit"])]
    jobs: Annotated[int, Field(description="Jobs that would be changed now", examples=[250])]
    capped: Annotated[bool, Field(description=f"There are more: one action takes {bulk.MOST} at most")]
    amounts: list[Money]
    unknown: Annotated[int, Field(description="Jobs whose amount nobody knows yet", examples=[0])]
    samples: Annotated[list[str], Field(description="Numbers of a few orders", examples=[["1001", "1002"]])]


@router.get("/bulk", dependencies=SEEING)
def list_bulk(request: Request, limit: Limit = 50, after: Cursor = "") -> BulkPage:
    """The newest first."""
    runs, before = context_of(request).ledger.runs, int(after) if after else None
    found = [run for what in bulk.KINDS for run in runs.list(kind=what, before=before, limit=limit + 1)]
    found.sort(key=lambda run: -run.id)
    more = str(found[limit - 1].id) if len(found) > limit else ""
    return BulkPage(data=[bulk_of(run) for run in found[:limit]], next=further(request, more, limit=limit))


@router.get("/bulk/{run_id}", dependencies=SEEING)
def get_bulk(request: Request, run_id: Number) -> Bulk:
    """How far it is."""
    return bulk_of(desk_of(request).bulk(run_id))


@router.post("/bulk/{run_id}/stop")
def stop_bulk(request: Request, run_id: Number, person: Annotated[Person, Depends(needs(Right.BULK))]) -> Bulk:
    """No further round. What was changed stays changed."""
    return bulk_of(desk_of(request).stop_bulk(run_id, actor=person.actor))


def bulk_of(run: RunView) -> Bulk:
    """As it is sent."""
    return Bulk(
        id=run.id,
        what=run.kind,
        name=str(run.options.get("name", "")),
        state=run.state,
        jobs=int(run.options.get("jobs", 0)),
        done=bulk.done(run),
        left_alone=int(run.counts.get("left_alone", 0)),
        amounts=[str(one) for one in run.options.get("amounts", ())],
        summary=run.summary,
        by=run.by,
        started_at=run.started_at,
        updated_at=run.updated_at,
        ended_at=run.ended_at,
    )
