"""The alarm that nothing came: fewer orders than these hours of the week usually bring."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from ledger.alerts import Condition
from ledger.schedules import KEPT, NOT_ASKED
from pipelines.context import Context

WEEKS: Final = 6
"""How much history counts."""
LEAST_WEEKS: Final = 2
ENOUGH: Final = 8.0
"""So many orders must be usual in the span that is looked at: from fewer, silence proves nothing."""
LONGEST: Final = 48
"""Hours: the longest span that is looked at."""
RARE: Final = 0.001
"""An alarm that is wrong once in a thousand looks at most."""
HOUR: Final = timedelta(hours=1)


def usual(history: Mapping[datetime, int], hour: datetime, weeks: int) -> float:
    """Orders in this hour of the week, on average over the weeks before."""
    return sum(history.get(hour - timedelta(weeks=week), 0) for week in range(1, weeks + 1)) / weeks


def chance(count: int, expected: float) -> float:
    """Probability of so few or fewer where `expected` are usual (Poisson)."""
    term = total = math.exp(-expected)
    for number in range(1, count + 1):
        term *= expected / number
        total += term
    return min(total, 1.0)


def quiet_span(history: Mapping[datetime, int], now: datetime, weeks: int) -> tuple[int, int, float] | None:
    """(hours, orders that came, orders that are usual) of the shortest span up to now that is too quiet; None: all is well.

    Only whole hours count; the shortest span in which enough orders are usual decides.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    came, expected = 0, 0.0
    for hours in range(1, LONGEST + 1):
        hour -= HOUR
        came += history.get(hour, 0)
        expected += usual(history, hour, weeks)
        if expected >= ENOUGH:
            return (hours, came, expected) if chance(came, expected) < RARE else None
    return None


def _left_alone(context: Context, name: str, since: datetime) -> bool:
    """Whether people had it left alone meanwhile (its connection was paused): of a store that only tells when it is asked
    nothing could come.
    """
    if context.stores[name].accepts_deliveries():
        return False
    poll = f"poll/{name}"
    rounds = context.ledger.schedules.rounds(poll, last=KEPT).get(poll, ())
    return any(one.outcome.startswith(NOT_ASKED) and one.ended_at >= since for one in rounds)


def conditions(context: Context) -> Iterator[Condition]:
    """One for each store that is too quiet."""
    now = context.clock.now()
    for name in context.stores:
        since = now.replace(minute=0, second=0, microsecond=0) - timedelta(weeks=WEEKS, hours=LONGEST)
        history = context.ledger.arrivals.per_hour(name, since=since)
        if not history:
            continue
        weeks = min(int((now - min(history)).days / 7), WEEKS)
        found = quiet_span(history, now, weeks) if weeks >= LEAST_WEEKS else None
        if found is not None and not _left_alone(context, name, now - found[0] * HOUR):
            hours, came, expected = found
            yield Condition(
                f"silence/{name}",
                f"{name} is unusually quiet",
                f"{came} orders came in the last {hours} hours, {expected:.0f} are usual at this time of the week. "
                f"What to do: see whether the shop sells, then run `orderwire doctor`.",
                facts={"connection": name, "hours": hours, "orders": came, "usual": round(expected, 1)},
            )
