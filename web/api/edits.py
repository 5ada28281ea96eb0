"""`/jobs/{id}/edit` and `/jobs/{id}/dry-run`: retry with edited data, and what would be written with nothing written.

The record is text, not JSON within JSON: every digit of its numbers stays as the store sent it. Personal data is hidden in it;
what is hidden and left as it is stays what it was.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from core.rights import Right
from ledger.people import Person
from pipelines.editing import LONGEST, Checked
from pipelines.rehearsal import Plan
from web.api.common import Body, Money, Number, Reason, money, sendable, sentence
from web.api.door import needs
from web.api.labels import ErrorClass, Job, JobId, OrderNumber, RecordKey, job_of
from web.dashboard.desk import editing
from web.threads import outside

router = APIRouter(tags=["jobs"])
Editor = Annotated[Person, Depends(needs(Right.EDIT))]
RecordText = Annotated[
    str,
    Field(max_length=LONGEST, description="The record as JSON text, personal data hidden", examples=['{"id": 1001}']),
]
Version = Annotated[int, Field(ge=0, le=2**31, description="Of the state that the text was made from", examples=[3])]


class JobDraft(BaseModel):
    """The record of a job that failed, to be edited."""

    job: JobId
    version: Version
    text: RecordText


class Edit(Body):
    """An edited record."""

    version: Version
    text: RecordText


class ReasonedEdit(Edit):
    """An edited record to be kept."""

    reason: Reason


class Difference(BaseModel):
    """One place that is changed; "" where there was or is nothing. Personal data hidden."""

    path: Annotated[str, Field(examples=["billing.postcode"])]
    before: str
    after: str


class CheckedEdit(BaseModel):
    """An edit that can be taken."""

    differences: list[Difference]
    number: OrderNumber
    total: Money | None


class PlannedWrite(BaseModel):
    """One write that would happen."""

    operation: Annotated[str, Field(examples=["create SalesOrder"])]
    words: Annotated[
        str, Field(description="The few facts that people need to recognise it", examples=["1001, 12.50 EUR"])
    ]


class DryRun(BaseModel):
    """What would become of an order."""

    record: RecordKey
    number: OrderNumber
    verdict: Annotated[str, Field(description="post, change, nothing, hold, skip or wait", examples=["post"])]
    total: Money | None
    reason: str
    error_class: ErrorClass
    customer: Annotated[str, Field(description='found, new, doubtful or ""', examples=["found"])]
    writes: list[PlannedWrite]
    calls: Annotated[int, Field(description="What it costs at least", examples=[4])]
    warnings: list[str]


@router.get("/jobs/{job_id}/edit", dependencies=[Depends(needs(Right.EDIT))])
def get_draft(request: Request, job_id: Number) -> JobDraft:
    """The text to be mended."""
    draft = editing(request).draft(job_id)
    return JobDraft(job=draft.job.id, version=draft.version, text=sendable(draft.text))


@router.post("/jobs/{job_id}/edit/check")
def check_edit(request: Request, job_id: Number, _person: Editor, body: Edit) -> CheckedEdit:
    """Whether it can be taken, and what would change; keeps nothing."""
    return _checked(editing(request).check(job_id, body.text, body.version))


@router.post("/jobs/{job_id}/edit")
def save_edit(request: Request, job_id: Number, person: Editor, body: ReasonedEdit) -> Job:
    """Keep it as the record's newest state, with the reason, and run the job. What came in stays as it was."""
    return job_of(editing(request).save(job_id, body.text, body.version, body.reason, actor=person.actor))


@router.post("/jobs/{job_id}/dry-run")
async def dry_run(request: Request, job_id: Number, person: Annotated[Person, Depends(needs(Right.RUN))]) -> DryRun:
    """What would be written now, with nothing written. The target is asked; 429 while too many calls to outside systems are
    under way.
    """
    service = editing(request)
    job = await run_in_threadpool(service.desk.job, job_id)
    return await outside(job.target, lambda: _planned(service.dry_run(job_id, actor=person.actor)))


def _checked(found: Checked) -> CheckedEdit:
    differences = [
        Difference(path=sendable(one.path), before=sendable(one.before), after=sendable(one.after))
        for one in found.differences
    ]
    order = found.order
    return CheckedEdit(differences=differences, number=order.number, total=money(order.total, order.currency))


def _planned(plan: Plan) -> DryRun:
    return DryRun(
        record=plan.key,
        number=plan.number,
        verdict=plan.verdict,
        total=money(plan.amount, plan.currency),
        reason=sentence(plan.reason),
        error_class=plan.error_class,
        customer=plan.customer,
        writes=[PlannedWrite(operation=one.operation, words=sentence(one.words)) for one in plan.writes],
        calls=plan.calls,
        warnings=[sentence(one) for one in (*plan.warnings, *plan.unmapped)],
    )
