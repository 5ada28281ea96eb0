"""`/jobs`: search, look, retry, skip; retry all that match, after a look at how many that are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.amendments import Disagreement
from ledger.jobs import JobView
from ledger.people import Person
from ledger.problems import fingerprint
from ledger.search import Attempt, Listing, money_of, narrow, parse
from ledger.search import Query as Asked
from pipelines import bulk
from pipelines.desk import Refused, retryable
from web.api.bulk import Bulk, BulkPreview, bulk_of
from web.api.common import LARGEST, Body, Limit, Line, Moment, Number, Page, Reason, further, moneys, sendable, sentence
from web.api.door import needs
from web.api.labels import ErrorClass, Job, job_of
from web.api.refusal import Refusal, Wrong
from web.dashboard.choice import both_sides, choosing
from web.dashboard.common import context_of, desk_of
from web.dashboard.desk import search

router = APIRouter(tags=["jobs"])
SEEING = [Depends(needs(Right.SEE))]
Many = Annotated[Person, Depends(needs(Right.BULK))]
BY_TEXT: Final = 2000
"""Jobs that one number can name at most: twenty records, each with its flows."""

Text = Annotated[
    str,
    Query(
        max_length=300,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="As in the search box: an order's number, the store's id, a key, the number in a target system; and the "
        'qualifiers `state:`, `flow:`, `error:"..."`, `since:`',
        examples=["1001"],
    ),
]
InState = Annotated[
    Literal["", "waiting", "running", "settled", "held", "skipped"], Query(description="Jobs in this state only")
]
Since = Annotated[
    str,
    Query(
        pattern=r"^(\d{1,4}[mhdw]|20\d\d-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])(T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z)?)?$",
        description="Changed since: `30m`, `2h`, `3d`, `1w`, a day, or an RFC 3339 time in UTC",
        examples=["2h"],
    ),
]
Cursor = Annotated[
    str, Query(pattern=r"^(s\.\d{1,18}\.\d{1,18}|o(\.\d{1,18})?|t\.\d{1,5})?$", description="From `next`")
]


class JobPage(Page[Job]):
    """A part of the jobs: held ones first where no state is asked for, then the newest."""

    partial: Annotated[
        bool, Field(description="Only the newest jobs were looked through; name a state or a number to see older ones")
    ] = False


class Call(BaseModel):
    """One outward call; never a body, never a query string."""

    connection: Annotated[str, Field(examples=["crm"])]
    operation: Annotated[str, Field(examples=["create SalesOrder"])]
    method: Annotated[str, Field(examples=["POST"])]
    status: Annotated[int, Field(description="HTTP status; 0: no answer", examples=[200])]
    outcome: Annotated[str, Field(examples=["ok"])]
    milliseconds: Annotated[float, Field(examples=[143.2])]
    write: bool


class JobAttempt(BaseModel):
    """One execution."""

    started_at: Moment
    ended_at: Moment
    waited_seconds: Annotated[float | None, Field(description="Since the one before; null: it is the first")]
    outcome: Annotated[str, Field(examples=["settled"])]
    error_class: ErrorClass
    message: str
    worker: str
    correlation: str
    calls: list[Call]


class JobDetail(Job):
    """One job with its history."""

    attempts: Annotated[list[JobAttempt], Field(description="The newest first, 30 at most")]
    tried: Annotated[
        int, Field(description="How many attempts there are; 1,000 stands for so many or more", examples=[1])
    ]
    problem: Annotated[str, Field(description='Of a held job: its problem, as in /problems; else ""')]
    conflicts: Annotated[list[JobConflict], Field(description="What somebody has to choose before it goes on")]


class SideValue(BaseModel):
    """One field, as both sides have it. Addresses and notes are hidden from those who may not decide."""

    field: Annotated[str, Field(description="As it is called over there", examples=["Billing City"])]
    wrote: Annotated[str | None, Field(description="What Orderwire wrote last; null: not there, or not known")]
    theirs: Annotated[str | None, Field(description="What the target has now; null: not there", examples=["Bremen"])]
    store: Annotated[str | None, Field(description="What the store has now; null: not there", examples=["Hamburg"])]


class JobConflict(BaseModel):
    """A part of the order that was changed in the target and in the store, to different things."""

    id: Annotated[int, Field(description="Another one for other values", examples=[7])]
    part: Annotated[str, Field(description="As in [flow.ownership]", examples=["billing"])]
    sides: list[SideValue]


class JobChoice(Body):
    """The answer, good for exactly the values that were looked at. With the last answer the job is due."""

    choice: Annotated[
        Literal["theirs", "store"], Field(description="theirs: the target's stays; store: it is replaced")
    ]
    conflicts: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST)]],
        Field(
            max_length=20,
            description="Those that were looked at; refused (409) if one is not open any more. Empty: all that are open",
            examples=[[7]],
            default_factory=list,
        ),
    ]


class JobSkip(Body):
    """Set aside for good; a newer state of the record wakes it."""

    reason: Reason


class JobsRetry(Body):
    """Retry all that match."""

    at_most: Annotated[
        int,
        Field(
            ge=1,
            le=bulk.MOST,
            description="What the preview said; refused (409) if there are more by now",
            examples=[250],
        ),
    ]
    name: Annotated[
        str,
        Field(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description="How the action is called",
            examples=["After the outage"],
        ),
    ] = ""


class Filter:
    """A dependency: what the address asks for. Raises Refusal where a qualifier cannot be understood."""

    def __init__(
        self, request: Request, q: Text = "", state: InState = "", flow: Line = "", error: Line = "", since: Since = ""
    ) -> None:
        now = context_of(request).ledger.clock.now()
        query = parse(q, now)
        self.given: Mapping[str, Any] = {"q": q, "state": state, "flow": flow, "error": error, "since": since}
        for name in ("state", "flow", "error", "since"):
            query = narrow(query, name, self.given[name], now)
        if query.problems:
            found = [Wrong(where="query", name="q", message=problem) for problem in query.problems]
            raise Refusal("not-understood", found[0].message, errors=found)
        self.query = query

    @property
    def name(self) -> str:
        """How an action on all of it is called where nobody names it."""
        return " ".join(f"{name}:{value}" for name, value in self.given.items() if value)


Filtered = Annotated[Filter, Depends(Filter)]


@router.get("/jobs", dependencies=SEEING)
def list_jobs(request: Request, wanted: Filtered, limit: Limit = 50, after: Cursor = "") -> JobPage:
    """A part of the list. `next` keeps the filters, and loses and repeats nothing whatever happens meanwhile."""
    found = _listed(request, wanted.query, after, limit)
    data = [job_of(job) for job in found.jobs]
    return JobPage(data=data, next=further(request, found.after, **wanted.given, limit=limit), partial=found.partial)


def _listed(request: Request, query: Asked, after: str, limit: int) -> Listing:
    if not query.text:
        return search(request).jobs(query, after=after, limit=limit)
    jobs = search(request).jobs(query, limit=BY_TEXT).jobs  # few, in one order: a place among them is enough
    first = int(after.removeprefix("t.")) if after.startswith("t.") else 0
    return Listing(jobs[first : first + limit], f"t.{first + limit}" if len(jobs) > first + limit else "")


@router.get("/jobs/retry", dependencies=[Depends(needs(Right.BULK))])
def preview_jobs_retry(request: Request, wanted: Filtered) -> BulkPreview:
    """How many failed jobs match, and how much money they are, before anything is done."""
    members = _members(request, wanted.query)
    return BulkPreview(
        name=wanted.name,
        jobs=len(members),
        capped=len(members) >= bulk.MOST,
        amounts=moneys(money_of(members)),
        unknown=sum(not one.amount for one in members),
        samples=[one.number for one in members[:10] if one.number],
    )


@router.post("/jobs/retry", status_code=202)
def retry_jobs(request: Request, wanted: Filtered, person: Many, body: JobsRetry) -> Bulk:
    """Begin. `/bulk/{id}` tells how far it is."""
    members = _members(request, wanted.query)
    if len(members) > body.at_most:
        raise Refused(
            f"There are {len(members)} jobs by now, more than the {body.at_most} of `at_most`: nothing was done. "
            "What to do: look at the preview again."
        )
    name = body.name.strip() or wanted.name
    return bulk_of(desk_of(request).retry_all(name, members, actor=person.actor))


def _members(request: Request, query: Asked) -> Any:
    if not retryable(query):
        raise Refused(
            "Retrying these makes no sense: nothing narrows them down, or they have not failed. "
            "What to do: ask for `state=held`, a flow, an error, a time or a number."
        )
    return search(request).members(query, bulk.MOST)


@router.get("/jobs/{job_id}")
def get_job(request: Request, job_id: Number, person: Annotated[Person, Depends(needs(Right.SEE))]) -> JobDetail:
    """One job: why it is where it is, what can be done, every attempt with its calls."""
    return _detail(request, desk_of(request).job(job_id), openly=person.may(Right.DECIDE))


@router.post("/jobs/{job_id}/retry")
def retry_job(request: Request, job_id: Number, person: Annotated[Person, Depends(needs(Right.RETRY))]) -> Job:
    """Run it again now, from the newest state of its record."""
    return job_of(desk_of(request).retry(job_id, actor=person.actor))


@router.post("/jobs/{job_id}/skip")
def skip_job(
    request: Request, job_id: Number, person: Annotated[Person, Depends(needs(Right.SKIP))], body: JobSkip
) -> Job:
    """Set it aside, with the reason that others will read."""
    return job_of(desk_of(request).skip(job_id, body.reason, actor=person.actor))


@router.post("/jobs/{job_id}/choice")
def choose_job(
    request: Request, job_id: Number, person: Annotated[Person, Depends(needs(Right.DECIDE))], body: JobChoice
) -> Job:
    """Keep what the target has, or take the store's, where both were changed."""
    job, service = desk_of(request).job(job_id), choosing(request)
    parts = [one.asked.part for one in service.open(job) if one.id in body.conflicts]
    service.choose(job, body.choice, actor=person.actor, parts=parts, seen=body.conflicts)
    return job_of(desk_of(request).job(job_id))


def _detail(request: Request, view: JobView, *, openly: bool) -> JobDetail:
    attempts, tried = search(request).attempts(view.id)
    problem = fingerprint(view.flow, view.target, view.error_class, view.reason) if view.state == "held" else ""
    return JobDetail(
        **job_of(view).model_dump(),
        attempts=[_attempt(one) for one in attempts],
        tried=tried,
        problem=problem,
        conflicts=[_conflict(one) for one in both_sides(request, view, openly=openly)],
    )


def _conflict(one: Disagreement) -> JobConflict:
    def said(text: str | None) -> str | None:
        return None if text is None else sendable(text)

    sides = [
        SideValue(field=sendable(row.field), wrote=said(row.wrote), theirs=said(row.theirs), store=said(row.stores))
        for row in one.asked.rows
    ]
    return JobConflict(id=one.id, part=one.asked.part, sides=sides)


def _attempt(one: Attempt) -> JobAttempt:
    return JobAttempt(
        started_at=one.started_at,
        ended_at=one.ended_at,
        waited_seconds=one.waited,
        outcome=one.outcome,
        error_class=one.error_class,
        message=sentence(one.message),
        worker=one.worker,
        correlation=one.correlation,
        calls=[_call(call) for call in one.calls],
    )


def _call(call: Mapping[str, Any]) -> Call:
    return Call(
        connection=str(call.get("connection", "")),
        operation=sentence(str(call.get("operation", ""))),
        method=str(call.get("method", "")),
        status=int(call.get("status") or 0),
        outcome=str(call.get("outcome", "")),
        milliseconds=float(call.get("milliseconds") or 0),
        write=bool(call.get("write")),
    )
