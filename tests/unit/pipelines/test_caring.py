"""When a snooze ends, and which moment a choice means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.care import Care, Outage
from ledger.problems import OUTAGE, Problem
from pipelines.caring import Grade, grade, over, standing, until

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # a Friday
ROME = ZoneInfo("Europe/Rome")


def problem(count: int = 3, states: dict[str, int] | None = None, **over: Any) -> Problem:
    known: dict[str, Any] = {"flow": "shop-orders", "target": "crm", "error_class": "money", "message": "m", **over}
    return Problem("0" * 16, count=count, amounts={}, first_seen=NOW, last_seen=NOW, states=states or {}, **known)


def asleep(count: int = 3, grade: Grade = Grade.HELD, hours: float = 4) -> Care:
    return Care("0" * 16, snoozed_until=NOW + timedelta(hours=hours), snoozed_count=count, snoozed_grade=grade)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("1h", "2026-11-20T16:30:00+00:00"),
        ("4h", "2026-11-20T19:30:00+00:00"),
        ("tomorrow", "2026-11-21T07:00:00+00:00"),
        ("monday", "2026-11-23T07:00:00+00:00"),
        ("2026-12-01T09:15", "2026-12-01T08:15:00+00:00"),
        ("2026-12-01T09:15:00Z", "2026-12-01T09:15:00+00:00"),
        ("2026-12-01", "2026-11-30T23:00:00+00:00"),
    ],
)
def test_a_choice_means_a_moment_in_the_readers_zone(choice: str, expected: str) -> None:
    assert until(choice, NOW, ROME).isoformat() == expected


def test_monday_is_the_next_one_and_the_day_is_the_readers() -> None:
    monday = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
    assert until("monday", monday, ROME) == datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # Saturday already in Rome, still Friday in New York
    assert until("tomorrow", late, ROME) == datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    assert until("tomorrow", late, ZoneInfo("America/New_York")) == datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


def test_eight_in_the_morning_is_eight_also_after_the_clocks_change() -> None:
    saturday = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # on the 29th the clocks go forward
    assert until("tomorrow", saturday, ROME) == datetime(2026, 3, 29, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize("choice", ["", "soon", "25h", "2026-13-01T00:00", "tomorrow 9"])
def test_what_is_no_time_is_refused(choice: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        until(choice, NOW, ROME)


def test_a_snooze_ends_by_time_growth_or_gravity_and_not_before() -> None:
    assert over(asleep(3), 3, Grade.HELD, NOW) == ""
    assert over(asleep(3), 6, Grade.HELD, NOW) == "", "doubled, and no more than it had"
    assert over(asleep(3), 7, Grade.HELD, NOW) == "it has grown from 3 to 7 orders"
    assert over(asleep(3), 1, Grade.TRIED, NOW) == "", "it became less"
    assert over(asleep(3, Grade.TRIED), 3, Grade.HELD, NOW) == "it has become more serious"
    assert over(asleep(3), 3, Grade.HELD, NOW + timedelta(hours=4)) == "its time has come"
    assert over(Care("x"), 100, Grade.OUT, NOW) == ""


def test_how_serious_it_is() -> None:
    out = {"crm": Outage("crm", NOW, "timeout")}
    assert grade(problem(states={"waiting": 3}), {}) is Grade.TRIED
    assert grade(problem(states={"waiting": 2, "held": 1}), {}) is Grade.HELD
    assert grade(problem(error_class=OUTAGE, flow=""), out) is Grade.OUT
    assert grade(problem(error_class=OUTAGE, flow=""), {"crm": Outage("crm", NOW, "auth")}) is Grade.LOGIN


def test_an_outage_that_is_known_of_is_that_one_and_no_later_one() -> None:
    one = problem(error_class=OUTAGE, flow="")
    care = Care("0" * 16, acknowledged_since=NOW)
    assert standing(one, care, {"crm": Outage("crm", NOW, "timeout")}, NOW).acknowledged
    later = {"crm": Outage("crm", NOW + timedelta(minutes=5), "timeout")}
    assert not standing(one, care, later, NOW).quiet
