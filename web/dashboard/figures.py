"""`/figures`: hour by hour what came, was carried and held, how long orders waited, and how the connections answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from core.cells import table
from core.rights import Right
from ledger.people import Person
from pipelines.context import Context
from web.access import require
from web.dashboard.common import Seeing, context_of
from web.pages import page

router = APIRouter()

SPANS: Final[Mapping[str, int]] = {"day": 24, "week": 168}
"""Hours of each span that can be asked for."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of all connections. `waited`: the longest that an order waited then, in seconds."""

    at: datetime
    came: int
    carried: int
    failed: int
    held: int
    waited: int


@dataclass(frozen=True, slots=True)
class Answers:
    """How one connection answered in an hour. `milliseconds`: of one call on average; None where there was none."""

    calls: int
    milliseconds: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything of a span, oldest hour first. `answers`: by hour, in the order of `connections`."""

    hours: Sequence[Hour]
    connections: Sequence[str]
    answers: Sequence[Sequence[Answers]]


@router.get("/figures")
def figures(request: Request, _person: Seeing) -> Response:
    """Pictures, and the same as tables."""
    span, mine = _span(request), context_of(request)
    found = read(mine, SPANS[span])
    total = Hour(
        at=found.hours[0].at,
        came=sum(hour.came for hour in found.hours),
        carried=sum(hour.carried for hour in found.hours),
        failed=sum(hour.failed for hour in found.hours),
        held=sum(hour.held for hour in found.hours),
        waited=max(hour.waited for hour in found.hours),
    )
    return page(
        request,
        "figures.html",
        span=span,
        spans=list(SPANS),
        figures=found,
        total=total,
        counted=mine.ledger.pulse.counted_until(),
    )


@router.get("/figures.csv")
def export(request: Request, person: Annotated[Person, Depends(require(Right.EXPORT))]) -> Response:
    """The same as a sheet."""
    span, mine = _span(request), context_of(request)
    found = read(mine, SPANS[span])
    header = ["hour (UTC)", "came in", "carried", "tries failed", "held", "longest wait (s)"]
    header += [f"{name} {what}" for name in found.connections for what in ("calls", "average (ms)")]
    rows = [
        [
            hour.at.isoformat(),
            *(str(number) for number in (hour.came, hour.carried, hour.failed, hour.held, hour.waited)),
            *(text for one in answers for text in (str(one.calls), _text(one.milliseconds))),
        ]
        for hour, answers in zip(found.hours, found.answers, strict=True)
    ]
    mine.ledger.audit.note(person.actor, "figures.export", "figures", {"span": span, "rows": len(rows)})
    headers = {"Content-Disposition": 'attachment; filename="figures.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + table(header, rows), media_type="text/csv; charset=utf-8", headers=headers)


def read(context: Context, number: int) -> Figures:
    """So many hours, the present one last."""
    now = context.ledger.clock.now()
    counted = context.ledger.pulse.hours(now, number)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=number - 1)
    none = [0] * number
    sums = {
        what: [sum(one) for one in zip(*(row for (_, word), row in counted.items() if word == what), strict=True)]
        or none
        for what in ("came", "carried", "failed", "held")
    }
    waited = counted.get(("", "age"), none)
    hours = [
        Hour(
            at=first + timedelta(hours=at),
            came=sums["came"][at],
            carried=sums["carried"][at],
            failed=sums["failed"][at],
            held=sums["held"][at],
            waited=waited[at],
        )
        for at in range(number)
    ]
    asked = [name for name in context.connections if (name, "calls") in counted]
    answers = [[_answers(counted, name, at, none) for name in asked] for at in range(number)]
    return Figures(hours, asked, answers)


def _answers(counted: Mapping[tuple[str, str], Sequence[int]], name: str, at: int, none: Sequence[int]) -> Answers:
    calls = counted.get((name, "calls"), none)[at]
    together = counted.get((name, "millis"), none)[at]
    return Answers(calls, round(together / calls) if calls else None)


def _span(request: Request) -> str:
    asked = request.query_params.get("span", "")
    return asked if asked in SPANS else next(iter(SPANS))


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
