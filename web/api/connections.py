"""`/connections`: how each system stands; test, pause, resume, ask now."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from web.api.common import Moment, Name, Page, Pause, sentence
from web.api.door import needs
from web.api.labels import ConnectionName
from web.api.refusal import unknown
from web.dashboard.common import context_of, desk_of
from web.dashboard.tiles import Tile, tiles
from web.threads import outside

router = APIRouter(tags=["connections"])
SEEING = [Depends(needs(Right.SEE))]
Pausing = Annotated[Person, Depends(needs(Right.PAUSE))]
Running = Annotated[Person, Depends(needs(Right.RUN))]


class Connection(BaseModel):
    """One system as it stands now; what it did last is kept apart from that."""

    name: ConnectionName
    connector: Annotated[str, Field(description="The kind of system", examples=["vtiger"])]
    role: Annotated[str, Field(description="store, crm, erp, portal, notifier or unused", examples=["crm"])]
    standing: Annotated[
        str, Field(description="works, unheard, backing_off, out, login_refused or paused", examples=["works"])
    ]
    fine: Annotated[bool, Field(description="Nobody has to look at it")]
    reason: Annotated[str, Field(description="Why it is out", examples=["It did not answer in time."])]
    out_since: Annotated[Moment | None, Field(description="When the present outage began")]
    until: Annotated[
        Moment | None,
        Field(description="When a pause or back-off ends; null while paused: when somebody ends it"),
    ]
    last_success_at: Moment | None
    every_seconds: Annotated[
        float, Field(description="How often it is asked by the clock; 0: it is not", examples=[300])
    ]
    late_seconds: Annotated[float, Field(description="Behind that; 0: in time", examples=[0])]
    waiting: Annotated[int, Field(description="Orders that wait for it, at most 10,000 are counted", examples=[12])]
    rehearsed: Annotated[int, Field(description="Orders that wait for their flow to go live", examples=[0])]
    calls_left: Annotated[float | None, Field(description="Of its budget; null: it has none", examples=[9.5])]
    calls_at_once: Annotated[float, Field(description="Size of the budget", examples=[10])]
    schedules: Annotated[list[str], Field(description="What asks it by the clock", examples=[["poll/shop"]])]
    last_day: Annotated[
        int | None, Field(description="Orders that came from it or were carried to it in 24 hours", examples=[480])
    ]
    last_day_failures: Annotated[int | None, Field(examples=[2])]


class ConnectionPage(Page[Connection]):
    """All connections, in the order of the configuration."""


class ConnectionFinding(BaseModel):
    """One thing that a test looked at."""

    subject: Annotated[str, Field(examples=["login"])]
    level: Annotated[str, Field(description="ok, warning or problem", examples=["ok"])]
    message: Annotated[str, Field(examples=["The CRM accepts this user."])]
    what_to_do: str


class ConnectionTest(BaseModel):
    """What a test found."""

    well: Annotated[bool, Field(description="No problem was found")]
    findings: list[ConnectionFinding]


class ConnectionAsked(BaseModel):
    """What is due now."""

    schedules: Annotated[list[str], Field(examples=[["poll/shop"]])]


@router.get("/connections", dependencies=SEEING)
def list_connections(request: Request) -> ConnectionPage:
    """All of them."""
    return ConnectionPage(data=[_shown(tile) for tile in _tiles(request)])


@router.get("/connections/{name}", dependencies=SEEING)
def get_connection(request: Request, name: Name) -> Connection:
    """One of them."""
    return _shown(_tile(request, name))


@router.post("/connections/{name}/test")
async def check_connection(request: Request, name: Name, person: Running) -> ConnectionTest:
    """Ask it whether address, credentials and rights are right. Writes nothing over there. 429 while another test of it, or too
    many calls to outside systems, are under way.
    """
    return await outside(name, partial(_tested, request, name, person), test=True)


def _tested(request: Request, name: str, person: Person) -> ConnectionTest:
    _tile(request, name)
    found = [
        ConnectionFinding(
            subject=one.subject, level=one.level, message=sentence(one.message), what_to_do=sentence(one.what_to_do)
        )
        for one in desk_of(request).test_connection(context_of(request), name, actor=person.actor)
    ]
    return ConnectionTest(well=all(one.level != "problem" for one in found), findings=found)


@router.post("/connections/{name}/pause")
def pause_connection(request: Request, name: Name, person: Pausing, body: Pause) -> Connection:
    """Carry nothing to it until then; what comes in is kept and waits. The last call says until when."""
    _tile(request, name)
    seconds = body.seconds(context_of(request).ledger.clock.now())
    desk_of(request).pause_connection(name, seconds, actor=person.actor, reason=body.reason)
    return _shown(_tile(request, name))


@router.post("/connections/{name}/resume")
def resume_connection(request: Request, name: Name, person: Pausing) -> Connection:
    """End the pause, and do not wait for the end of a back-off."""
    _tile(request, name)
    desk_of(request).resume_connection(name, actor=person.actor)
    return _shown(_tile(request, name))


@router.post("/connections/{name}/run")
def run_connection(request: Request, name: Name, person: Running) -> ConnectionAsked:
    """Everything that asks it by the clock is due now."""
    tile = _tile(request, name)
    return ConnectionAsked(schedules=desk_of(request).ask_connection(name, tile.polls, actor=person.actor))


def _tiles(request: Request) -> list[Tile]:
    return tiles(context_of(request), context_of(request).ledger.clock.now())


def _tile(request: Request, name: str) -> Tile:
    for tile in _tiles(request):
        if tile.name == name:
            return tile
    raise unknown(f"There is no connection {name!r}. What to do: see /api/v1/connections.")


def _shown(tile: Tile) -> Connection:
    return Connection(
        name=tile.name,
        connector=tile.connector,
        role=tile.role,
        standing=tile.standing,
        fine=tile.fine,
        reason=sentence(tile.reason),
        out_since=tile.since,
        until=tile.until,
        last_success_at=tile.last_success,
        every_seconds=tile.every,
        late_seconds=tile.late,
        waiting=tile.waiting,
        rehearsed=tile.rehearsed,
        calls_left=tile.budget,
        calls_at_once=tile.budget_of,
        schedules=list(tile.polls),
        last_day=tile.spark.total if tile.spark else None,
        last_day_failures=tile.spark.failures if tile.spark else None,
    )
