"""`/schedules`: what runs at intervals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.schedules import KEPT
from ledger.schedules import Round as Kept
from pipelines.schedules import asks
from web.api.common import Moment, Page, Pause
from web.api.door import needs
from web.api.refusal import unknown
from web.dashboard.common import context_of, desk_of
from web.dashboard.timetable import Entry, entries

router = APIRouter(tags=["schedules"])
Pausing = Annotated[Person, Depends(needs(Right.PAUSE))]
ScheduleName = Annotated[str, Path(max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$", description="As in the list")]


class Schedule(BaseModel):
    """Something that runs at intervals. `late_seconds`: 0 in time."""

    name: Annotated[str, Field(examples=["poll/shop"])]
    every_seconds: Annotated[
        float, Field(description="0: the configuration does not ask for it any more", examples=[300])
    ]
    next_at: Moment | None
    last_started_at: Moment | None
    last_ended_at: Moment | None
    outcome: Annotated[str, Field(description="What came of the last round", examples=["2 changed"])]
    running: bool
    failed: bool
    late_seconds: Annotated[float, Field(examples=[0])]
    missed: Annotated[int, Field(description="Rounds that should have begun since it is due", examples=[0])]
    may_rest: Annotated[bool, Field(description="It may be paused")]
    paused: bool
    paused_until: Annotated[Moment | None, Field(description="null while paused: until somebody resumes it")]
    paused_by: str
    paused_why: str


class Round(BaseModel):
    """One round that is over."""

    number: Annotated[int, Field(examples=[41])]
    state: Annotated[
        str, Field(description="ok, failed, skipped (paused) or lost (the process ended)", examples=["ok"])
    ]
    due_at: Moment | None
    started_at: Moment
    ended_at: Moment
    missed: Annotated[int, Field(description="How many more should have begun by then", examples=[0])]
    outcome: Annotated[str, Field(examples=["2 changed"])]


class ScheduleDetail(Schedule):
    """One schedule with its history."""

    rounds: Annotated[list[Round], Field(description=f"The newest first, {KEPT} at most")]


class SchedulePage(Page[Schedule]):
    """All schedules, in the order of the configuration."""


@router.get("/schedules", dependencies=[Depends(needs(Right.SEE))])
def list_schedules(request: Request) -> SchedulePage:
    """All of them: how often, last, next, late, what came of it."""
    return SchedulePage(data=[_shown(one) for one in _entries(request)])


@router.get("/schedules/{name:path}", dependencies=[Depends(needs(Right.SEE))])
def get_schedule(request: Request, name: ScheduleName) -> ScheduleDetail:
    """One of them, with its last rounds."""
    found = _one(request, name)
    rounds = context_of(request).ledger.schedules.rounds(name, last=KEPT).get(name, ())
    return ScheduleDetail(**found.model_dump(), rounds=[_round(one) for one in reversed(rounds)])


@router.post("/schedules/{name:path}/run")
def run_schedule(
    request: Request, name: ScheduleName, person: Annotated[Person, Depends(needs(Right.RUN))]
) -> Schedule:
    """It is due now, and begins within a second or so."""
    desk_of(request).run_schedule(name, actor=person.actor, asks=asks(context_of(request), name))
    return _one(request, name)


@router.post("/schedules/{name:path}/pause")
def pause_schedule(request: Request, name: ScheduleName, person: Pausing, body: Pause) -> Schedule:
    """It does not begin until then. What is under way goes on."""
    _one(request, name)
    seconds = body.seconds(context_of(request).ledger.clock.now())
    desk_of(request).pause_schedule(name, seconds, actor=person.actor, reason=body.reason)
    return _one(request, name)


@router.post("/schedules/{name:path}/resume")
def resume_schedule(request: Request, name: ScheduleName, person: Pausing) -> Schedule:
    """The pause ends, and what should have run meanwhile runs once."""
    desk_of(request).resume_schedule(name, actor=person.actor)
    return _one(request, name)


def _entries(request: Request) -> list[Entry]:
    return list(entries(context_of(request), context_of(request).ledger.clock.now()))


def _one(request: Request, name: str) -> Schedule:
    for one in _entries(request):
        if one.name == name:
            return _shown(one)
    raise unknown(f"There is no schedule {name!r}. What to do: see /api/v1/schedules.")


def _shown(one: Entry) -> Schedule:
    return Schedule(
        name=one.name,
        every_seconds=one.every,
        next_at=one.next_at,
        last_started_at=one.last_started_at,
        last_ended_at=one.last_ended_at,
        outcome=one.outcome,
        running=one.running,
        failed=one.failed,
        late_seconds=one.late,
        missed=one.missed,
        may_rest=one.may_rest,
        paused=one.paused,
        paused_until=one.paused_until,
        paused_by=one.paused_by,
        paused_why=one.paused_why,
    )


def _round(one: Kept) -> Round:
    return Round(
        number=one.number,
        state=one.state,
        due_at=one.due_at,
        started_at=one.started_at,
        ended_at=one.ended_at,
        missed=one.missed,
        outcome=one.outcome,
    )
