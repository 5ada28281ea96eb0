"""Promised days: kept when they change, told once for each level, listed where they are not kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from ledger import Ledger
from ledger import tables as t
from ledger import watchtables as w
from ledger.inbox import Route
from ledger.jobs import Outcome
from ledger.watches import MOST, Watched
from tests.integration.ledger.kit import count, together
from tests.integration.ledger.test_orderstates import KEY, STATE

ROUTE = Route("orders", "crm")
PAST = datetime(2026, 1, 2, tzinfo=UTC)
FUTURE = datetime(2200, 1, 1, tzinfo=UTC)
NEW = Watched(
    flow="orders",
    order_key=KEY,
    promised_on=date(2026, 1, 2),
    source="rule",
    ship_by=PAST,
    due=PAST + timedelta(days=1),
    level="on_time",
    since=PAST,
    look_at=PAST,
)


def got(ledger: Ledger, key: str = KEY) -> Watched:
    found = ledger.watches.get("orders", key)
    assert found is not None
    return found


def wanted(ledger: Ledger) -> int:
    """How often the job that tells was wanted."""
    rows = ledger.db.rows(sa.select(t.job.c.wanted).where(t.job.c.kind == "promise"))
    return int(rows[0].wanted) if rows else 0


def test_it_comes_back_and_the_same_again_is_nothing(ledger: Ledger) -> None:
    assert ledger.watches.keep(NEW, ROUTE)
    assert got(ledger) == NEW
    assert not ledger.watches.keep(replace(NEW, since=FUTURE), ROUTE)  # it stands so since it first did
    assert (got(ledger), wanted(ledger)) == (NEW, 0)


def test_each_level_wants_the_job_once(ledger: Ledger) -> None:
    ledger.orders.keep(STATE)
    for level, times in (("on_time", 0), ("at_risk", 1), ("at_risk", 1), ("late", 2), ("kept", 2), ("late", 3)):
        ledger.watches.keep(replace(NEW, level=level), ROUTE)
        assert wanted(ledger) == times, level
    claim = ledger.jobs.claim("w")
    assert claim is not None
    assert (str(claim.key), claim.target, claim.queue) == ("shop/promise/1001", "crm", "live")
    ledger.jobs.settle(claim, Outcome("settled"))
    (job,) = ledger.jobs.list()
    assert job.number == "WEB-1001"


def test_told_stays_with_its_promise_and_another_day_starts_anew(ledger: Ledger) -> None:
    risk = replace(NEW, level="at_risk")
    ledger.watches.keep(risk, ROUTE)
    ledger.watches.told("orders", KEY, NEW.promised_on, "at_risk", "31x5")
    ledger.watches.keep(replace(NEW, level="late"), ROUTE)
    assert (got(ledger).told, got(ledger).task) == ("at_risk", "31x5")
    ledger.watches.told("orders", KEY, NEW.promised_on, "late", "")
    assert (got(ledger).told, got(ledger).task) == ("late", "31x5")
    moved = replace(NEW, level="late", promised_on=date(2026, 1, 9))
    ledger.watches.keep(moved, ROUTE)
    assert (got(ledger), wanted(ledger)) == (moved, 3)
    ledger.watches.told("orders", KEY, NEW.promised_on, "late", "31x6")  # whoever was at the old one comes too late
    assert got(ledger).told == ""


def test_silent_counts_as_told_and_without_a_route_nobody_is(ledger: Ledger) -> None:
    ledger.watches.keep(replace(NEW, level="late"), ROUTE, silent=True)
    assert (got(ledger).told, wanted(ledger)) == ("late", 0)
    ledger.watches.keep(replace(NEW, level="late", order_key="shop/order/2"), None)
    assert (got(ledger, "shop/order/2").told, wanted(ledger)) == ("", 0)


def test_what_time_may_change_comes_the_longest_due_first(ledger: Ledger) -> None:
    for n, look_at in enumerate((PAST + timedelta(hours=1), PAST, None, FUTURE)):
        ledger.watches.keep(replace(NEW, order_key=f"shop/order/{n}", look_at=look_at), ROUTE)
    assert [one.order_key for one in ledger.watches.due(10)] == ["shop/order/1", "shop/order/0"]
    assert len(ledger.watches.due(1)) == 1
    ledger.watches.drop("orders", "shop/order/1")
    assert [one.order_key for one in ledger.watches.due(10)] == ["shop/order/0"]


def test_what_is_not_kept_is_listed_with_its_order(ledger: Ledger) -> None:
    for n, level in enumerate(("on_time", "late", "at_risk", "kept", "off", "late")):
        key = f"shop/order/{n}"
        ledger.orders.keep(replace(STATE, order_key=key, number=f"W-{n}"))
        ledger.watches.keep(replace(NEW, order_key=key, level=level, due=PAST - timedelta(days=n)), ROUTE)
    found = ledger.watches.unkept()
    assert [(one.number, one.watched.level) for one in found] == [("W-5", "late"), ("W-2", "at_risk"), ("W-1", "late")]
    assert (found[0].total, found[0].owner, found[0].rush) == (Decimal("19.90"), "sales", True)
    assert [one.number for one in ledger.watches.unkept(level="late")] == ["W-5", "W-1"]
    assert [one.number for one in ledger.watches.unkept(limit=1, offset=1)] == ["W-2"]
    assert ledger.watches.unkept(flow="other") == []
    assert ledger.watches.counts() == {"at_risk": 1, "late": 2}
    assert MOST > 3


def test_ten_at_once_want_one_job(ledger: Ledger) -> None:
    late = replace(NEW, level="late")
    ledger.watches.keep(NEW, ROUTE)
    assert sorted(together([lambda: ledger.watches.keep(late, ROUTE)] * 10)) == [False] * 9 + [True]
    assert (count(ledger, w.watch), wanted(ledger)) == (1, 1)
