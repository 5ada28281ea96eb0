"""What is wrong now, grouped by cause: how many orders, whose, how much money, since when, what to do, who sees to it; and how
what was wrong has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request, Response

from core.clock import from_micros
from core.rights import Right
from ledger.care import LONGEST
from ledger.people import Person
from pipelines import bulk, caring
from pipelines.buyers import Buyers
from pipelines.caring import Cared, Caring
from pipelines.desk import Refused, Unknown, problem_name
from pipelines.worth import Worth
from web.access import require
from web.dashboard.common import Seeing, context_of, desk_of
from web.dashboard.desk import MANY, SEEING, search
from web.pages import back, page, translated

ORDERS: Final = 100
"""Orders that a problem's page lists."""
READ: Final = 200
"""Orders of a problem at most whose amounts the list reads from their records, where nobody could or has carried them."""

router = APIRouter()
Many = Annotated[Person, Depends(require(Right.BULK))]
Handling = Annotated[Person, Depends(require(Right.HANDLE))]
Reason = Annotated[str, Form(max_length=2000)]
Next = Annotated[str, Form(max_length=2000)]
_ = translated


def worth(request: Request) -> Worth:
    """One a process: it remembers what orders are worth that nobody has carried yet."""
    kept: Worth | None = getattr(request.app.state, "worth", None)
    if kept is None:
        kept = request.app.state.worth = Worth(context_of(request))
    return kept


def buyers(request: Request) -> Buyers:
    """One a process: it remembers how many people are behind orders."""
    kept: Buyers | None = getattr(request.app.state, "buyers", None)
    if kept is None:
        kept = request.app.state.buyers = Buyers(context_of(request))
    return kept


def care_of(request: Request) -> Caring:
    """The services behind these pages."""
    return Caring(desk_of(request), worth(request).filled)


# -- looking -----------------------------------------------------------------------------------------------------------


@router.get("/problems")
def list_problems(request: Request, person: Seeing) -> Response:
    """Those to look at, outages first, then the largest; those that stand aside; those that have ended."""
    service = care_of(request)
    found = service.open()
    mine = request.query_params.get("whose") == "mine"
    shown = [one for one in found if not mine or one.care.assignee_id == person.id]
    return page(
        request,
        "problems.html",
        awake=[one for one in shown if not one.quiet],
        aside=[one for one in shown if one.quiet],
        worths=_amounts(request, service, shown),
        ended=service.ended(),
        all=len(found),
        my=sum(one.care.assignee_id == person.id for one in found),
        mine=mine,
        assignees=service.assignees(),
        here="/problems?whose=mine" if mine else "/problems",
    )


def _amounts(request: Request, service: Caring, shown: Sequence[Cared]) -> dict[str, tuple[Mapping[str, Decimal], int]]:
    """By problem: money by currency, and of how many orders it is not known."""
    problems = [one.problem for one in shown]
    read = service.members([one.id for one in problems if one.unknown and one.count <= READ])
    known = worth(request)
    return {one.id: known.of(read[one.id]) if one.id in read else (one.amounts, one.unknown) for one in problems}


@router.get("/problems/{problem_id}", dependencies=SEEING)
def show(request: Request, problem_id: str) -> Response:
    """One problem. When it is gone, the page says so, and how it ended, instead of being gone itself: somebody has it open."""
    service = care_of(request)
    found = service.get(problem_id)
    facts: dict[str, Any] = {
        "notes": service.notes(problem_id),
        "doings": context_of(request).ledger.audit.list(subject=f"problem/{problem_id}", limit=20),
        "longest": LONGEST,
        "here": f"/problems/{problem_id}",
    }
    if found is None:
        last = context_of(request).ledger.care.spell(problem_id)
        return page(request, "problem.html", one=None, spell=last, **facts)
    one, members = found
    amounts, unknown = worth(request).of(members)
    people, of = buyers(request).of(members)
    facts |= {
        "jobs": search(request).by_ids([member.id for member in members[-ORDERS:]]),
        "amounts": amounts,
        "unknown": unknown,
        "customers": people if of else None,
        "customers_of": of,
        "assignees": service.assignees(),
    }
    return page(request, "problem.html", one=one, **facts)


# -- arranging ---------------------------------------------------------------------------------------------------------


@router.post("/problems/{problem_id}/snooze")
def snooze(
    request: Request,
    problem_id: str,
    person: Handling,
    choice: Annotated[str, Form(max_length=40)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
    zone: Annotated[str, Form(max_length=60)] = "",
    to: Next = "",
) -> Response:
    """Out of sight for a while."""
    until = _moment(request, at if choice == "at" else choice, zone)
    care_of(request).snooze(problem_id, until, actor=person.actor)
    local = until.astimezone(_zone(request, zone))
    said = _(
        request, "Snoozed until %(time)s. Its orders wait and are counted as ever.", time=f"{local:%Y-%m-%d %H:%M}"
    )
    return back(request, to or "/problems", said)


def _moment(request: Request, choice: str, zone: str) -> datetime:
    now = from_micros(context_of(request).ledger.db.micros())
    try:
        return caring.until(choice, now, _zone(request, zone))
    except (ValueError, OverflowError):
        raise Refused("This is no time. What to do: choose one of the times, or give day and hour.") from None


def _zone(request: Request, name: str) -> ZoneInfo:
    """The reader's; without script the one in which the company is not disturbed at night."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, a folder of names
        return ZoneInfo(context_of(request).alerts.zone)


@router.post("/problems/{problem_id}/wake")
def wake(request: Request, problem_id: str, person: Handling, to: Next = "") -> Response:
    """Back at once."""
    care_of(request).wake(problem_id, actor=person.actor)
    return back(request, to or f"/problems/{problem_id}", _(request, "It is back in the list."))


@router.post("/problems/{problem_id}/assign")
def assign(
    request: Request, problem_id: str, asking: Handling, person: Annotated[str, Form(max_length=20)] = "", to: Next = ""
) -> Response:
    """Whose it is; "" nobody's."""
    chosen = int(person) if person.isascii() and person.isdigit() else None
    one = care_of(request).assign(problem_id, chosen, actor=asking.actor)
    said = (
        _(request, "%(name)s sees to it.", name=one.care.assignee)
        if one.care.assignee
        else _(request, "Nobody sees to it now.")
    )
    return back(request, to or f"/problems/{problem_id}", said)


@router.post("/problems/{problem_id}/acknowledge")
def acknowledge(request: Request, problem_id: str, person: Handling, reason: Reason = "", to: Next = "") -> Response:
    """Known of: an outage stands aside until it is over."""
    care_of(request).acknowledge(problem_id, reason, actor=person.actor)
    said = _(request, "It stands aside until it is over. The next outage is told anew.")
    return back(request, to or "/problems", said)


@router.post("/problems/{problem_id}/note")
def note(
    request: Request, problem_id: str, person: Handling, text: Annotated[str, Form(max_length=10_000)] = ""
) -> Response:
    """Write something down."""
    care_of(request).note(problem_id, text, actor=person.actor)
    return back(request, f"/problems/{problem_id}", _(request, "Noted."))


# -- resolving ---------------------------------------------------------------------------------------------------------


@router.get("/problems/{problem_id}/retry", dependencies=MANY)
def preview_retry(request: Request, problem_id: str) -> Response:
    """How many, and how much money, before anything is done."""
    found = care_of(request).get(problem_id)
    return _gone(request) if found is None else page(request, "retry_all.html", **_preview(request, *found, "retry"))


@router.post("/problems/{problem_id}/retry")
def retry_all(request: Request, problem_id: str, person: Many) -> Response:
    """Begin; a connection that is out is tried at once."""
    try:
        run = care_of(request).retry_all(problem_id, actor=person.actor)
    except Unknown:
        return _gone(request)
    return back(request, f"/bulk/{run.id}")


@router.get("/problems/{problem_id}/skip", dependencies=MANY)
def preview_skip(request: Request, problem_id: str) -> Response:
    """The same before all of them are skipped; the reason and the number are asked for."""
    found = care_of(request).get(problem_id)
    return _gone(request) if found is None else _asked(request, *found)


@router.post("/problems/{problem_id}/skip")
def skip_all(
    request: Request,
    problem_id: str,
    person: Many,
    reason: Reason = "",
    number: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    """Begin, if the number is the one that there are."""
    service = care_of(request)
    digits = number.strip()
    given = int(digits) if digits.isascii() and digits.isdigit() else -1
    found = service.get(problem_id)
    if found is None:
        return _gone(request)
    if given != caring.skippable(found[1]) and not found[0].outage:
        mistake = _(request, "Type the number of orders: %(number)s.", number=caring.skippable(found[1]))
        return _asked(request, *found, mistake=mistake, reason=reason, status=422)
    try:
        run = service.skip_all(problem_id, reason, given, actor=person.actor)
    except Unknown:
        return _gone(request)
    return back(request, f"/bulk/{run.id}")


def _asked(
    request: Request, one: Cared, members: Any, *, status: int = 200, mistake: str = "", reason: str = ""
) -> Response:
    facts = _preview(request, one, members, "skip")
    return page(request, "skip_all.html", status=status, outage=one.outage, mistake=mistake, reason=reason, **facts)


def _preview(request: Request, one: Cared, members: Any, what: str) -> dict[str, Any]:
    kept = members[: bulk.MOST]
    amounts, unknown = worth(request).of(kept)
    return {
        "title": problem_name(one.problem),
        "count": caring.skippable(members),
        "capped": len(members) > bulk.MOST,
        "amounts": amounts,
        "unknown": unknown,
        "action": f"/problems/{one.problem.id}/{what}",
        "cancel": f"/problems/{one.problem.id}",
        "samples": [name for _job, name in one.problem.samples],
        "message": one.problem.message,
    }


def _gone(request: Request) -> Response:
    """Problems end by themselves, also between a look and a press."""
    return back(
        request, "/problems", translated(request, "This problem is gone by itself: nothing waits for it any more.")
    )
