"""The list of jobs: what failed first, then the newest; every filter in the address."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request, Response

from core.cells import table
from core.rights import Right
from ledger.people import Person
from ledger.search import WITHIN, Query, as_params, money_of, narrow, parse
from pipelines import bulk
from pipelines.desk import actions_for, retryable
from web.access import require
from web.dashboard.common import context_of, desk_of
from web.dashboard.desk import MANY, SEEING, address, search
from web.pages import back, page

EXPORTED: Final = 10_000
"""Rows of one export."""
TABS: Final = ("held", "waiting", "running", "settled", "skipped")

router = APIRouter()


def asked(request: Request) -> Query:
    """What the address asks for."""
    given, now = request.query_params, context_of(request).ledger.clock.now()
    query = parse(given.get("q", ""), now)
    for name in ("state", "flow", "error", "since"):
        query = narrow(query, name, given.get(name, ""), now)
    return query


@router.get("/jobs", dependencies=SEEING)
def list_jobs(request: Request) -> Response:
    """The list, a page at a time."""
    query, given = asked(request), request.query_params
    found = search(request).jobs(query, after=given.get("after", ""))
    dense = "compact" if given.get("density") == "compact" else ""
    kept = {"density": dense} if dense else {}
    params = {**as_params(query), **kept}
    return page(
        request,
        "jobs.html",
        query=query,
        found=found,
        within=WITHIN,
        actions={job.id: actions_for(job) for job in found.jobs},
        counts=search(request).counts(),
        tabs=[(state, address("/jobs", {**as_params(replace(query, state=state)), **kept})) for state in TABS],
        everything=address("/jobs", {**as_params(replace(query, state="")), **kept}),
        flows=sorted(context_of(request).every_flow),
        classes=_classes(found.jobs, query),
        compact=bool(dense),
        other_density=address("/jobs", as_params(query, density="" if dense else "compact")),
        next_page=address("/jobs", {**params, "after": found.after}) if found.after else "",
        first_page=address("/jobs", params) if given.get("after") else "",
        export=address("/jobs.csv", as_params(query)),
        retry_all=address("/jobs/retry", as_params(query)) if retryable(query) else "",
        here=address("/jobs", params),
        since=given.get("since", ""),
    )


def _classes(jobs: Any, query: Query) -> list[str]:
    return sorted({job.error_class for job in jobs if job.error_class} | ({query.error} if query.error else set()))


@router.get("/jobs.csv")
def export(request: Request, person: Annotated[Person, Depends(require(Right.EXPORT))]) -> Response:
    """The list as a sheet, without page breaks."""
    query, after = asked(request), ""
    rows: list[tuple[str, ...]] = []
    while len(rows) < EXPORTED:
        found = search(request).jobs(query, after=after, limit=min(500, EXPORTED - len(rows)))
        rows += [
            (
                str(job.id), job.state, job.number, job.key, job.flow, job.target, job.amount, job.currency,
                job.error_class, job.reason, job.created_at.isoformat(), job.updated_at.isoformat(),
            )
            for job in found.jobs
        ]  # fmt: skip
        after = found.after
        if not after:
            break
    header = (
        "job", "state", "order", "record", "flow", "target", "amount", "currency", "class", "reason", "created (UTC)",
        "changed (UTC)",
    )  # fmt: skip
    context_of(request).ledger.audit.note(person.actor, "jobs.export", "jobs", {"rows": len(rows), **as_params(query)})
    headers = {"Content-Disposition": 'attachment; filename="jobs.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + table(header, rows), media_type="text/csv; charset=utf-8", headers=headers)


# -- many at once ------------------------------------------------------------------------------------------------------

Many = Annotated[Person, Depends(require(Right.BULK))]


@router.get("/jobs/retry", dependencies=MANY)
def preview(request: Request) -> Response:
    """How many, and how much money, before anything is done."""
    query = asked(request)
    members = search(request).members(query, bulk.MOST) if retryable(query) else []
    return page(
        request,
        "retry_all.html",
        title=" ".join(f"{name}:{value}" for name, value in as_params(query).items()),
        count=len(members),
        capped=len(members) >= bulk.MOST,
        amounts=money_of(members),
        unknown=sum(not one.amount for one in members),
        action=address("/jobs/retry", as_params(query)),
        cancel=address("/jobs", as_params(query)),
        samples=[one.number for one in members[:10] if one.number],
        message="",
    )


@router.post("/jobs/retry")
def retry_all(request: Request, person: Many, title: Annotated[str, Form(max_length=200)] = "") -> Response:
    """Begin."""
    query = asked(request)
    members = search(request).members(query, bulk.MOST) if retryable(query) else []
    name = title.strip() or " ".join(f"{key}:{value}" for key, value in as_params(query).items())
    run = desk_of(request).retry_all(name, members, actor=person.actor)
    return back(request, f"/bulk/{run.id}")


@router.get("/bulk/{run_id}", dependencies=SEEING)
def progress(request: Request, run_id: int) -> Response:
    """How far a bulk action is."""
    run = desk_of(request).bulk(run_id)
    done = bulk.done(run) + int(run.counts.get("left_alone", 0))
    return page(request, "bulk.html", run=run, done=done, total=int(run.options.get("jobs", 0)))


@router.post("/bulk/{run_id}/stop")
def stop(request: Request, run_id: int, person: Many) -> Response:
    """No further round."""
    desk_of(request).stop_bulk(run_id, actor=person.actor)
    return back(request, f"/bulk/{run_id}")
