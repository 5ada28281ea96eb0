"""`/schedules`: what runs at intervals, in words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from core.rights import Right
from ledger.people import Person
from web.access import require
from web.dashboard.common import Seeing, context_of, desk_of
from web.dashboard.timetable import anchor, entries
from web.pages import back, page, translated

router = APIRouter()


@router.get("/schedules")
def schedules(request: Request, _person: Seeing) -> Response:
    """All of them: how often, last, next, late, what came of it."""
    return page(request, "schedules.html", entries=entries(context_of(request), context_of(request).ledger.clock.now()))


@router.post("/schedules/run")
def run(
    request: Request,
    person: Annotated[Person, Depends(require(Right.RUN))],
    name: Annotated[str, Form()] = "",
) -> Response:
    """One of them is due now."""
    desk_of(request).run_schedule(name, actor=person.actor)
    said = translated(request, "%(name)s begins within a second or so.", name=name)
    return back(request, f"/schedules#{anchor(name)}", said)
