"""Lanes: one writer at a time, over threads and processes; nobody starves, and the dead do not block the living."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from core.errors import LeaseLost, RetryLater
from ledger import Ledger
from ledger import tables as t
from ledger.state import Lanes
from tests.integration.ledger.kit import beside, column, counting, later, together, until

Open = Callable[..., Ledger]
LANE = "crm/write"


def holder_of(ledger: Ledger) -> str:
    return str(column(ledger, t.lane.c.holder))


def test_two_processes_of_eight_threads_are_never_in_a_lane_together(open_ledger: Open) -> None:
    lanes = [open_ledger().lanes, open_ledger().lanes]
    inside: list[int] = []
    most: list[int] = []

    def thread(number: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(4):
                with lanes[number % 2].hold(LANE, within=30, need=1):
                    inside.append(number)
                    time.sleep(0.001)
                    most.append(len(inside))
                    inside.remove(number)

        return work

    together([thread(number) for number in range(16)], within=50)
    assert most == [1] * 64


def test_another_lane_is_another_matter(ledger: Ledger, open_ledger: Open) -> None:
    mine, others = ledger.lanes, open_ledger().lanes
    with mine.hold("a", within=1, need=1), mine.hold("b", within=1, need=1), others.hold("c", within=1, need=1):
        pass


def test_busy_processes_take_turns(open_ledger: Open) -> None:
    """Both have always threads that wait; who holds the lane for a while lets the other one in."""
    lanes = [open_ledger().lanes, open_ledger().lanes]
    turns: list[int] = []
    done = threading.Event()

    def thread(number: int) -> Callable[[], None]:
        def work() -> None:
            while not done.is_set():
                with lanes[number].hold(LANE, within=30, need=1):
                    if not turns or turns[-1] != number:
                        turns.append(number)
                    time.sleep(0.001)
                    if len(turns) >= 5:
                        done.set()

        return work

    for one in lanes:
        one.FAIR = 0.1
    together([thread(number % 2) for number in range(6)], within=40)
    assert len(turns) >= 5


def test_the_dead_are_followed_when_their_lease_is_over(open_ledger: Open) -> None:
    dead, living = open_ledger(), open_ledger()
    dead.lanes._secure(LANE, dead.lanes._of(LANE), time.monotonic(), 1)  # and is never heard of again
    with pytest.raises(RetryLater), living.lanes.hold(LANE, within=0.05, need=1):
        pass
    later(living, 61)
    with living.lanes.hold(LANE, within=0.05, need=1):
        assert holder_of(living) == living.process
        # What comes back from the dead finds the lane taken, and takes nothing away.
        dead.lanes._release(LANE)
        assert holder_of(living) == living.process


def test_who_waits_too_long_goes_back_without_burning_an_attempt(open_ledger: Open) -> None:
    first, second = open_ledger(), open_ledger()
    with first.lanes.hold(LANE, within=1, need=1):
        for lanes in (first.lanes, second.lanes):
            began = time.monotonic()
            with pytest.raises(RetryLater) as busy, lanes.hold(LANE, within=0.1, need=1):
                pytest.fail("two in one lane")
            assert time.monotonic() - began >= 0.1
            assert (busy.value.burns_attempt, busy.value.cause) == (False, "busy")
    with second.lanes.hold(LANE, within=1, need=1):
        pass


def test_the_time_to_wait_is_one_for_both_queues(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """First for the threads of one's own process, then for the other process: together not longer than `within`."""
    local, deadlines = ledger.lanes._of(LANE), []

    def secure(_name: str, _local: object, deadline: float, _need: float) -> None:
        deadlines.append(deadline)

    def wait() -> None:
        with ledger.lanes.hold(LANE, within=100, need=1):
            pass

    monkeypatch.setattr(ledger.lanes, "_secure", secure)
    local.lock.acquire()
    with beside(wait):
        until(lambda: local.waiting == 1)
        queued = time.monotonic()
        local.lock.release()
    assert deadlines[0] <= queued + 100


def test_threads_that_follow_one_another_cost_one_lease(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counting(monkeypatch, ledger.db, "execute")
    local = ledger.lanes._of(LANE)
    ledger.lanes.FAIR = 60.0
    first = threading.Event()

    def work() -> None:
        with ledger.lanes.hold(LANE, within=20, need=1):
            if not first.is_set():
                first.set()
                until(lambda: local.waiting == 7)

    together([work] * 8)
    assert len(asked) == 2, "one lease, given back once"


def test_the_row_is_given_back_when_nobody_follows(ledger: Ledger) -> None:
    with ledger.lanes.hold(LANE, within=1, need=1):
        assert holder_of(ledger) == ledger.process
    assert holder_of(ledger) == ""


def test_who_gives_up_waiting_does_not_leave_the_row_behind(open_ledger: Open) -> None:
    """The one inside leaves at the very moment at which the one who waits gives up: it kept the row for nobody."""
    ledger, other = open_ledger(), open_ledger()
    local = ledger.lanes._of(LANE)
    holding = ledger.lanes.hold(LANE, within=1, need=1)
    holding.__enter__()

    class GivesUp:
        """The lock of a waiter whose time is over just as the other one leaves."""

        def __init__(self, lock: threading.Lock) -> None:
            self.lock = lock
            self.release = lock.release

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            if timeout > 0:
                holding.__exit__(None, None, None)
                return False
            return self.lock.acquire(blocking)

    local.lock = GivesUp(local.lock)  # type: ignore[assignment]
    with pytest.raises(RetryLater), ledger.lanes.hold(LANE, within=0.1, need=1):
        pass
    with other.lanes.hold(LANE, within=0.1, need=1):
        assert holder_of(other) == other.process


def test_a_database_that_is_away_when_we_leave_does_not_close_the_lane_for_ever(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("UPDATE lane", {}, Exception("the server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(ledger.lanes, "_release", away)
        with ledger.lanes.hold(LANE, within=1, need=1):
            pass
    with ledger.lanes.hold(LANE, within=0.2, need=1):
        assert holder_of(ledger) == ledger.process
    assert holder_of(ledger) == ""


def test_what_happens_inside_gives_the_lane_back(ledger: Ledger) -> None:
    with pytest.raises(KeyError), ledger.lanes.hold(LANE, within=1, need=1):
        raise KeyError
    with ledger.lanes.hold(LANE, within=0.2, need=1):
        pass


def test_enough_of_the_lease_is_left_at_entry(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    local = ledger.lanes._of(LANE)
    taken = counting(monkeypatch, ledger.db, "execute")
    local.waiting = 1  # somebody always follows: the row is kept
    for left, renews in ((59.0, False), (41.0, False), (39.0, True), (1.0, True)):
        local.held_since, local.held_until = time.monotonic(), time.monotonic() + left
        taken.clear()
        with ledger.lanes.hold(LANE, within=1, need=40):
            assert local.held_until - time.monotonic() > 40
        assert bool(taken) is renews


def test_a_lease_that_is_shorter_than_a_call_is_refused(open_ledger: Open) -> None:
    ledger = open_ledger(lease=10.0)
    with pytest.raises(LeaseLost), ledger.lanes.hold(LANE, within=1, need=10):
        pass
    assert isinstance(ledger.lanes, Lanes)


def test_a_turn_begins_anew_unless_another_process_has_the_lane(ledger: Ledger, open_ledger: Open) -> None:
    others = open_ledger().lanes
    with ledger.lanes.hold(LANE, within=1, need=1):
        later(ledger, ledger.lanes.lease - 1)
        assert ledger.lanes.renew(LANE) > time.monotonic()
        later(ledger, 2)
        with pytest.raises(RetryLater), others.hold(LANE, within=0, need=1):
            pass
        later(ledger, ledger.lanes.lease)
        with others.hold(LANE, within=1, need=1), pytest.raises(RetryLater):
            ledger.lanes.renew(LANE)
