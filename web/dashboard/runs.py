"""`/runs`: every big piece of work that somebody asked for, how far it is, what it says; stopped, gone on with, taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from core.clock import parse_utc
from core.rights import Right
from core.settings import ConnectionSettings, FlowSettings
from ledger import Ledger
from ledger.people import Person
from ledger.runjobs import Ended, ends
from ledger.runs import Item, RunView
from pipelines import bulk, reports
from pipelines.backfill import Wanted
from pipelines.desk import Refused
from pipelines.forecast import Forecast, forecast
from pipelines.rundesk import RunDesk, actions_for, silent
from web.access import require
from web.dashboard.common import Seeing, context_of, state_of
from web.dashboard.desk import address
from web.dashboard.moments import moment
from web.pages import back, page, translated

PAGE: Final = 50
ITEMS: Final = 100
KINDS: Final = (
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
)
STATES: Final = ("queued", "running", "done", "stopped", "failed")
SUMMED: Final = 20_000
"""Records of a run that a page adds up; the files have them all."""
FRESH: Final = 10.0
"""Seconds for which the jobs of a run are not looked at again."""
KEPT: Final = 8
GROUPS: Final = 50
"""Groups of a kind that a page shows."""

router = APIRouter()
_ = translated

Running = Annotated[Person, Depends(require(Right.RUN))]
Many = Annotated[Person, Depends(require(Right.BULK))]
Undoing = Annotated[Person, Depends(require(Right.UNDO))]
Exporting = Annotated[Person, Depends(require(Right.EXPORT))]


def desk(request: Request) -> RunDesk:
    """The services over this process's state."""
    context = context_of(request)
    return RunDesk(context, context.ledger.audit, state_of(request).nudge)


@dataclass(frozen=True, slots=True)
class Line:
    """One run in the list. `total` None: nobody knows how much there is."""

    run: RunView
    done: int
    total: int | None
    silent: bool
    money: Mapping[str, Decimal]


def line_of(run: RunView, now: datetime) -> Line:
    """How far it is, by what it has counted itself (pure)."""
    counts = run.counts
    done, total = _int(counts.get("orders")), _int(counts.get("total"))
    if run.kind in bulk.KINDS:
        done, total = bulk.done(run) + _int(counts.get("left_alone")), _int(run.options.get("jobs"))
    money = {str(currency): Decimal(str(amount)) for currency, amount in dict(counts.get("money") or {}).items()}
    return Line(run, done, total or None, silent(run, now), money)


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 0


@router.get("/runs")
def runs(request: Request, _person: Seeing) -> Response:
    """The newest first."""
    context, given = context_of(request), request.query_params
    wanted = {
        "kind": given.get("kind", "") if given.get("kind") in KINDS else "",
        "flow": given.get("flow", "")[:32],
        "state": given.get("state", "") if given.get("state") in STATES else "",
    }
    before = given.get("before", "")
    place = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
    found = context.ledger.runs.list(**wanted, before=place, limit=PAGE + 1)
    kept = {name: value for name, value in wanted.items() if value}
    now = context.clock.now()
    return page(
        request,
        "runs.html",
        lines=[line_of(run, now) for run in found[:PAGE]],
        wanted=wanted,
        kinds=KINDS,
        states=STATES,
        flows=sorted(context.every_flow),
        further=address("/runs", {**kept, "before": str(found[PAGE - 1].id)}) if len(found) > PAGE else "",
        newest=address("/runs", kept) if place else "",
        subject=_subject,
    )


def _subject(run: RunView) -> dict[str, Any]:
    """What it was asked for, as far as people want to read it (pure)."""
    times = {name: parse_utc(str(run.options[name])) for name in ("since", "until") if run.options.get(name)}
    named = ("create", "invoices", "rate", "run", "name", "from", "to", "region", "on")
    others = {name: run.options[name] for name in named if run.options.get(name)}
    return {**times, **others, "standing": bool(run.options.get("standing"))}


# -- one run -----------------------------------------------------------------------------------------------------------


@router.get("/runs/{run_id:int}")
def show(request: Request, run_id: int, _person: Seeing) -> Response:
    """How far it is, what it says, its records a page at a time."""
    context, run = context_of(request), desk(request).run(run_id)
    given = request.query_params
    verdict, after = given.get("verdict", "")[:16], given.get("after", "")[:320]
    rows = context.ledger.runs.items(run_id, verdict=verdict, after=after, limit=ITEMS + 1)
    kept = {"verdict": verdict} if verdict else {}
    here = f"/runs/{run_id}"
    now, sums = context.clock.now(), _sums(request, run)
    return page(
        request,
        "run.html",
        run=run,
        line=line_of(run, now),
        subject=_subject(run),
        actions=actions_for(run, now),
        items=reports.with_jobs(context.ledger, run, rows[:ITEMS]),
        verdict=verdict,
        verdicts=sorted({one.verdict for one in sums}),
        further=address(here, {**kept, "after": rows[ITEMS - 1].key}) if len(rows) > ITEMS else "",
        first=address(here, kept) if after else "",
        report=_report(request, run),
        groups=GROUPS,
        found=run.counts.get("found", []),
        sums=sums,
        capped=sum(one.count for one in sums) >= SUMMED,
        summed=SUMMED,
        ours=run.kind in reports.OURS,
        related=_related(context.ledger, run),
        target=context.flows[run.flow].target if run.flow in context.flows else "",
        doings=context.ledger.audit.list(subject=f"{'bulk' if run.kind in bulk.KINDS else 'run'}/{run.id}", limit=20),
    )


def _report(request: Request, run: RunView) -> Forecast | None:
    """A rehearsal added up."""
    context, rehearsed = context_of(request), _rehearsed(request, run)
    if rehearsed is None:
        return None
    _flow, target = rehearsed

    def add() -> Forecast:
        return forecast(_first(context.ledger, run), rate=target.rate, burst=target.at_once)

    made: Forecast = _kept(request, ("report", run.id), (run.updated_at, target.rate, target.at_once), add)
    return made


def _sums(request: Request, run: RunView) -> Sequence[Ended]:
    """By verdict and by how the jobs stand, which changes after the run."""
    ledger = context_of(request).ledger
    as_of = (run.updated_at, time.monotonic() // FRESH if run.kind in reports.OURS else 0)

    def add() -> Sequence[Ended]:
        return ends(islice(reports.pairs(ledger, run), SUMMED))

    found: Sequence[Ended] = _kept(request, ("sums", run.id), as_of, add)
    return found


def _first(ledger: Ledger, run: RunView) -> Iterator[Item]:
    return islice(ledger.runs.all_items(run.id), SUMMED)


def _kept(request: Request, name: tuple[str, int], as_of: object, make: Callable[[], Any]) -> Any:
    """Added up once for each state that the run was in: a page that refreshes asks again and again."""
    known: dict[tuple[str, int], tuple[object, Any]] = getattr(request.app.state, "run_sums", {})
    request.app.state.run_sums = known
    if name not in known or known[name][0] != as_of:
        made = make()
        for oldest in list(known)[: max(len(known) - KEPT, 0)]:
            known.pop(oldest, None)
        known[name] = (as_of, made)
    return known[name][1]


def _related(ledger: Ledger, run: RunView) -> list[RunView]:
    """The looks and the undoings of a backfill, and what an undoing is about."""
    named = [run.options.get(name) for name in ("run", "survey", "preview", "plan")]
    known = [ledger.runs.get(int(number)) for number in named if number]
    follows = {
        "backfill": ("backfill", "preview", "undo"),
        "survey": ("backfill",),
        "preview": ("undo",),
        "plan": ("reassign",),
        "reassign": ("restore",),
    }
    later = [one for kind in follows.get(run.kind, ()) for one in ledger.runs.list(kind=kind, flow=run.flow)]
    about = ("run", "survey", "preview", "plan")
    known += [one for one in later if run.id in {one.options.get(name) for name in about}]
    return list({one.id: one for one in known if one is not None and one.id != run.id}.values())


@router.get("/runs/{run_id:int}.csv")
def as_csv(request: Request, run_id: int, person: Exporting) -> Response:
    """Its records as a sheet, all of them."""
    run, ledger = _exported(request, run_id, "csv", person), context_of(request).ledger
    rehearsed = _rehearsed(request, run) is not None
    text = (
        reports.rehearsed_csv(ledger.runs.all_items(run.id))
        if rehearsed
        else reports.all_csv(reports.pairs(ledger, run))
    )
    return _file(chain(["\ufeff"], text), f"run-{run_id}.csv", "text/csv; charset=utf-8")


@router.get("/runs/{run_id:int}.json")
def as_json(request: Request, run_id: int, person: Exporting) -> Response:
    """Everything for programs."""
    run, ledger = _exported(request, run_id, "json", person), context_of(request).ledger
    rehearsed = _rehearsed(request, run)
    text = reports.rehearsed_json(ledger, *rehearsed, run) if rehearsed is not None else reports.all_json(ledger, run)
    return _file(text, f"run-{run_id}.json", "application/json")


def _exported(request: Request, run_id: int, kind: str, person: Person) -> RunView:
    run = desk(request).run(run_id)
    context_of(request).ledger.audit.note(person.actor, "run.export", f"run/{run_id}", {"as": kind})
    return run


def _rehearsed(request: Request, run: RunView) -> tuple[FlowSettings, ConnectionSettings] | None:
    """The flow that a rehearsal is of, and its target; None for other runs."""
    context = context_of(request)
    flow = context.flows.get(run.flow)
    if run.kind != "rehearse" or flow is None or flow.target not in context.connections:
        return None
    return flow, context.connections[flow.target]


def _file(text: Iterable[str], name: str, kind: str) -> Response:
    """Sent while it is made: each piece takes a thread for as long as it takes to make, none while somebody's line is slow."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    pieces = (piece.encode("utf-8", "replace") for piece in text)
    return StreamingResponse(pieces, media_type=kind, headers=headers)


# -- beginning ---------------------------------------------------------------------------------------------------------


@router.get("/runs/new")
def new(request: Request, _person: Running, flow: str = "") -> Response:
    """What can be begun for a flow."""
    settings = desk(request).flow(flow)
    state = context_of(request).ledger.flows.get(flow)
    return page(request, "run_new.html", flow=settings, state=state)


@router.post("/runs/rehearse")
def begin_rehearsal(
    request: Request, person: Running, flow: Annotated[str, Form()] = "", days: Annotated[int, Form()] = 30
) -> Response:
    """Rehearse the last so many days."""
    run = desk(request).rehearse(flow, days, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The rehearsal is queued; a worker begins in a moment."))


@router.post("/runs/survey")
def begin_survey(  # noqa: PLR0913, PLR0917 - as many fields as the form has
    request: Request,
    person: Many,
    flow: Annotated[str, Form()] = "",
    since: Annotated[str, Form(max_length=40)] = "",
    until: Annotated[str, Form(max_length=40)] = "",
    offset: Annotated[str, Form(max_length=8)] = "",
    create: Annotated[bool, Form()] = False,
    invoices: Annotated[bool, Form()] = False,
    rate: Annotated[int, Form(ge=0, le=100_000)] = 0,
) -> Response:
    """Look what a backfill would find; the page that follows offers to do it."""
    first = _moment(since, offset)
    last = _moment(until, offset) if until else None
    wanted = Wanted(first, last, create=create, invoices=invoices, rate=float(rate))
    run = desk(request).survey(flow, wanted, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The look is queued; a worker begins in a moment."))


def _moment(text: str, offset: str) -> datetime:
    try:
        return moment(text, offset)
    except (ValueError, OverflowError):
        raise Refused(f"{text!r} is no time. What to do: choose a day and a time.") from None


@router.post("/runs/{run_id:int}/backfill")
def begin_backfill(request: Request, run_id: int, person: Many) -> Response:
    """Do what the look was for."""
    run = desk(request).backfill(run_id, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The backfill is queued; a worker begins in a moment."))


@router.post("/runs/{run_id:int}/preview")
def begin_preview(request: Request, run_id: int, person: Undoing) -> Response:
    """Look what taking it back would delete; the page that follows offers to do it."""
    run = desk(request).preview(run_id, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The look is queued; a worker begins in a moment."))


@router.post("/runs/{run_id:int}/undo")
def begin_undo(request: Request, run_id: int, person: Undoing) -> Response:
    """Take back what nobody has touched."""
    run = desk(request).undo(run_id, actor=person.actor)
    return back(request, f"/runs/{run.id}", _(request, "The undoing is queued; a worker begins in a moment."))


# -- on the way --------------------------------------------------------------------------------------------------------


@router.post("/runs/{run_id:int}/stop")
def stop(request: Request, run_id: int, person: Running) -> Response:
    """No further step."""
    desk(request).stop(run_id, actor=person.actor)
    return back(request, f"/runs/{run_id}", _(request, "It is stopped. What was done so far stays done."))


@router.post("/runs/{run_id:int}/go-on")
def go_on(request: Request, run_id: int, person: Running) -> Response:
    """From where it stopped; whoever may not begin such a run may not let it go on either."""
    needed = {"backfill": Right.BULK, "survey": Right.BULK, "preview": Right.UNDO, "undo": Right.UNDO}
    needed |= dict.fromkeys(("plan", "reassign", "restore"), Right.BULK)
    kind = desk(request).run(run_id).kind
    if not person.may(needed.get(kind, Right.RUN)):
        raise HTTPException(403, "You may not do this. What to do: ask an administrator.")
    desk(request).go_on(run_id, actor=person.actor)
    return back(request, f"/runs/{run_id}", _(request, "It goes on; a worker begins in a moment."))
