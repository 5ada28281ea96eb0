"""`/`: what needs attention, since when, whose orders, and where to press."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response

from ledger import Ledger
from ledger.pulse import Oldest
from pipelines import caring
from pipelines.caring import Cared
from pipelines.context import Context
from web.dashboard import alerts
from web.dashboard.common import Seeing, context_of
from web.dashboard.spark import Spark, Waits, spark, waits
from web.dashboard.tiles import tiles
from web.dashboard.timetable import Entry, entries
from web.dashboard.workers import missing
from web.pages import page

router = APIRouter()

ELSEWHERE: Final = ("connection/", "held/", "schedule/")
"""Causes of alerts that this page shows as tiles, problems and schedules already."""
PROBLEMS: Final = 8
ALERTS: Final = 8
ORDERS: Final = 10
SCHEDULES: Final = 5
"""Late, failing and paused ones that are named."""
SAMPLES: Final = 3
"""Orders of a problem that are named."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """All open problems that nobody has set aside, in one sentence. `since`: the oldest of them."""

    problems: int
    orders: int
    capped: bool
    amounts: Mapping[str, Decimal]
    unknown: int
    """Orders among them of which nobody knows the amount yet."""
    since: datetime
    out: Sequence[str]
    """Connections that are out."""


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours: what was carried and what failed, and how long orders waited; the one that waits longest now."""

    came: int
    drawn: Spark
    waited: Waits
    oldest: Oldest | None


@router.get("/")
def home(request: Request, _person: Seeing) -> Response:
    """Everything at one glance; nothing here counts a large table."""
    mine, books = context_of(request), context_of(request).ledger
    now = books.clock.now()
    shown = tiles(mine, now)
    problems = caring.look(books)
    open_alerts = [alert for alert in books.alerts.opened() if not alert.cause.startswith(ELSEWHERE)]
    agenda = entries(mine, now)
    late = sorted((one for one in agenda if one.late or one.failed), key=lambda one: (not one.failed, -one.late))
    coming = sorted((one for one in agenda if one.next_at and one.next_at > now and not one.paused), key=_next)
    configured = sum(1 for one in agenda if one.every)
    nobody = missing(books.processes.all())
    unkept = books.watches.counts()
    low = _low(mine)
    fine = bool(shown) and all(tile.fine for tile in shown)
    return page(
        request,
        "home.html",
        tiles=sorted(shown, key=lambda tile: tile.fine),
        problems=problems[:PROBLEMS],
        more_problems=len(problems) if len(problems) > PROBLEMS else 0,
        alerts=[(alert, alerts.link(alert.cause)) for alert in open_alerts[:ALERTS]],
        flows=[(flow, books.flows.get(flow.name)) for flow in mine.every_flow.values()],
        samples=SAMPLES,
        stuck=stuck(problems),
        nobody=nobody,
        day=day(books, now),
        late=late,
        resting=[one for one in agenda if one.paused and one not in late],
        shown=SCHEDULES,
        scheduled=configured,
        stalled=2 * sum(1 for one in late if one.late) > configured,
        next=coming[0] if coming else None,
        orders=books.jobs.last("order", ORDERS),
        unkept=unkept,
        low=low,
        well=fine and not (problems or open_alerts or late or nobody or any(unkept.values()) or low),
    )


def _low(context: Context) -> dict[str, int]:
    """Articles below their threshold that nobody has put off, by the name of their [[stock]]."""
    counts = context.ledger.stock.alerts.count()
    found = {name: counts.get(one.source, 0) for name, one in context.stocks.items()}
    return {name: number for name, number in found.items() if number}


def _next(one: Entry) -> datetime:
    return one.next_at or datetime.max.replace(tzinfo=UTC)


def stuck(problems: Sequence[Cared]) -> Stuck | None:
    """What the first sentence says (pure); None: nothing needs anybody."""
    loud = [one for one in problems if not one.quiet]
    if not loud:
        return None
    amounts: dict[str, Decimal] = {}
    for one in loud:
        for currency, amount in one.problem.amounts.items():
            amounts[currency] = amounts.get(currency, Decimal(0)) + amount
    return Stuck(
        problems=len(loud),
        orders=sum(one.problem.count for one in loud),
        capped=any(one.problem.capped for one in loud),
        amounts=amounts,
        unknown=sum(one.problem.unknown for one in loud),
        since=min(one.since for one in loud),
        out=sorted({one.problem.target for one in loud if one.outage}),
    )


def day(books: Ledger, now: datetime) -> Day:
    """Of all connections together."""
    counted = books.pulse.hours(now)
    none = [0] * 24

    def summed(what: str) -> list[int]:
        rows = [row for (_, word), row in counted.items() if word == what]
        return [sum(hour) for hour in zip(*rows, strict=True)] or none

    drawn = spark(summed("carried"), summed("failed"), now)
    return Day(sum(summed("came")), drawn, waits(counted.get(("", "age"), none)), books.pulse.oldest())
