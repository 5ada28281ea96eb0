"""`/alerts`: what people were or would be told."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.alerts import Alert as Kept
from web.api.common import Limit, Moment, Page, further, sentence
from web.api.door import needs
from web.dashboard.alerts import link
from web.dashboard.common import context_of

router = APIRouter(tags=["alerts"])
Cursor = Annotated[str, Query(pattern=r"^(\d{1,18})?$", description="From `next`")]


class Alert(BaseModel):
    """One thing that people should know; it closes by itself when its cause is gone."""

    id: Annotated[int, Field(examples=[17])]
    cause: Annotated[str, Field(description="The same cause is the same alert", examples=["connection/crm"])]
    severity: Annotated[str, Field(description="warning or critical", examples=["critical"])]
    title: Annotated[str, Field(examples=["crm is out"])]
    message: str
    count: Annotated[int, Field(description="How often it was seen", examples=[3])]
    opened_at: Moment
    closed_at: Moment | None
    closing: Annotated[str, Field(description="What was said when it closed")]
    told: Annotated[bool, Field(description="People have been told")]
    page: Annotated[
        str, Field(description="Where on the dashboard something can be done", examples=["/connections/crm"])
    ]


class AlertPage(Page[Alert]):
    """A part of the alerts, the newest first."""


@router.get("/alerts", dependencies=[Depends(needs(Right.SEE))])
def list_alerts(
    request: Request,
    state: Annotated[Literal["open", "closed", ""], Query(description="Only these")] = "",
    limit: Limit = 50,
    after: Cursor = "",
) -> AlertPage:
    """The newest first."""
    kept = context_of(request).ledger.alerts
    found = kept.recent(limit + 1, state=state, before=int(after) if after else None)
    more = str(found[limit - 1].id) if len(found) > limit else ""
    return AlertPage(data=[_shown(one) for one in found[:limit]], next=further(request, more, state=state, limit=limit))


def _shown(one: Kept) -> Alert:
    return Alert(
        id=one.id,
        cause=one.cause,
        severity=one.severity,
        title=sentence(one.title),
        message=sentence(one.message),
        count=one.count,
        opened_at=one.opened_at,
        closed_at=one.closed_at,
        closing=sentence(one.closing),
        told=one.told,
        page=link(one.cause),
    )
