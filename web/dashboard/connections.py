"""`/connections`: how each stands, and testing, pausing, resuming and asking it now."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.exceptions import HTTPException

from core.rights import Right
from ledger.people import Person
from pipelines.desk import Refused
from web.access import require
from web.dashboard import alerts
from web.dashboard.common import Seeing, context_of, desk_of
from web.dashboard.moments import moment
from web.dashboard.tiles import Tile, tiles
from web.dashboard.timetable import entries
from web.pages import back, page, translated
from web.threads import outside

router = APIRouter()

SPANS: Final = (15, 60, 240, 720, 1440)
"""Minutes of a pause that are offered."""
LONGEST_DAYS: Final = 60

Pausing = Annotated[Person, Depends(require(Right.PAUSE))]
Running = Annotated[Person, Depends(require(Right.RUN))]


@router.get("/connections")
def connections(request: Request, _person: Seeing) -> Response:
    """All of them."""
    return page(request, "connections.html", tiles=tiles(context_of(request), context_of(request).ledger.clock.now()))


@router.get("/connections/{name}")
def connection(request: Request, name: str, _person: Seeing) -> Response:
    """One: its state, its flows and schedules, its open alerts, and what can be done."""
    return page(request, "connection.html", **_facts(request, name))


@router.post("/connections/{name}/test")
async def test(request: Request, name: str, person: Running) -> Response:
    """Ask it whether address, credentials and rights are right. Writes nothing over there. One test of it at a time."""
    return await outside(name, partial(_tested, request, name, person), test=True)


def _tested(request: Request, name: str, person: Person) -> Response:
    facts = _facts(request, name)
    found = desk_of(request).test_connection(context_of(request), name, actor=person.actor)
    return page(request, "connection.html", **{**facts, "findings": found})


@router.post("/connections/{name}/pause")
def pause(
    request: Request,
    name: str,
    person: Pausing,
    span: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    offset: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Carry nothing to it for a while, until a time, or until somebody resumes it. What comes in is kept."""
    seconds = length(span, until, offset, context_of(request).ledger.clock.now())
    desk_of(request).pause_connection(name, seconds, actor=person.actor, reason=reason)
    said = translated(request, "%(name)s is paused: what comes in is kept and waits.", name=name)
    return back(request, _address(name), said)


@router.post("/connections/{name}/resume")
def resume(request: Request, name: str, person: Pausing) -> Response:
    """End the pause, and do not wait for the end of a back-off."""
    desk_of(request).resume_connection(name, actor=person.actor)
    said = translated(request, "%(name)s is resumed: what waited for it goes on now.", name=name)
    return back(request, _address(name), said)


@router.post("/connections/{name}/run")
def run(request: Request, name: str, person: Running) -> Response:
    """Everything that asks it by the clock is due now."""
    desk_of(request).ask_connection(name, _tile(request, name).polls, actor=person.actor)
    return back(request, _address(name), translated(request, "%(name)s is asked now.", name=name))


def length(span: str, until: str, offset: str, now: datetime) -> float | None:
    """Seconds of a pause (pure); None: until somebody ends it. `span`: minutes, "time" (then `until`, as a browser's field gives
    it, in the zone `offset` minutes east of UTC), or "open". Raises Refused.
    """
    if span == "open":
        return None
    if span.isascii() and span.isdigit() and 0 < int(span[:9]) <= LONGEST_DAYS * 1440:
        return int(span[:9]) * 60.0
    if span != "time":
        raise Refused("How long to pause is missing. What to do: choose a time, or until somebody resumes it.")
    try:
        seconds = (moment(until, offset) - now).total_seconds()
    except (ValueError, OverflowError):
        raise Refused(f"{until!r} is no time. What to do: choose a day and a time.") from None
    if not 0 < seconds <= LONGEST_DAYS * 86_400:
        raise Refused(
            f"A pause ends in the future, within {LONGEST_DAYS} days. What to do: choose another time, or pause until somebody "
            "resumes it."
        )
    return seconds


def _tile(request: Request, name: str) -> Tile:
    for tile in tiles(context_of(request), context_of(request).ledger.clock.now()):
        if tile.name == name:
            return tile
    raise HTTPException(404)


def _facts(request: Request, name: str) -> dict[str, Any]:
    tile, mine, books = _tile(request, name), context_of(request), context_of(request).ledger
    now = books.clock.now()
    its = {*tile.polls, *(one.name for one in entries(mine, now) if one.name.partition("/")[2] == name)}
    flows = [
        flow for flow in mine.every_flow.values() if name in {flow.source, flow.target, *getattr(flow, "portals", ())}
    ]
    return {
        "tile": tile,
        "flows": [(flow, books.flows.get(flow.name)) for flow in flows],
        "schedules": [one for one in entries(mine, now) if one.name in its],
        "alerts": [alert for alert in books.alerts.opened() if alerts.link(alert.cause) == _address(name)],
        "findings": None,
        "spans": SPANS,
        "asked": bool(tile.polls),
    }


def _address(name: str) -> str:
    return f"/connections/{quote(name, safe='')}"
