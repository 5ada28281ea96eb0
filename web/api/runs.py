"""`/runs`: every big piece of work that somebody asked for: how far it is, what it says of each record; rehearse, stop, go on.

Whoever wants to begin a backfill or take one back looks at its preview on the page first.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.runs import Item, RunView
from pipelines.rundesk import LONGEST, Action, actions_for
from web.api.common import (
    Body,
    Limit,
    Line,
    Moment,
    Money,
    Name,
    Number,
    Page,
    further,
    money,
    moneys,
    sendable,
    sentence,
)
from web.api.door import Needs, needs
from web.api.labels import ErrorClass, FlowName, OrderNumber, RecordKey
from web.dashboard.common import context_of
from web.dashboard.runs import desk, line_of

router = APIRouter(tags=["runs"])
SEEING = [Depends(needs(Right.SEE))]
Running = Annotated[Person, Depends(needs(Right.RUN))]
Cursor = Annotated[str, Query(pattern=r"^(\d{1,18})?$", description="From `next`")]
KeyCursor = Annotated[str, Query(max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$", description="From `next`")]
Kind = Literal[
    "",
    "rehearse",
    "adopt",
    "link",
    "survey",
    "backfill",
    "preview",
    "undo",
    "retry",
    "skip",
    "plan",
    "reassign",
    "restore",
]
RunState = Literal["", "queued", "running", "done", "stopped", "failed"]
BEGUN_BY: Final = {
    "backfill": Right.BULK,
    "survey": Right.BULK,
    "preview": Right.UNDO,
    "undo": Right.UNDO,
    "plan": Right.BULK,
    "reassign": Right.BULK,
    "restore": Right.BULK,
}
"""Whoever may not begin such a run may not let it go on either."""


class Run(BaseModel):
    """One big piece of work."""

    id: Annotated[int, Field(examples=[12])]
    kind: Annotated[
        str,
        Field(
            description="rehearse, adopt, link, survey, backfill, preview, undo, retry, skip, plan, reassign or restore"
        ),
    ]
    flow: Annotated[FlowName, Field(description='"": over several flows')]
    state: Annotated[str, Field(description="queued, running, done, stopped or failed", examples=["running"])]
    silent: Annotated[bool, Field(description="It says that it runs, and nobody is at work with it")]
    done: Annotated[int, Field(description="Records so far", examples=[400])]
    total: Annotated[int | None, Field(description="null: nobody knows how many there are", examples=[1000])]
    amounts: list[Money]
    summary: str
    by: Annotated[str, Field(examples=["Olga (token nightly)"])]
    started_at: Moment
    updated_at: Moment
    ended_at: Moment | None
    actions: Annotated[list[Action], Field(description="What can be done with it as it is now")]


class RunPage(Page[Run]):
    """A part of the runs, the newest first."""


class RunRecord(BaseModel):
    """What a run has to say of one record."""

    record: RecordKey
    number: OrderNumber
    verdict: Annotated[str, Field(examples=["post"])]
    amount: Money | None
    reason: str
    error_class: ErrorClass


class RunRecordPage(Page[RunRecord]):
    """A part of a run's records, by key."""


class Rehearsal(Body):
    """Rehearse the orders of the last days."""

    days: Annotated[int, Field(ge=1, le=LONGEST, examples=[30])]


@router.get("/runs", dependencies=SEEING)
def list_runs(
    request: Request,
    kind: Annotated[Kind, Query(description="Only these")] = "",
    state: Annotated[RunState, Query(description="Only these")] = "",
    flow: Line = "",
    limit: Limit = 50,
    after: Cursor = "",
) -> RunPage:
    """The newest first."""
    kept = {"kind": kind, "state": state, "flow": flow}
    runs = context_of(request).ledger.runs.list(**kept, before=int(after) if after else None, limit=limit + 1)
    more = str(runs[limit - 1].id) if len(runs) > limit else ""
    return RunPage(
        data=[_shown(request, run) for run in runs[:limit]], next=further(request, more, **kept, limit=limit)
    )


@router.get("/runs/{run_id}", dependencies=SEEING)
def get_run(request: Request, run_id: Number) -> Run:
    """How far it is."""
    return _shown(request, desk(request).run(run_id))


@router.get("/runs/{run_id}/records", dependencies=SEEING)
def list_run_records(
    request: Request, run_id: Number, verdict: Line = "", limit: Limit = 50, after: KeyCursor = ""
) -> RunRecordPage:
    """What it says of each record, by key."""
    run = desk(request).run(run_id)
    items = context_of(request).ledger.runs.items(run.id, verdict=verdict, after=after, limit=limit + 1)
    more = items[limit - 1].key if len(items) > limit else ""
    return RunRecordPage(
        data=[_record(item) for item in items[:limit]], next=further(request, more, verdict=verdict, limit=limit)
    )


@router.post("/flows/{name}/rehearse", status_code=202)
def rehearse_flow(request: Request, name: Name, person: Running, body: Rehearsal) -> Run:
    """Queue it; a worker begins in a moment. Nothing is written to the target."""
    return _shown(request, desk(request).rehearse(name, body.days, actor=person.actor))


@router.post("/runs/{run_id}/stop")
def stop_run(request: Request, run_id: Number, person: Running) -> Run:
    """No further step. What was done so far stays done, and is kept."""
    return _shown(request, desk(request).stop(run_id, actor=person.actor))


@router.post("/runs/{run_id}/go-on")
def go_on_run(request: Request, run_id: Number, person: Running) -> Run:
    """From where it stopped. It needs the right to begin such a run, too."""
    right = BEGUN_BY.get(desk(request).run(run_id).kind)
    if right is not None:
        Needs(right)(request)
    return _shown(request, desk(request).go_on(run_id, actor=person.actor))


def _shown(request: Request, run: RunView) -> Run:
    now = context_of(request).clock.now()
    line = line_of(run, now)
    return Run(
        id=run.id,
        kind=run.kind,
        flow=run.flow,
        state=run.state,
        silent=line.silent,
        done=line.done,
        total=line.total,
        amounts=moneys(line.money),
        summary=sentence(run.summary),
        by=run.by,
        started_at=run.started_at,
        updated_at=run.updated_at,
        ended_at=run.ended_at,
        actions=sorted(actions_for(run, now)),
    )


def _record(item: Item) -> RunRecord:
    return RunRecord(
        record=item.key,
        number=sendable(item.number),
        verdict=item.verdict,
        amount=money(item.amount or "", item.currency),
        reason=sentence(item.reason),
        error_class=item.error_class,
    )
