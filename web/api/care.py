"""What people arrange about a problem: whose it is, snoozed until when, known of, noted; skipping all of it; how it ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from core.rights import Right
from ledger.care import LONGEST, Remark
from ledger.people import Person, folded
from pipelines import bulk
from pipelines.desk import Refused
from web.api.bulk import Bulk, BulkPreview, bulk_of
from web.api.common import Body, Given, Moment, Money, Page, Reason, moneys, sentence
from web.api.door import needs
from web.api.labels import ConnectionName, ErrorClass, FlowName
from web.api.problems import Many, ProblemId, Trouble, found, preview, trouble_of
from web.dashboard.problems import care_of

router = APIRouter(tags=["problems"])
SEEING = [Depends(needs(Right.SEE))]
Handling = Annotated[Person, Depends(needs(Right.HANDLE))]


class ProblemSnooze(Body):
    """Out of sight for a while; it comes back earlier when it more than doubles or becomes more serious."""

    until: Given


class ProblemAssign(Body):
    """Whose it is."""

    to: Annotated[
        str | None, Field(max_length=60, description="A name of /assignees; null: nobody's", examples=["Olga"])
    ]


class ProblemAcknowledge(Body):
    """Somebody knows of this outage."""

    reason: Reason


class ProblemNote(BaseModel):
    """What somebody wrote down about a problem."""

    id: Annotated[int, Field(examples=[5])]
    at: Moment
    by: str
    text: Annotated[str, Field(description="Plain text, personal data hidden", examples=["The bank is asked."])]


class ProblemNotePage(Page[ProblemNote]):
    """The last notes, the newest first."""


class ProblemNoteText(Body):
    """To be written down."""

    text: Annotated[
        str,
        Field(max_length=LONGEST, pattern=r"^[^\x00]*[^\x00-\x20\x7f-\xa0][^\x00]*$", examples=["The bank is asked."]),
    ]


class ProblemSkip(Body):
    """Skip all of its jobs."""

    reason: Reason
    jobs: Annotated[
        int,
        Field(
            ge=1, le=bulk.MOST, description="What the preview said; refused (409) if it is another number", examples=[3]
        ),
    ]


class Assignee(BaseModel):
    """Somebody who may see to a problem."""

    name: Annotated[str, Field(examples=["Olga"])]


class AssigneePage(Page[Assignee]):
    """Everybody whom a problem can be given."""


class EndedProblem(BaseModel):
    """A problem that has ended, and how."""

    id: Annotated[str, Field(examples=["3f0c9d1a2b4c5d6e"])]
    flow: FlowName
    target: ConnectionName
    error_class: ErrorClass
    message: str
    most: Annotated[int, Field(description="Orders at its height", examples=[250])]
    amounts: list[Money]
    customers: Annotated[int | None, Field(examples=[240])]
    opened_at: Moment
    ended_at: Moment | None
    ending: Annotated[
        str, Field(description="itself, works again, retried, skipped or other reason", examples=["works again"])
    ]
    ended_by: str
    ended_why: str
    bulk: Annotated[int | None, Field(description="The bulk action that ended it", examples=[12])]


class EndedProblemPage(Page[EndedProblem]):
    """Problems of the last seven days, the last one first; 50 at most."""


@router.get("/problems-ended", dependencies=SEEING)
def list_ended_problems(request: Request) -> EndedProblemPage:
    """What was wrong, and how it ended."""
    data = [
        EndedProblem(
            id=one.problem,
            flow=one.flow,
            target=one.target,
            error_class=one.error_class,
            message=sentence(one.message),
            most=one.most,
            amounts=moneys(one.amounts),
            customers=one.customers,
            opened_at=one.opened_at,
            ended_at=one.ended_at,
            ending=one.ending,
            ended_by=one.ended_by,
            ended_why=sentence(one.ended_why),
            bulk=one.run_id,
        )
        for one in care_of(request).ended()
    ]
    return EndedProblemPage(data=data)


@router.get("/assignees", dependencies=[Depends(needs(Right.HANDLE))])
def list_assignees(request: Request) -> AssigneePage:
    """People who may do something about a problem."""
    return AssigneePage(data=[Assignee(name=one.name) for one in care_of(request).assignees()])


@router.post("/problems/{problem_id}/snooze")
def snooze_problem(request: Request, problem_id: ProblemId, person: Handling, body: ProblemSnooze) -> Trouble:
    """Out of sight until then, within 92 days. Its orders wait and are counted as ever."""
    return trouble_of(care_of(request).snooze(problem_id, body.until, actor=person.actor))


@router.post("/problems/{problem_id}/wake")
def wake_problem(request: Request, problem_id: ProblemId, person: Handling) -> Trouble:
    """End a snooze."""
    return trouble_of(care_of(request).wake(problem_id, actor=person.actor))


@router.post("/problems/{problem_id}/assign")
def assign_problem(request: Request, problem_id: ProblemId, person: Handling, body: ProblemAssign) -> Trouble:
    """Whose it is."""
    service, chosen = care_of(request), None
    if body.to is not None:
        chosen = next((one.id for one in service.assignees() if folded(one.name) == folded(body.to)), None)
        if chosen is None:
            raise Refused("Nobody of this name may see to a problem. What to do: choose one of /api/v1/assignees.")
    return trouble_of(service.assign(problem_id, chosen, actor=person.actor))


@router.post("/problems/{problem_id}/acknowledge")
def acknowledge_problem(request: Request, problem_id: ProblemId, person: Handling, body: ProblemAcknowledge) -> Trouble:
    """An outage stands aside until it is over; the next one is told anew. Orders that need somebody are retried or skipped."""
    return trouble_of(care_of(request).acknowledge(problem_id, body.reason, actor=person.actor))


@router.get("/problems/{problem_id}/notes", dependencies=SEEING)
def list_problem_notes(request: Request, problem_id: ProblemId) -> ProblemNotePage:
    """What people wrote about it, also when it was there before; 100 at most."""
    return ProblemNotePage(data=[_note(one) for one in care_of(request).notes(problem_id)])


@router.post("/problems/{problem_id}/notes", status_code=201)
def note_problem(request: Request, problem_id: ProblemId, person: Handling, body: ProblemNoteText) -> ProblemNote:
    """Write something down. It is there again when the problem is."""
    return _note(care_of(request).note(problem_id, body.text, actor=person.actor))


@router.get("/problems/{problem_id}/skip", dependencies=[Depends(needs(Right.BULK))])
def preview_problem_skip(request: Request, problem_id: ProblemId) -> BulkPreview:
    """How many, and how much money, before anything is done."""
    return preview(request, *found(request, problem_id))


@router.post("/problems/{problem_id}/skip", status_code=202)
def skip_problem(request: Request, problem_id: ProblemId, person: Many, body: ProblemSkip) -> Bulk:
    """Begin: what still has this very problem, and nothing happened with since, is set aside with the reason."""
    return bulk_of(care_of(request).skip_all(problem_id, body.reason, body.jobs, actor=person.actor))


def _note(one: Remark) -> ProblemNote:
    return ProblemNote(id=one.id, at=one.at, by=one.by, text=sentence(one.text))
