"""By which day the customer was promised the goods, and whether that still holds (pure).

The store's own day comes first, then the ERP's; else the flow's rules say it, by delivery method and the day on which the order
was placed.
Days are those of the flow's time zone, and end at its midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Literal
from zoneinfo import ZoneInfo

from core.promisesettings import WEEKDAYS, PromiseRule, PromiseSettings

Source = Literal["store", "erp", "rule"]
USUAL: Final = PromiseSettings()
"""For flows without `[flow.promise]`: what the store promises is watched, and nobody is told."""
FARTHEST: Final = 3660
"""Days that are looked through for workdays: more than ten years of holidays are a mistake, and end the search."""


class Level(StrEnum):
    """How a promise stands."""

    ON_TIME = "on_time"
    AT_RISK = "at_risk"
    """The goods should have left by now."""
    LATE = "late"
    """The promised day is over."""
    KEPT = "kept"
    """It was kept, or at last the customer has it: nothing is watched any more."""
    OFF = "off"
    """The order was called off."""


OPEN: Final = frozenset({Level.AT_RISK, Level.LATE})
"""Levels that somebody must look at."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise. Moments are aware UTC."""

    on: date
    source: Source
    ship_by: datetime
    """By when the goods must have left."""
    due: datetime
    """The end of the promised day."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands at a moment, and when to look again; None: only a change of the order can change it."""

    level: Level
    again: datetime | None = None


def promise_of(
    settings: PromiseSettings | None,
    *,
    promised_on: date | None,
    erp_on: date | None = None,
    method: str,
    rush: bool,
    placed_at: datetime,
    paid_at: datetime | None,
) -> Promise | None:
    """The promise of an order; None: there is none. `promised_on`: the store's own day; `erp_on`: the ERP's."""
    own = settings or USUAL
    counted = placed_at if own.counts_from == "placed" else paid_at
    told: Source = "store" if promised_on is not None else "erp"
    if (day := promised_on or erp_on) is not None:
        local = (counted or placed_at).astimezone(ZoneInfo(own.zone))
        return _promise(own, day, told, _counted(own, local, 0, own.cutoff))
    if counted is None:
        return None
    local = counted.astimezone(ZoneInfo(own.zone))
    rule = next((one for one in own.rule if _fits(one, method, WEEKDAYS[local.weekday()], rush=rush)), None)
    if rule is None:
        return None
    cutoff = rule.cutoff or own.cutoff
    on = _counted(own, local, rule.days, cutoff)
    return _promise(own, on, "rule", _counted(own, local, 0, cutoff)) if on is not None else None


def standing(
    promise: Promise,
    proof: Literal["shipped", "delivered"],
    now: datetime,
    *,
    shipped: bool,
    delivered: bool,
    off: bool,
) -> Standing:
    """How the promise stands now."""
    if off:
        return Standing(Level.OFF)
    if delivered or (shipped and proof == "shipped"):
        return Standing(Level.KEPT)
    if now >= promise.due:
        return Standing(Level.LATE)
    if shipped:
        return Standing(Level.ON_TIME, promise.due)
    if now >= promise.ship_by:
        return Standing(Level.AT_RISK, promise.due)
    return Standing(Level.ON_TIME, promise.ship_by)


def _fits(rule: PromiseRule, method: str, weekday: str, *, rush: bool) -> bool:
    return (
        (not rule.methods or method in rule.methods)
        and (not rule.weekdays or weekday in rule.weekdays)
        and (rule.rush is None or rule.rush == rush)
    )


def _counted(settings: PromiseSettings, local: datetime, days: int, cutoff: time | None) -> date | None:
    """`days` workdays after the one on which it counts as placed."""
    late = cutoff is not None and local.time() >= cutoff
    first = local.date() + timedelta(days=1) if late else local.date()
    for number, day in enumerate(_workdays(settings, first)):
        if number == days:
            return day
    return None


def _promise(settings: PromiseSettings, on: date, source: Source, first: date | None) -> Promise:
    """`first`: the workday on which it counts as placed. Before its end nobody can have sent it: a promise for that very day is
    at risk when it is over, not at the moment it is made.
    """
    due = _end_of(settings, on)
    before = max(_before(settings, on, settings.margin), first or date.min)
    return Promise(on, source, min(_end_of(settings, before), due), due)


def _before(settings: PromiseSettings, on: date, days: int) -> date:
    """So many workdays before; the day itself for none."""
    day, left = on, days
    for _ in range(FARTHEST):
        if left == 0 or day == date.min:
            return day
        day -= timedelta(days=1)
        left -= _works(settings, day)
    return day


def _workdays(settings: PromiseSettings, first: date) -> Iterator[date]:
    """Workdays from this one on."""
    for number in range(FARTHEST):
        day = first + timedelta(days=number)
        if _works(settings, day):
            yield day


def _works(settings: PromiseSettings, day: date) -> bool:
    text = day.isoformat()
    return (
        WEEKDAYS[day.weekday()] in settings.workdays
        and text not in settings.holidays
        and text[5:] not in settings.holidays
    )


def _end_of(settings: PromiseSettings, day: date) -> datetime:
    """Midnight after this day; the last moment that there is for the last day that there is."""
    try:
        return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.zone)).astimezone(UTC)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
