"""What sparklines draw: each row is counted once, in its own hour, however often and by whomever it is counted."""

from __future__ import annotations

import threading

import pytest

import ledger.pulse
from core.clock import from_micros
from ledger import Ledger
from ledger import tables as t
from ledger.jobs import Outcome
from ledger.pulse import DAY, HOUR
from tests.orders import order
from tests.world import SkippingClock, World


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def world(database_url: str, clock: SkippingClock) -> World:
    return World(database_url, "http://127.0.0.1:9", clock=clock)


def carry(world: World, number: int, outcome: Outcome) -> None:
    world.deliver(order(number, modified=f"2026-11-20T10:{number % 60:02}:{number // 60 % 60:02}"))
    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    world.ledger.jobs.settle(claim, outcome)


def day(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {name: sum(hours) for name, hours in ledger.pulse.day(ledger.clock.now()).items()}


def test_what_came_and_was_carried(world: World, clock: SkippingClock) -> None:
    with world:
        for number in range(1, 6):
            carry(world, number, Outcome("settled"))
        carry(world, 6, Outcome("held", "No. What to do: wait.", error_class="money"))
        carry(world, 7, Outcome("retry", "rehearsed", seconds=9999))
        assert not day(world.ledger), "nobody counted yet"
        world.ledger.pulse.advance()
        assert not day(world.ledger), "what is fresh is left for the next time"
        clock.skip(11)
        assert world.ledger.pulse.advance() == 14
        assert day(world.ledger) == {("shop", "came"): 7, ("crm", "carried"): 5, ("crm", "failed"): 1}
        assert world.ledger.pulse.advance() == 0
        assert day(world.ledger)["shop", "came"] == 7
        carry(world, 8, Outcome("settled"))
        clock.skip(11)
        world.ledger.pulse.advance()
        assert day(world.ledger)["crm", "carried"] == 6


def test_each_hour_for_itself(world: World, clock: SkippingClock) -> None:
    with world:
        first = world.ledger.clock.now()
        clock.skip(3601 - (first.minute * 60 + first.second))
        for hour in range(3):
            for number in range(hour + 1):
                carry(world, hour * 10 + number + 1, Outcome("settled"))
            clock.skip(3600)
        world.ledger.pulse.advance()
        hours = world.ledger.pulse.day(world.ledger.clock.now())["shop", "came"]
        assert hours[-4:] == [1, 2, 3, 0]
        clock.skip(21 * 3600)
        assert world.ledger.pulse.day(world.ledger.clock.now())["shop", "came"][:2] == [2, 3]


def test_a_little_at_a_time_ends_at_the_same(
    world: World, clock: SkippingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.pulse, "TOGETHER", 3)
    with world:
        for number in range(1, 12):
            carry(world, number, Outcome("settled"))
        clock.skip(11)
        threads = [threading.Thread(target=world.ledger.pulse.advance) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert day(world.ledger) == {("shop", "came"): 11, ("crm", "carried"): 11}


def test_the_first_count_does_not_begin_years_ago(world: World, clock: SkippingClock) -> None:
    with world:
        for number in range(1, 8):
            carry(world, number, Outcome("settled"))
        clock.skip(2 * 86_400)
        for number in range(8, 11):
            carry(world, number, Outcome("settled"))
        clock.skip(11)
        assert world.ledger.pulse.advance() <= 8, "three of today, and at most one row before them, of each table"
        assert day(world.ledger) == {("shop", "came"): 3, ("crm", "carried"): 3}


def test_what_nobody_draws_any_more_goes(world: World, clock: SkippingClock) -> None:
    with world:
        carry(world, 1, Outcome("settled"))
        clock.skip(11)
        world.ledger.pulse.advance()
        clock.skip(9 * DAY / 1_000_000)
        world.ledger.pulse.advance()
        assert not world.ledger.db.rows(t.pulse.select())


def test_hours_are_whole(world: World, clock: SkippingClock) -> None:
    with world:
        carry(world, 1, Outcome("settled"))
        clock.skip(11)
        world.ledger.pulse.advance()
        (row,) = {row.hour for row in world.ledger.db.rows(t.pulse.select())}
        assert row % HOUR == 0
        assert from_micros(row).minute == 0


def test_the_last_success_of_what_is_well_is_noted_now_and_then(world: World) -> None:
    with world:
        health = world.runner.health
        health.succeeded("crm")
        known = world.ledger.states.get("crm")
        assert known is not None
        assert known.last_success_at is not None
        health._looked_at.clear()
        health.succeeded("crm")
        again = world.ledger.states.get("crm")
        assert again is not None
        assert again.last_success_at == known.last_success_at, "orders pay for it once a minute"
        health._noted_at.clear()
        health._looked_at.clear()
        world.ledger.states.block("crm", 60, error_class="timeout", reason="away")
        world.ledger.states.heard("crm")
        state = world.ledger.states.get("crm")
        assert state is not None
        assert state.faults == 1, "a call that began before the outage ends no block"
        assert state.blocked_for > 0
