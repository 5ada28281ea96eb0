"""`/flows`: what may write, and from which orders on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from core.rights import Right
from core.settings import FlowSettings, RepFlowSettings
from ledger.flows import FlowState, Mode
from ledger.people import Person
from pipelines.desk import changes_for
from web.api.common import Body, Given, Moment, Name, Page, Remark
from web.api.door import needs
from web.api.labels import ConnectionName, FlowName
from web.api.refusal import unknown
from web.dashboard.common import context_of, desk_of

router = APIRouter(tags=["flows"])
SEEING = [Depends(needs(Right.SEE))]


class Flow(BaseModel):
    """What is carried from one system to another."""

    name: FlowName
    source: Annotated[ConnectionName, Field(examples=["shop"])]
    target: Annotated[str, Field(description="empty: a flow of sales reps that keeps cards only", examples=["crm"])]
    mode: Annotated[Mode, Field(description="rehearse: planned, nothing is written", examples=["live"])]
    start: Annotated[Moment | None, Field(description="Orders placed before it are linked or listed, never created")]
    changed_at: Annotated[Moment | None, Field(description="null: it was never live")]
    changed_by: str
    note: str
    changes: Annotated[list[Mode], Field(description="Modes that make sense next", examples=[["paused", "rehearse"]])]


class FlowPage(Page[Flow]):
    """All flows, in the order of the configuration."""


class FlowChange(Body):
    """Another mode. Going live for the first time needs `start`, or `any_age`; later on neither keeps the start it has."""

    mode: Mode
    start: Annotated[
        Given | None, Field(description="Live: orders placed from then on are created. It only ever moves on")
    ] = None
    any_age: Annotated[bool, Field(description="Live: create orders of any age, and leave `start` out")] = False
    note: Remark = ""


@router.get("/flows", dependencies=SEEING)
def list_flows(request: Request) -> FlowPage:
    """All of them."""
    mine = context_of(request)
    return FlowPage(data=[_shown(flow, mine.ledger.flows.get(flow.name)) for flow in mine.every_flow.values()])


@router.get("/flows/{name}", dependencies=SEEING)
def get_flow(request: Request, name: Name) -> Flow:
    """One of them."""
    return _shown(_flow(request, name), context_of(request).ledger.flows.get(name))


@router.post("/flows/{name}/mode")
def change_flow(
    request: Request, name: Name, person: Annotated[Person, Depends(needs(Right.MODE))], body: FlowChange
) -> Flow:
    """Take it live, pause it, or back to rehearsal: what makes sense next stands in `changes`."""
    flow = _flow(request, name)
    live = body.mode == "live"
    reps = isinstance(flow, RepFlowSettings)  # has no orders, and so no beginning
    state = desk_of(request).change_flow(
        name,
        body.mode,
        body.start if live and not reps else None,
        actor=person.actor,
        note=body.note,
        any_age=live and (body.any_age or reps),
    )
    return _shown(flow, state)


def _flow(request: Request, name: str) -> FlowSettings | RepFlowSettings:
    flow = context_of(request).every_flow.get(name)
    if flow is None:
        raise unknown(f"There is no flow {name!r}. What to do: see /api/v1/flows.")
    return flow


def _shown(flow: FlowSettings | RepFlowSettings, state: FlowState) -> Flow:
    return Flow(
        name=flow.name,
        source=flow.source,
        target=flow.target,
        mode=state.mode,
        start=state.start,
        changed_at=state.changed_at,
        changed_by=state.changed_by,
        note=state.note,
        changes=list(changes_for(state)),
    )
