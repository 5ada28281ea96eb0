"""By which day an order is promised, and how that promise stands."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.promisesettings import WEEKDAYS, PromiseSettings
from mapping.promises import FARTHEST, Level, Promise, promise_of, standing

ROME = {
    "zone": "Europe/Rome",
    "cutoff": "14:00",
    "holidays": [date(2026, 4, 6), "12-25", "12-26"],
    "rule": [
        {"methods": ["pickup"], "days": 0},
        {"methods": ["express"], "rush": True, "days": 1, "cutoff": "18:00"},
        {"methods": ["express"], "days": 1},
        {"methods": ["pallet"], "weekdays": ["fri"], "days": 5},
        {"methods": ["pallet"], "days": 3},
    ],
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def promised(settings: Any, placed: str, method: str = "express", **more: Any) -> Promise | None:
    facts = {"promised_on": None, "rush": False, "paid_at": None, **more}
    made = PromiseSettings.model_validate(settings) if settings is not None else None
    return promise_of(made, method=method, placed_at=at(placed), **facts)


@pytest.mark.parametrize(
    ("placed", "method", "rush", "on"),
    [
        ("2026-11-18T12:59:59", "express", False, "2026-11-19"),  # 13:59:59 in Rome
        ("2026-11-18T13:00:00", "express", False, "2026-11-20"),  # the cut-off itself is too late
        ("2026-11-18T15:00:00", "express", True, "2026-11-19"),  # rush orders may come until six
        ("2026-11-20T13:30:00", "express", False, "2026-11-24"),  # Friday after hours counts for Monday
        ("2026-11-21T09:00:00", "express", False, "2026-11-24"),  # so does Saturday
        ("2026-11-20T09:00:00", "pickup", False, "2026-11-20"),
        ("2026-11-22T09:00:00", "pickup", False, "2026-11-23"),
        ("2026-11-20T09:00:00", "pallet", False, "2026-11-27"),  # a rule of its own for Fridays
        ("2026-11-19T09:00:00", "pallet", False, "2026-11-24"),
        ("2026-04-03T09:00:00", "express", False, "2026-04-07"),  # Easter Monday
        ("2026-12-24T09:00:00", "express", False, "2026-12-28"),  # every year's
        ("2026-03-28T23:30:00", "pickup", False, "2026-03-30"),  # Sunday in Rome, the night its clocks change
        ("2026-11-18T23:30:00", "pickup", False, "2026-11-19"),  # the next day in Rome already
    ],
)
def test_rules_by_method_weekday_and_hour(placed: str, method: str, rush: bool, on: str) -> None:
    found = promised(ROME, placed, method, rush=rush)
    assert found is not None
    assert (found.on.isoformat(), found.source) == (on, "rule")


def test_the_store_goes_before_the_rules() -> None:
    found = promised(ROME, "2026-11-18T09:00:00", promised_on=date(2026, 12, 1))
    assert found is not None
    assert (found.on, found.source) == (date(2026, 12, 1), "store")


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (None, {}),
        ({}, {}),
        ({"rule": [{"methods": ["pallet"], "days": 1}]}, {}),
        ({"rule": [{"rush": True, "days": 1}]}, {}),
        ({"counts_from": "paid", "rule": [{"days": 1}]}, {}),
        ({"rule": [{"days": 1}], "holidays": [f"{day.month:02}-{day.day:02}" for day in
          (date(2000, 1, 1) + timedelta(days=n) for n in range(366))]}, {}),
    ],
    ids=["no section", "no rule", "another method", "rush alone", "not paid", "never a workday"],
)  # fmt: skip
def test_nothing_is_promised(settings: Any, more: Any) -> None:
    assert promised(settings, "2026-11-18T09:00:00", **more) is None


def test_it_counts_from_the_payment_where_the_rules_say_so() -> None:
    found = promised(
        {"counts_from": "paid", "rule": [{"days": 1}]}, "2026-11-02T09:00:00", paid_at=at("2026-11-18T09:00:00")
    )
    assert found is not None
    assert found.on == date(2026, 11, 19)


@pytest.mark.parametrize(
    ("margin", "on", "ship_by"),
    [
        (0, "2026-11-24", "2026-11-24T23:00:00"),
        (1, "2026-11-24", "2026-11-23T23:00:00"),
        (2, "2026-11-24", "2026-11-20T23:00:00"),  # the weekend is no time to send anything
        (1, "2026-03-30", "2026-03-27T23:00:00"),  # the clocks change between the two
    ],
)
def test_when_the_goods_must_have_left(margin: int, on: str, ship_by: str) -> None:
    day = date.fromisoformat(on)
    found = promised({"zone": "Europe/Rome", "margin": margin}, "2026-01-01T00:00:00", promised_on=day)
    assert found is not None
    assert found.ship_by == at(ship_by)
    assert found.due == (at("2026-03-30T22:00:00") if on == "2026-03-30" else at("2026-11-24T23:00:00"))


@pytest.mark.parametrize(
    ("placed", "on", "cutoff", "ship_by"),
    [
        ("2026-11-24T09:00:00", "2026-11-24", None, "2026-11-24T23:00:00"),  # the same day
        ("2026-11-21T09:00:00", "2026-11-23", None, "2026-11-23T23:00:00"),  # on Saturday, for Monday
        ("2026-11-24T15:00:00", "2026-11-25", "14:00", "2026-11-25T23:00:00"),  # nobody sends it before tomorrow
        ("2026-11-23T23:30:00", "2026-11-25", None, "2026-11-24T23:00:00"),  # Tuesday already, where they send it
        ("2026-11-24T09:00:00", "2026-11-20", None, "2026-11-20T23:00:00"),  # late from the start
    ],
)
def test_no_order_is_at_risk_before_anybody_can_have_sent_it(
    placed: str, on: str, cutoff: str | None, ship_by: str
) -> None:
    settings = {"zone": "Europe/Rome", "cutoff": cutoff} if cutoff else {"zone": "Europe/Rome"}
    found = promised(settings, placed, promised_on=date.fromisoformat(on))
    assert found is not None
    assert found.ship_by == at(ship_by)


def test_what_a_rule_promises_for_the_same_day_is_not_at_risk_since_yesterday() -> None:
    found = promised({"zone": "Europe/Rome", "rule": [{"days": 0, "cutoff": "14:00"}]}, "2026-11-24T09:00:00")
    assert found is not None
    assert found.ship_by == found.due == at("2026-11-24T23:00:00")


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_first_and_the_last_day_there_is(day: date) -> None:
    found = promised({"zone": "Pacific/Kiritimati"}, "2026-01-01T00:00:00", promised_on=day)
    assert found is not None
    assert found.ship_by <= found.due


PROMISE = Promise(date(2026, 11, 24), "store", at("2026-11-24T00:00:00"), at("2026-11-25T00:00:00"))
EARLY, HURRY, OVER = at("2026-11-23T23:59:59"), PROMISE.ship_by, PROMISE.due


@pytest.mark.parametrize(
    ("proof", "now", "facts", "level", "again"),
    [
        ("shipped", EARLY, "", Level.ON_TIME, HURRY),
        ("shipped", HURRY, "", Level.AT_RISK, OVER),
        ("shipped", OVER, "", Level.LATE, None),
        ("shipped", HURRY, "shipped", Level.KEPT, None),
        ("shipped", OVER, "shipped", Level.KEPT, None),
        ("delivered", HURRY, "shipped", Level.ON_TIME, OVER),
        ("delivered", OVER, "shipped", Level.LATE, None),
        ("delivered", OVER, "shipped delivered", Level.KEPT, None),
        ("delivered", OVER, "delivered", Level.KEPT, None),  # nobody told that it left
        ("delivered", OVER, "off", Level.OFF, None),
        ("shipped", OVER, "shipped off", Level.OFF, None),
    ],
)
def test_how_a_promise_stands(
    proof: Literal["shipped", "delivered"], now: datetime, facts: str, level: Level, again: datetime | None
) -> None:
    words = facts.split()
    found = standing(
        PROMISE, proof, now, shipped="shipped" in words, delivered="delivered" in words, off="off" in words
    )
    assert (found.level, found.again) == (level, again)


@given(
    placed=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    days=st.integers(0, 40),
    margin=st.integers(0, 5),
    workdays=st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    zone=st.sampled_from(["UTC", "Europe/Rome", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Apia"]),
    cutoff=st.sampled_from([None, "00:00", "14:00"]),
)
def test_a_promise_is_a_workday_and_never_in_the_past(
    placed: datetime, days: int, margin: int, workdays: set[str], zone: str, cutoff: str | None
) -> None:
    settings = PromiseSettings.model_validate(
        {
            "zone": zone,
            "workdays": sorted(workdays),
            "margin": margin,
            "rule": [{"days": days, **({"cutoff": cutoff} if cutoff else {})}],
        }
    )
    found = promise_of(settings, promised_on=None, method="", rush=False, placed_at=placed, paid_at=None)
    assert found is not None
    assert WEEKDAYS[found.on.weekday()] in workdays
    assert found.ship_by <= found.due
    assert placed < found.due <= placed + timedelta(days=FARTHEST)
    facts = {"shipped": False, "delivered": False, "off": False}
    fresh = standing(found, "delivered", placed, **facts)
    assert fresh.again is not None
    assert fresh.again > placed
    assert standing(found, "delivered", found.due, **facts).level is Level.LATE


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"zone": "Europe/Nowhere"}, "no time zone"),
        ({"holidays": ["02-30"]}, "no day"),
        ({"holidays": ["Christmas"]}, "pattern"),
        ({"workdays": []}, "at least 1"),
        ({"via": "mail", "tell": ["nobody"]}, "no e-mail address|not an e-mail address"),
        ({"tell": ["sales@firm.example"]}, "name a connection in via"),
        ({"rule": [{"methods": ["express"]}]}, "days"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: Any, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        PromiseSettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("store", "erp", "source", "on"),
    [
        ("2026-11-25", "2026-11-26", "store", "2026-11-25"),
        (None, "2026-11-26", "erp", "2026-11-26"),
        (None, None, "rule", "2026-11-19"),
    ],
)
def test_the_store_goes_before_the_erp_and_that_before_the_rules(
    store: str | None, erp: str | None, source: str, on: str
) -> None:
    days = [date.fromisoformat(day) if day else None for day in (store, erp)]
    found = promised(ROME, "2026-11-18T10:00:00", promised_on=days[0], erp_on=days[1])
    assert found is not None
    assert (found.source, found.on.isoformat()) == (source, on)
