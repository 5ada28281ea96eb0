"""One job: why it is where it is and what to do, every attempt with its calls, what came in, what it became; and its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.concurrency import run_in_threadpool

from core.keys import Key
from core.rights import Right
from ledger.jobs import JobView
from ledger.people import Person
from ledger.problems import fingerprint
from ledger.search import Attempt
from pipelines import curls, explaining, whereabouts
from pipelines.context import Context
from pipelines.desk import Unknown, actions_for, required
from pipelines.editing import Mistake
from pipelines.reviewdesk import question_for
from web.access import require
from web.dashboard.choice import both_sides
from web.dashboard.common import context_of, desk_of
from web.dashboard.desk import EDITING, SEEING, body, editing, missing, search
from web.pages import back, page, translated
from web.threads import outside

router = APIRouter()
Reason = Annotated[str, Form(max_length=2000)]
Next = Annotated[str, Form(max_length=2000)]
_ = translated


def _job(request: Request, job_id: int) -> JobView:
    try:
        return desk_of(request).job(job_id)
    except Unknown:
        raise missing() from None


@router.get("/jobs/{job_id:int}")
def show(request: Request, job_id: int, person: Annotated[Person, Depends(require(Right.SEE))]) -> Response:
    """The job's page."""
    return page(request, "job.html", **_facts(request, _job(request, job_id), person))


def _facts(request: Request, job: JobView, person: Person) -> dict[str, Any]:
    context, look = context_of(request), search(request)
    order = whereabouts.closely(context, look, Key.parse(job.key))
    attempts, tried = look.attempts(job.id)
    queued = (attempts[-1].started_at - job.created_at).total_seconds() if 0 < tried == len(attempts) else None
    return {
        "job": job,
        "what": job.reason.partition(" What to do:")[0],
        "todo": job.reason.partition(" What to do:")[2].strip(),
        "actions": actions_for(job),
        "attempts": attempts,
        "tried": tried,
        "queued": queued if queued is None or queued > 0 else 0.0,
        "curls": _curls(context, attempts),
        "order": order,
        "related": [other for other in order.jobs if other.id != job.id],
        "question": question_for(context.ledger, job),
        "sides": both_sides(request, job, openly=person.may(Right.DECIDE)),
        "problem": fingerprint(job.flow, job.target, job.error_class, job.reason) if job.state == "held" else "",
        "doings": context.ledger.audit.list(subject=f"job/{job.id}", limit=20),
    }


def _curls(context: Context, attempts: Sequence[Attempt]) -> dict[tuple[Any, ...], str]:
    """Each kind of call once, as a command."""
    found: dict[tuple[Any, ...], str] = {}
    for call in (call for attempt in attempts for call in attempt.calls):
        name = tuple(call.get(part, "") for part in ("connection", "operation", "method", "path"))
        if name not in found:
            found[name] = curls.command(context, call)
    return found


@router.post("/jobs/{job_id:int}/retry")
def retry(
    request: Request, job_id: int, person: Annotated[Person, Depends(require(Right.RETRY))], to: Next = ""
) -> Response:
    """Run it again now."""
    job = desk_of(request).retry(job_id, actor=person.actor)
    said = _(request, "%(order)s is tried again now.", order=job.number or job.key)
    return back(request, to or f"/jobs/{job_id}", said)


@router.post("/jobs/{job_id:int}/skip")
def skip(
    request: Request,
    job_id: int,
    person: Annotated[Person, Depends(require(Right.SKIP))],
    reason: Reason = "",
    to: Next = "",
) -> Response:
    """Set it aside with a reason."""
    job = desk_of(request).skip(job_id, reason, actor=person.actor)
    return back(request, to or f"/jobs/{job_id}", _(request, "%(order)s is skipped.", order=job.number or job.key))


@router.post("/jobs/{job_id:int}/dry-run")
async def dry_run(request: Request, job_id: int, person: Annotated[Person, Depends(require(Right.RUN))]) -> Response:
    """What would be written, with nothing written. A page of its own: it does not refresh, each look asks the target."""
    job = await run_in_threadpool(_job, request, job_id)
    return await outside(job.target, partial(_planned, request, job, person))


def _planned(request: Request, job: JobView, person: Person) -> Response:
    look = editing(request).look(job.id, actor=person.actor)
    return page(request, "dry_run.html", job=job, look=look, plan=look.plan, actions=actions_for(job))


@router.post("/jobs/{job_id:int}/compare")
async def compare(request: Request, job_id: int, person: Annotated[Person, Depends(require(Right.RUN))]) -> Response:
    """What the targets hold of the order now, to the cent. Reads only."""
    job = await run_in_threadpool(_job, request, job_id)
    return await outside(job.target, partial(_compared, request, job, person))


def _compared(request: Request, job: JobView, person: Person) -> Response:
    order = whereabouts.of(context_of(request), search(request), Key.parse(job.key))
    standing = whereabouts.standing(context_of(request), order, job, actor=person.actor)
    return page(request, "compare.html", job=job, order=order, standing=standing)


# -- every field -------------------------------------------------------------------------------------------------------


@router.get("/jobs/{job_id:int}/fields", dependencies=SEEING)
def fields(request: Request, job_id: int) -> Response:
    """Each field that is sent: from which place of the store's record it came, and by which rule. Personal data hidden."""
    return _fields(request, _job(request, job_id), hidden=True)


@router.post("/jobs/{job_id:int}/fields/reveal")
def reveal_fields(
    request: Request, job_id: int, person: Annotated[Person, Depends(require(Right.REVEAL))], reason: Reason = ""
) -> Response:
    """The same with nothing hidden; the reason is kept before anything is shown."""
    why, job = required(reason), _job(request, job_id)
    facts = {"number": job.number, "record": job.key, "reason": why}
    context_of(request).ledger.audit.note(person.actor, "job.reveal", f"job/{job_id}", facts)
    return _fields(request, job, hidden=False)


def _fields(request: Request, job: JobView, *, hidden: bool) -> Response:
    context, look, key = context_of(request), search(request), Key.parse(job.key)
    record = context.ledger.inbox.record(key)
    if record is None or record.raw is None:
        raise missing()
    states = whereabouts.states(look, list(reversed(context.ledger.inbox.events(key))))
    found = explaining.explained(context, job, record.raw, states, hidden=hidden)
    return page(request, "fields.html", job=job, found=found, hidden=hidden)


# -- editing -----------------------------------------------------------------------------------------------------------

Editor = Annotated[Person, Depends(require(Right.EDIT))]


@router.get("/jobs/{job_id:int}/edit", dependencies=EDITING)
def edit(request: Request, job_id: int) -> Response:
    """The record as a text to be mended."""
    draft = editing(request).draft(job_id)
    return _editor(request, draft.job, draft.text, draft.version)


def _editor(request: Request, job: JobView, text: str, version: int, status: int = 200, **facts: Any) -> Response:
    known = {"mistake": "", "field": "", "found": (), "order": None, "reason": "", **facts}
    return page(request, "edit.html", status=status, job=job, text=text, version=version, **known)


@router.post("/jobs/{job_id:int}/edit")
def save(
    request: Request,
    job_id: int,
    person: Editor,
    text: Annotated[str, Form()] = "",
    version: Annotated[int, Form()] = 0,
    reason: Reason = "",
    step: Annotated[str, Form(max_length=10)] = "check",
) -> Response:
    """First what would change, then, when it is confirmed, keep it and run the job."""
    job, service = _job(request, job_id), editing(request)
    text = text.replace("\r\n", "\n")
    try:
        if step == "save":
            required(reason)
            service.save(job_id, text, version, reason, actor=person.actor)
            said = _(request, "The mended order is kept and tried now. What came in stays as it was.")
            return back(request, f"/jobs/{job_id}", said)
        checked = service.check(job_id, text, version)
    except Mistake as error:
        facts = {"mistake": error.message, "field": error.field, "reason": reason}
        return _editor(request, job, text, version, 422, **facts)
    return _editor(request, job, text, version, found=checked.differences, order=checked.order, reason=reason)


# -- bodies ------------------------------------------------------------------------------------------------------------


@router.get("/events/{event_id:int}", dependencies=SEEING)
def delivery(request: Request, event_id: int) -> Response:
    """One delivery, with personal data hidden."""
    return _body(request, event_id, hidden=True)


@router.post("/events/{event_id:int}/reveal")
def reveal(
    request: Request, event_id: int, person: Annotated[Person, Depends(require(Right.REVEAL))], reason: Reason = ""
) -> Response:
    """The same with nothing hidden; the reason is kept before anything is shown."""
    why = required(reason)
    found = search(request).event(event_id)
    if found is None:
        raise missing()
    facts = {"record": str(found.key), "reason": why}
    context_of(request).ledger.audit.note(person.actor, "event.reveal", f"event/{event_id}", facts)
    return _body(request, event_id, hidden=False)


def _body(request: Request, event_id: int, *, hidden: bool) -> Response:
    found = search(request).event(event_id)
    if found is None:
        raise missing()
    jobs = search(request).of_record(found.key)
    return page(
        request, "event.html", event=found, text=body(found.raw, hidden=hidden), hidden=hidden, jobs=jobs, key=found.key
    )
