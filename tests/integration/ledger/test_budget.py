"""The budget of outward calls: never more than it allows, over threads, processes and both engines; live goes first."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import Clock
from core.settings import ConnectionSettings
from ledger import Ledger
from ledger import tables as t
from ledger.budget import AHEAD, Budget, Budgets, Limit, Turn, remaining
from tests.integration.ledger.kit import column, counting, together

Open = Callable[..., Ledger]
SLACK = 0.001
"""Calls: `cost` is whole microseconds."""


class Hand(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def fresh_name() -> str:
    return f"crm{uuid.uuid4().hex[:20]}"


def taken(budgets: Budgets, limit: Limit, *, live: bool, name: str = "crm") -> int:
    """How many there are to be had now."""
    number = 0
    while budgets.take(name, limit, live=live).ours:
        number += 1
    return number


@pytest.mark.parametrize(
    ("rate", "burst", "reserve"),
    [(1, 1, 1), (0.5, 1, 1), (10, 10, 5), (10, 4, 2), (10, 3, 1.5), (10, 2, 1), (3, 1.5, 1), (100, 100, 50)],
)
def test_live_may_take_all_and_others_leave_the_reserve(
    open_ledger: Open, hand: Hand, rate: float, burst: float, reserve: float
) -> None:
    budgets, limit = open_ledger(clock=hand).budgets, Limit(rate, burst)
    assert taken(budgets, limit, live=False, name="never used yet") == max(math.floor(burst - reserve), 1)
    assert taken(budgets, limit, live=True) == math.floor(burst)
    hand.move(1 / rate + 0.001)
    assert not budgets.take("crm", limit, live=False).ours
    assert taken(budgets, limit, live=True) == 1
    hand.move(burst / rate + 0.001)  # full again, and no more than full
    hand.move(3600)
    others = taken(budgets, limit, live=False)
    assert others == max(math.floor(burst - reserve), 1)
    assert taken(budgets, limit, live=True) == math.floor(burst) - others


@pytest.mark.parametrize("live", [True, False])
def test_who_is_refused_is_told_when_to_ask_again(open_ledger: Open, hand: Hand, live: bool) -> None:
    budgets, limit = open_ledger(clock=hand).budgets, Limit(2, 6)
    taken(budgets, limit, live=True)
    refused = budgets.take("crm", limit, live=live)
    assert refused == Turn(ours=False, wait=0.5 if live else 2.0)
    hand.move(refused.wait - 0.001)
    assert not budgets.take("crm", limit, live=live).ours
    hand.move(0.001)
    assert budgets.take("crm", limit, live=live).ours


def test_live_calls_queue_each_for_a_moment_of_its_own(open_ledger: Open, hand: Hand) -> None:
    one, other = open_ledger(clock=hand).budgets, open_ledger(clock=hand).budgets
    limit = Limit(2, 1)
    turns = [budgets.take("crm", limit, live=True, within=1.2) for budgets in (one, other, one, other)]
    assert turns[:3] == [Turn(ours=True, wait=0.0), Turn(ours=True, wait=0.5), Turn(ours=True, wait=1.0)]
    assert turns[3] == Turn(ours=False, wait=1.5)
    assert one.take("crm", limit, live=False, within=60) == Turn(ours=False, wait=2.0)  # the others never queue


def test_a_bucket_of_one_gives_what_is_not_live_half_the_rate(open_ledger: Open, hand: Hand) -> None:
    budgets, limit = open_ledger(clock=hand).budgets, Limit(10, 1)
    calls = 0
    for _ in range(1000):
        calls += budgets.take("crm", limit, live=False).ours
        hand.move(0.01)
    assert calls == 50


@pytest.mark.parametrize("live", [True, False])
def test_a_clock_that_is_set_back_stops_nobody(open_ledger: Open, hand: Hand, *, live: bool) -> None:
    ledger = open_ledger(clock=hand)
    own, limit = ledger.budgets.of("crm", rate=1, burst=4), Limit(1, 4)
    taken(ledger.budgets, limit, live=True)
    assert not own(live=live, within=0).ours
    hand.move(-7200)
    assert own(live=live, within=0).ours
    assert not own(live=live, within=0).ours  # nor is it full
    hand.move(limit.burst + 0.001)
    assert taken(ledger.budgets, limit, live=True) == 4


def test_what_is_left(open_ledger: Open, hand: Hand) -> None:
    ledger = open_ledger(clock=hand)
    crm = ConnectionSettings(name="crm", connector="vtiger", rate=4, burst=10)
    limit = Limit(4, 10)
    assert remaining(ledger.budgets, crm.model_copy(update={"rate": None})) is None
    assert remaining(ledger.budgets, crm) == 10
    for _ in range(7):
        ledger.budgets.take("crm", limit, live=True)
    assert remaining(ledger.budgets, crm) == 3
    hand.move(0.5)
    assert remaining(ledger.budgets, crm) == 5
    ledger.budgets.take("crm", limit, 6, live=True, within=1)
    assert remaining(ledger.budgets, crm) == 0
    hand.move(3600)
    assert remaining(ledger.budgets, crm) == 10


def test_budget_and_health_share_a_row(ledger: Ledger) -> None:
    ledger.budgets.take("crm", Limit(1, 2), live=True)
    ledger.states.block("crm", 60, error_class="remote 5xx", reason="down. What to do: look.")
    ledger.budgets.take("crm", Limit(1, 2), live=True)
    ledger.states.succeeded("crm")
    assert ledger.budgets.left("crm", Limit(1, 2)) < 1
    assert column(ledger, t.connection_state.c.connection) == "crm"


# -- never more than that ------------------------------------------------------------------------------------------


def most_over(moments: Sequence[float], limit: Limit, ahead: float) -> float:
    """By how many calls the worst window is over burst + rate * (its seconds + ahead); negative: by how many under."""
    ordered = sorted(moments)
    return max(
        (
            last - first + 1 - limit.burst - limit.rate * (ordered[last] - ordered[first] + ahead)
            for first in range(len(ordered))
            for last in range(first, len(ordered))
        ),
        default=-1.0,
    )


asked = st.tuples(
    st.sampled_from([0.0, 0.01, 0.2, AHEAD, 0.3, 1.0, 5.0]),
    st.booleans(),
    st.sampled_from([0.0, 0.4, 5.0]),
    st.integers(0, 2),
    st.integers(1, 40),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([0.5, 3.0, 7.9, 16.0, 100.0]),
    burst=st.sampled_from([1.0, 1.5, 2.0, 5.0, 30.0]),
    rounds=st.lists(asked, max_size=10),
)
def test_no_window_has_more_than_the_bound(
    open_ledger: Open, rate: float, burst: float, rounds: list[tuple[float, bool, float, int, int]]
) -> None:
    hand, limit, name = Hand(), Limit(rate, burst), fresh_name()
    start = hand.at
    ledgers = _KNOWN.setdefault(id(open_ledger), [open_ledger(clock=_Shared()) for _ in range(3)])
    for ledger in ledgers:
        assert isinstance(ledger.db.clock, _Shared)
        ledger.db.clock.hand = hand
    processes = [ledger.budgets.of(name, rate=rate, burst=burst) for ledger in ledgers]
    calls: list[float] = []
    for gap, live, within, process, times in rounds:
        hand.move(gap)
        for _ in range(times):
            turn = processes[process](live=live, within=within)
            assert not turn.ours or turn.wait <= within + AHEAD
            if turn.ours:
                calls.append((hand.at - start).total_seconds() + turn.wait)
    assert most_over(calls, limit, AHEAD if limit.most(live=True) > 1 else 0.0) <= SLACK


class _Shared(Clock):
    """Whatever hand the present example holds."""

    hand = Hand()

    def now(self) -> datetime:
        return self.hand.now()


_KNOWN: dict[int, list[Ledger]] = {}


@pytest.mark.parametrize(("rate", "burst"), [(40, 10), (400, 20)])
def test_threads_of_several_processes_together(open_ledger: Open, rate: float, burst: float) -> None:
    processes = [open_ledger().budgets.of("crm", rate=rate, burst=burst) for _ in range(3)]
    started = time.monotonic()
    ends = started + 1.5

    limit = Limit(rate, burst)
    enough = min(limit.burst + rate, 100)
    made: list[float] = []

    def worker(budget: Budget) -> Callable[[], None]:
        def work() -> None:
            while time.monotonic() < ends or (len(made) < enough and time.monotonic() < ends + 60):
                turn = budget(live=True, within=0.5)
                time.sleep(turn.wait)
                if turn.ours:
                    made.append(time.monotonic())

        return work

    together([worker(processes[number % 3]) for number in range(9)])
    calls = sorted(made)
    for number, moment in enumerate(calls, start=1):
        assert number <= burst + rate * (moment - started + AHEAD)
    assert len(calls) >= enough  # and it is not idle either


def test_a_busy_process_spares_statements_and_an_idle_one_takes_nothing_ahead(
    open_ledger: Open, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(clock=hand)
    budget = ledger.budgets.of("crm", rate=80, burst=80)
    asked = counting(monkeypatch, ledger.budgets, "take")
    for _ in range(60):
        assert budget(live=True, within=0).ours
        hand.move(0.01)
    assert len(asked) <= 12
    hand.move(60)
    assert budget(live=True, within=0).ours
    for _ in range(5):
        hand.move(60)
        assert budget(live=True, within=0).ours
        assert ledger.budgets.left("crm", Limit(80, 80)) == 79


def test_what_was_taken_ahead_is_lost_after_its_time(open_ledger: Open, hand: Hand) -> None:
    """Otherwise every process could come with its own on top of a full burst."""
    processes = [open_ledger(clock=hand).budgets.of("crm", rate=100, burst=100) for _ in range(3)]
    for process in processes:
        assert all(process(live=True, within=0).ours for _ in range(20))  # 1 + 2 + 4 + 8 + 16: eleven are left over
    hand.move(AHEAD + 5)
    assert sum(process(live=True, within=0).ours for process in processes for _ in range(100)) <= 100


def test_who_was_refused_does_not_ask_again_before_its_time(
    open_ledger: Open, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(clock=hand)
    budget = ledger.budgets.of("crm", rate=1, burst=4)
    asked = counting(monkeypatch, ledger.budgets, "take")
    for _ in range(20):
        budget(live=False, within=5)
    assert len(asked) == 3
    assert budget(live=True, within=0).ours  # what others are refused keeps nobody live
    hand.move(2.1)
    assert budget(live=False, within=5).ours
