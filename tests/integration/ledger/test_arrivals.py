"""Orders of each hour, counted once: what tells an unusual silence from a usual one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

import ledger.arrivals
from core.clock import from_micros, to_micros
from core.keys import Change, Key
from ledger import Ledger
from ledger import tables as t
from ledger.arrivals import HOUR, KEPT
from ledger.inbox import Via
from ledger.schedules import not_asked
from pipelines import silence
from tests.world import SkippingClock, World


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def world(database_url: str, clock: SkippingClock) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9", clock=clock) as made:
        yield made


def heard(ledger: Ledger, number: object, *, via: Via = "webhook", kind: str = "order", shop: str = "shop") -> None:
    """A delivery about this record, another one than those before."""
    key, now = Key(shop, kind, str(number)), ledger.clock.now()
    change = Change(key, now, f"{now.isoformat()}".encode(), f"{key}/{now.isoformat()}/{via}", number=str(number))
    ledger.inbox.accept([change], lambda _: (), via=via)


def hours(ledger: Ledger, shop: str = "shop") -> dict[datetime, int]:
    return ledger.arrivals.per_hour(shop, since=ledger.clock.now() - timedelta(weeks=6))


def test_an_order_counts_in_the_hour_it_was_first_heard_of(world: World, clock: SkippingClock) -> None:
    books = world.ledger
    for number in range(5):
        heard(books, number)
    heard(books, 0)
    heard(books, 1, kind="customer")
    heard(books, 90, via="backfill")
    heard(books, 7, shop="shop2")
    assert sum(hours(books).values()) == 0, "what is fresh is left for the next time"
    first = to_micros(books.clock.now()) // HOUR
    clock.skip(3600)
    heard(books, 1)
    heard(books, 90)  # known from a backfill alone: it comes for the first time now
    heard(books, 6)
    clock.skip(11)
    for _ in range(2):
        found = hours(books)
        assert sum(found.values()) == 7
        assert found[from_micros(first * HOUR)] == 5
    assert sum(hours(books, "shop2").values()) == 1


def test_a_little_at_a_time_and_by_several_at_once_ends_at_the_same(
    world: World, clock: SkippingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.arrivals, "TOGETHER", 3)
    for number in range(20):
        heard(world.ledger, number)
        heard(world.ledger, number, via="poll")
    clock.skip(11)
    threads = [threading.Thread(target=world.ledger.arrivals.advance) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(hours(world.ledger).values()) == 20


def test_half_a_history_is_none(world: World, clock: SkippingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.arrivals, "TOGETHER", 2)
    monkeypatch.setattr(ledger.arrivals, "ROUNDS", 2)
    for number in range(7):
        heard(world.ledger, number)
    clock.skip(11)
    assert hours(world.ledger) == {}
    assert sum(hours(world.ledger).values()) == 7


def test_what_is_old_is_neither_counted_nor_kept(world: World, clock: SkippingClock) -> None:
    heard(world.ledger, 1)
    clock.skip(KEPT / 1_000_000 + 7200)
    heard(world.ledger, 2)
    heard(world.ledger, 1)
    clock.skip(11)
    assert sum(hours(world.ledger).values()) == 1, "1 was heard of before"
    clock.skip(KEPT / 1_000_000 + 7200)
    assert hours(world.ledger) == {}
    assert not world.ledger.db.rows(sa.select(t.arrival))


def fell_silent(world: World) -> None:
    """Three weeks of ten orders an hour, then nothing from the shop."""
    now = world.ledger.clock.now().replace(minute=0, second=0, microsecond=0)
    first = to_micros(now) // HOUR
    rows = [
        {"connection": name, "hour": (first - back) * HOUR, "number": 10}
        for name, quiet in (("shop", 5), ("shop2", 0))
        for back in range(1 + quiet, 21 * 24)
    ]
    with world.ledger.db.write() as connection:
        connection.execute(sa.insert(t.arrival), rows)


def test_a_shop_that_was_not_asked_is_not_silent(database_url: str, clock: SkippingClock) -> None:
    """Somebody paused the connection: it is told nothing wrong when nothing comes, nor right after the pause."""
    shops = {"shop": {"webhook_secrets": ()}, "shop2": {}}
    with World(database_url, "http://127.0.0.1:9", clock=clock, shops=shops) as world:
        fell_silent(world)
        assert "silence/shop" in [one.cause for one in silence.conditions(world.context)]
        for outcome in (not_asked("shop"), "40 changes"):
            assert world.ledger.schedules.start_if_due("poll/shop", every=60, lease=60)
            world.ledger.schedules.ended("poll/shop", outcome)
            assert "silence/shop" not in [one.cause for one in silence.conditions(world.context)]
            clock.skip(61)


def test_the_alarm_reads_the_sums(world: World) -> None:
    """One alarm, of the shop that fell silent."""
    fell_silent(world)
    found = list(silence.conditions(world.context))
    assert [one.cause for one in found] == ["silence/shop"]
    assert found[0].facts["orders"] == 0
