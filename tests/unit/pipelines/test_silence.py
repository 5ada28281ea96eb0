"""When silence is an alarm."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.silence import chance, quiet_span, usual

NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)  # a Wednesday afternoon
HOUR = timedelta(hours=1)


def shop(weeks: int = 6, *, stops: datetime | None = None, seed: int = 1) -> dict[datetime, int]:
    """60 orders a working day between 8 and 18 o'clock, none at night, few at weekends."""
    dice = random.Random(seed)
    history: dict[datetime, int] = {}
    hour = NOW.replace(minute=0) - timedelta(weeks=weeks)
    while hour < NOW.replace(minute=0):
        if stops is not None and hour >= stops:
            break
        rate = (6.0 if hour.weekday() < 5 else 0.5) if 8 <= hour.hour < 18 else 0.0
        count = sum(dice.random() < rate / 60 for _ in range(60))
        if count:
            history[hour] = count
        hour += HOUR
    return history


@pytest.mark.parametrize("seed", range(20))
def test_an_ordinary_day_is_no_alarm(seed: int) -> None:
    assert quiet_span(shop(seed=seed), NOW, 5) is None


def test_two_silent_hours_on_a_wednesday_afternoon_are_one() -> None:
    found = quiet_span(shop(stops=NOW.replace(minute=0) - 3 * HOUR), NOW, 5)
    assert found is not None
    hours, came, expected = found
    assert (hours <= 3, came) == (True, 0)
    assert expected >= 8


def test_a_silent_night_is_none() -> None:
    night = datetime(2026, 11, 19, 5, 0, tzinfo=UTC)
    history = shop()
    history |= dict.fromkeys((NOW.replace(minute=0) + n * HOUR for n in range(3)), 6)
    assert quiet_span(history, night, 5) is None


def test_a_small_shop_proves_nothing_by_silence() -> None:
    history = {NOW.replace(minute=0) - timedelta(days=7 * week): 1 for week in range(1, 6)}
    assert quiet_span(history, NOW, 5) is None


def test_the_figures() -> None:
    assert usual({NOW - timedelta(weeks=1): 4, NOW - timedelta(weeks=2): 2}, NOW, 2) == 3
    assert chance(0, 8.0) == pytest.approx(0.000335, rel=0.01)
    assert chance(8, 8.0) == pytest.approx(0.5925, rel=0.01)
    assert chance(1000, 8.0) == pytest.approx(1.0)
