"""`/schedules`: what runs at intervals, in words; how its last rounds went; pausing, running now, fetching a span again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.exceptions import HTTPException

from core.rights import Right
from core.settings import FlowSettings
from ledger.people import Person
from ledger.schedules import KEPT
from pipelines.backfill import Wanted
from pipelines.context import Context
from pipelines.desk import Refused
from pipelines.rundesk import RunDesk
from pipelines.schedules import asks
from web.access import require
from web.dashboard.common import Seeing, context_of, desk_of, state_of
from web.dashboard.connections import SPANS, length
from web.dashboard.moments import moment
from web.dashboard.spark import mark_of
from web.dashboard.timetable import LAST, Entry, anchor, entries
from web.pages import back, page, translated

router = APIRouter()

LONGEST_FETCH: Final = timedelta(days=31)
"""A span that is fetched again from this page; the command line knows no such bound."""

Running = Annotated[Person, Depends(require(Right.RUN))]
Pausing = Annotated[Person, Depends(require(Right.PAUSE))]


@router.get("/schedules")
def schedules(request: Request, _person: Seeing) -> Response:
    """All of them: how often, last, next, late, missed, what came of it."""
    mine = context_of(request)
    found = entries(mine, mine.ledger.clock.now(), mine.ledger.schedules.rounds(last=LAST))
    return page(request, "schedules.html", entries=found, quiet=mine.alerts.quiet, zone=mine.alerts.zone)


@router.get("/schedules/{name:path}")
def schedule(request: Request, name: str, _person: Seeing) -> Response:
    """One: its last rounds, and what can be done with it."""
    mine = context_of(request)
    entry = _entry(request, name)
    return page(
        request,
        "schedule.html",
        entry=entry,
        rounds_shown=[(one, mark_of(one)) for one in reversed(entry.rounds)],
        spans=SPANS,
        flows=_fetched_by(mine, name),
        longest=LONGEST_FETCH.days,
    )


@router.post("/schedules/run")
def run(request: Request, person: Running, name: Annotated[str, Form()] = "") -> Response:
    """One of them is due now."""
    desk_of(request).run_schedule(name, actor=person.actor, asks=asks(context_of(request), name))
    said = translated(request, "%(name)s begins within a second or so.", name=name)
    return back(request, f"/schedules#{anchor(name)}", said)


@router.post("/schedules/pause")
def pause(
    request: Request,
    person: Pausing,
    name: Annotated[str, Form()] = "",
    span: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    offset: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """It does not begin for a while, until a time, or until somebody resumes it."""
    entry = _entry(request, name)
    seconds = length(span, until, offset, context_of(request).ledger.clock.now())
    desk_of(request).pause_schedule(name, seconds, actor=person.actor, reason=reason)
    return back(request, entry.address, translated(request, "%(name)s is paused.", name=name))


@router.post("/schedules/resume")
def resume(request: Request, person: Pausing, name: Annotated[str, Form()] = "") -> Response:
    """The pause ends, and what should have run meanwhile runs once."""
    entry = _entry(request, name)
    desk_of(request).resume_schedule(name, actor=person.actor)
    said = translated(request, "%(name)s is resumed: it begins within a second or so.", name=name)
    return back(request, entry.address, said)


@router.post("/schedules/fetch")
def fetch(
    request: Request,
    person: Running,
    name: Annotated[str, Form()] = "",
    flow: Annotated[str, Form()] = "",
    since: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    offset: Annotated[str, Form()] = "",
) -> Response:
    """Look which orders the store has of a span of time; what is missing here is taken in from the page that follows."""
    mine = context_of(request)
    _entry(request, name)
    if flow not in {one.name for one in _fetched_by(mine, name)}:
        raise Refused(f"{name} fetches nothing for the flow {flow!r}. What to do: choose one of the flows on the page.")
    wanted = span_of(since, until, offset)
    found = RunDesk(mine, mine.ledger.audit, state_of(request).nudge).survey(flow, wanted, actor=person.actor)
    said = translated(request, "The store is asked. When it has answered, you see here what can be taken in.")
    return back(request, f"/runs/{found.id}", said)


def span_of(since: str, until: str, offset: str) -> Wanted:
    """From when to when (pure), as a browser's fields give it. Raises Refused."""
    try:
        begin, end = moment(since, offset), moment(until, offset)
    except (ValueError, OverflowError):
        raise Refused("From when to when is missing. What to do: choose two days with a time each.") from None
    if end <= begin:
        raise Refused("The end is not after the beginning. What to do: look at the two times.")
    if end - begin > LONGEST_FETCH:
        raise Refused(
            f"More than {LONGEST_FETCH.days} days at once are not fetched from here. What to do: choose a shorter span, or use "
            "`orderwire backfill`."
        )
    return Wanted(begin, end)


def _fetched_by(context: Context, name: str) -> list[FlowSettings]:
    """The flows that a poll's store feeds; [] for any other schedule."""
    kind, _, source = name.partition("/")
    if kind != "poll" or source not in context.stores or not context.stores[source].pollable:
        return []
    return [flow for flow in context.flows.values() if flow.source == source]


def _entry(request: Request, name: str) -> Entry:
    mine = context_of(request)
    # A name that nobody could have given is not asked for: PostgreSQL takes no NUL.
    if "\x00" not in name and len(name) <= 100:
        rounds = mine.ledger.schedules.rounds(name, last=KEPT)
        for entry in entries(mine, mine.ledger.clock.now(), rounds):
            if entry.name == name:
                return entry
    raise HTTPException(404, "There is no such schedule. What to do: see the list of schedules.")
