"""R14: the machines' clocks may be wrong by minutes. With PostgreSQL only the database's clock counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from core.clock import Clock, to_micros
from core.keys import Key
from ledger import Ledger
from ledger.database import SECOND, Database
from ledger.jobs import Outcome
from tests.integration.ledger import kit
from tests.integration.ledger.kit import accept, add, change, claimed, due_in, later, together

KEY = Key("shop", "order", "1001")
Open = Callable[..., Ledger]


@pytest.fixture(params=["postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite is one machine, whose clock is the only one."""
    return kit.emptied(request.getfixturevalue("postgres_template"))


@pytest.fixture(params=[-90.0, 90.0], ids=["90 s behind", "90 s ahead"])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """This process's clock is wrong, however it is read."""
    offset: float = request.param
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    monkeypatch.setattr(time, "time_ns", lambda: int((real() + offset) * 1e9))
    monkeypatch.setattr(Clock, "now", lambda _self: datetime.fromtimestamp(real() + offset, UTC))
    return offset


@pytest.mark.usefixtures("wrong")
def test_due_times_and_leases_are_the_databases(ledger: Ledger) -> None:
    [job] = add(ledger, "1001")
    assert due_in(ledger, job) <= 0, "due at once"
    claim = ledger.jobs.claim("w")
    assert claim is not None
    assert ledger.jobs.reap() == 0
    assert ledger.jobs.renew(claim)
    later(ledger, 58)
    assert ledger.jobs.reap() == 0
    later(ledger, 3)
    assert ledger.jobs.reap() == 1
    again = ledger.jobs.claim("w", alone=True)
    assert again is not None
    ledger.jobs.settle(again, Outcome("retry", "later", seconds=30))
    assert due_in(ledger, job) == pytest.approx(30, abs=2)


@pytest.mark.usefixtures("wrong")
def test_holds_blocks_schedules_and_lanes_are_the_databases(ledger: Ledger, open_ledger: Open) -> None:
    claim = claimed(ledger)
    links = ledger.links.intend(claim, "crm", "order", ["k"]).links
    ledger.links.mark_sent(claim, links, hold=120)
    held = ledger.links.get("crm", "order", "k")
    assert held is not None
    assert held.hold_left == pytest.approx(120, abs=2)
    ledger.states.block("crm", 10, error_class="timeout", reason="")
    state = ledger.states.get("crm")
    assert state is not None
    assert state.blocked_for == pytest.approx(10, abs=2)
    assert ledger.schedules.start_if_due("poll", every=60, lease=60)
    assert not open_ledger().schedules.start_if_due("poll", every=60, lease=60)
    with ledger.lanes.hold("l", within=1, need=1), pytest.raises(Exception, match="Another order"):
        open_ledger().lanes.hold("l", within=0.05, need=1).__enter__()


@pytest.mark.usefixtures("wrong")
def test_a_fetch_is_compared_with_the_mark_of_another_machine(ledger: Ledger) -> None:
    """This process's wrong clock fetches; the dirty mark is of the database's time."""
    early = ledger.clock.now()
    accept(ledger, change(raw=None, dedupe="hint"))
    before = replace(change(stamp=1, raw=b"before"), fetched_at=early, dedupe="f1")
    accept(ledger, before, via="fetch", want_jobs=False)
    record = ledger.inbox.record(KEY)
    assert record is not None
    assert record.must_fetch, "it began before the hint"
    time.sleep(0.005)
    after = replace(before, fetched_at=ledger.clock.now(), dedupe="f2")
    accept(ledger, after, via="fetch", want_jobs=False)
    record = ledger.inbox.record(KEY)
    assert record is not None
    assert not record.must_fetch


def database_now(db: Database) -> int:
    return int(db.rows(sa.select(db.now))[0][0])


@pytest.mark.usefixtures("wrong")
def test_our_idea_of_the_databases_clock_is_close_and_not_ahead(ledger: Ledger) -> None:
    for _ in range(20):
        ours = ledger.db.micros()
        theirs = database_now(ledger.db)
        assert -SECOND < ours - theirs <= 2_000, "two milliseconds of drift at most"


def test_a_clock_that_is_read_anew_by_many_never_jumps(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading is old at every look: sixteen threads read it anew while others use it."""
    monkeypatch.setattr("ledger.database.CLOCK_AGE", 0.0)
    far: list[int] = []

    def look() -> None:
        for _ in range(60):
            off = ledger.db.micros() - to_micros(datetime.now(UTC))
            if abs(off) > 5 * SECOND:
                far.append(off)

    ledger.db.micros()
    # As if the last reading were half a minute old: mixing an old moment with a new one would be seen at once.
    assert ledger.db._reading is not None
    base, read_at = ledger.db._reading
    ledger.db._reading = (base - 30 * SECOND, read_at - 30)
    together([look] * 16)
    assert far == []


def test_nobody_waits_for_a_second_connection_to_read_the_clock(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool of five, all of them in transactions, each of which wants to know the time."""
    ledger = open_ledger(pool_size=1)
    inside = threading.Barrier(5)

    def transaction() -> int:
        with ledger.db.write():
            inside.wait(60)
            monkeypatch.setattr("ledger.database.CLOCK_AGE", 0.0)
            return ledger.db.micros()

    began = time.monotonic()
    together([transaction] * 5, within=15)
    assert time.monotonic() - began < 5, "they waited for each other"


def test_when_the_database_is_away_the_clock_goes_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ledger.clock.now()

    def away() -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(ledger.db._reader, "connect", away)
    base, _ = ledger.db._reading or (0, 0)
    ledger.db._reading = (base - 60 * SECOND, time.monotonic() - 60)
    assert abs(ledger.clock.now() - before) < timedelta(seconds=5)
