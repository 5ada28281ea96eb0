"""`/problems`: what is wrong now, grouped by cause; retry all of one, after a look at how many that are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.people import Person
from ledger.search import Member
from pipelines import bulk
from pipelines.caring import Cared
from pipelines.desk import Refused, problem_name
from web.api.bulk import Bulk, BulkPreview, bulk_of
from web.api.common import Body, Limit, Moment, Money, Page, further, moneys, sentence
from web.api.door import needs
from web.api.labels import ConnectionName, ErrorClass, FlowName, JobId, Message, OrderNumber
from web.api.refusal import unknown
from web.dashboard.common import desk_of
from web.dashboard.problems import buyers, care_of, worth

router = APIRouter(tags=["problems"])
SEEING = [Depends(needs(Right.SEE))]
Many = Annotated[Person, Depends(needs(Right.BULK))]
ProblemId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="The fingerprint of its cause")]
Cursor = Annotated[str, Query(pattern=r"^([01]\.[01]\.\d{1,9}\.[0-9a-f]{16})?$", description="From `next`")]


class Sample(BaseModel):
    """One of its jobs."""

    job: JobId
    number: OrderNumber


class Trouble(BaseModel):
    """Jobs with one cause. It is computed, not kept: it is gone as soon as its jobs are."""

    id: Annotated[str, Field(description="The same cause has the same one tomorrow", examples=["3f0c9d1a2b4c5d6e"])]
    flow: Annotated[FlowName, Field(description='"": a whole connection is out')]
    target: ConnectionName
    error_class: ErrorClass
    message: Message
    count: Annotated[int, Field(description="Orders; at least so many where `capped`", examples=[250])]
    capped: bool
    amounts: list[Money]
    unknown: Annotated[int, Field(description="Orders whose amount is not in `amounts`", examples=[0])]
    states: Annotated[dict[str, int], Field(description="Its jobs by state", examples=[{"held": 250}])]
    since: Annotated[Moment, Field(description="When it began")]
    first_seen: Annotated[Moment, Field(description="The first of its jobs that has not moved since")]
    last_seen: Moment
    outage: Annotated[bool, Field(description="The target is out: its orders go on by themselves when it is back")]
    samples: list[Sample]
    customers: Annotated[
        int | None,
        Field(description="Different people who placed its orders; null: nobody has counted yet", examples=[240]),
    ]
    assignee: Annotated[str, Field(description='Who sees to it; "": nobody', examples=["Olga"])]
    snoozed_until: Annotated[Moment | None, Field(description="Out of sight until then, if it stays what it is")]
    acknowledged: Annotated[bool, Field(description="Somebody knows of this very outage")]
    quiet: Annotated[bool, Field(description="Snoozed or acknowledged: nobody needs to look at it now")]


class TroublePage(Page[Trouble]):
    """A part of the problems: those to look at first; of those outages first, then the largest."""


class ProblemRetry(Body):
    """Retry all of them."""

    at_most: Annotated[
        int,
        Field(
            ge=1,
            le=bulk.MOST,
            description="What the preview said; refused (409) if there are more by now",
            examples=[250],
        ),
    ]


@router.get("/problems", dependencies=SEEING)
def list_problems(request: Request, limit: Limit = 50, after: Cursor = "") -> TroublePage:
    """What keeps orders waiting at this moment."""
    some = sorted(care_of(request).open(), key=_place)
    if after:
        quiet, small, count, name = after.split(".")
        some = [one for one in some if _place(one) > (int(quiet), int(small), -int(count), name)]
    last = some[limit - 1] if len(some) > limit else None
    more = "{}.{}.{}.{}".format(*_place(last)).replace("-", "") if last else ""
    return TroublePage(data=[trouble_of(one) for one in some[:limit]], next=further(request, more, limit=limit))


def _place(one: Cared) -> tuple[int, int, int, str]:
    return int(one.quiet), int(not one.outage), -one.problem.count, one.problem.id


@router.get("/problems/{problem_id}", dependencies=SEEING)
def get_problem(request: Request, problem_id: ProblemId) -> Trouble:
    """One of them, with what its orders are worth as far as anybody knows. Its jobs: `/jobs?flow=...&error=...&state=held`."""
    one, members = found(request, problem_id)
    amounts, unread = worth(request).of(members)
    people, of = buyers(request).of(members)
    known = {"amounts": moneys(amounts), "unknown": unread, "customers": people if of else None}
    return trouble_of(one).model_copy(update=known)


@router.get("/problems/{problem_id}/retry", dependencies=[Depends(needs(Right.BULK))])
def preview_problem_retry(request: Request, problem_id: ProblemId) -> BulkPreview:
    """How many, and how much money, before anything is done."""
    return preview(request, *found(request, problem_id))


@router.post("/problems/{problem_id}/retry", status_code=202)
def retry_problem(request: Request, problem_id: ProblemId, person: Many, body: ProblemRetry) -> Bulk:
    """Begin; a connection that is out is tried at once. `/bulk/{id}` tells how far it is."""
    one, members = found(request, problem_id)
    if min(len(members), bulk.MOST) > body.at_most:
        raise Refused(
            f"There are {len(members)} jobs by now, more than the {body.at_most} of `at_most`: nothing was done. "
            "What to do: look at the preview again."
        )
    filled = worth(request).filled(members)
    return bulk_of(desk_of(request).retry_problem(one.problem, filled, actor=person.actor))


def found(request: Request, problem_id: str) -> tuple[Cared, list[Member]]:
    """The problem with what is arranged about it, and its jobs. Raises Refusal when it is gone."""
    known = care_of(request).get(problem_id)
    if known is None:
        raise unknown(
            "There is no such problem, or it is gone by itself. What to do: nothing, or see /api/v1/problems."
        )
    return known


def preview(request: Request, one: Cared, members: list[Member]) -> BulkPreview:
    """How many that are, and how much money."""
    kept = members[: bulk.MOST]
    amounts, unread = worth(request).of(kept)
    return BulkPreview(
        name=problem_name(one.problem),
        jobs=len(kept),
        capped=len(members) > bulk.MOST,
        amounts=moneys(amounts),
        unknown=unread,
        samples=[name for _, name in one.problem.samples],
    )


def trouble_of(cared: Cared) -> Trouble:
    """As it is sent."""
    one = cared.problem
    return Trouble(
        id=one.id,
        flow=one.flow,
        target=one.target,
        error_class=one.error_class,
        message=sentence(one.message),
        count=one.count,
        capped=one.capped,
        amounts=moneys(one.amounts),
        unknown=one.unknown,
        states=dict(one.states),
        since=cared.since,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        outage=cared.outage,
        samples=[Sample(job=job, number=number) for job, number in one.samples],
        customers=cared.spell.customers if cared.spell else None,
        assignee=cared.care.assignee,
        snoozed_until=cared.care.snoozed_until if cared.snoozed else None,
        acknowledged=cared.acknowledged,
        quiet=cared.quiet,
    )
