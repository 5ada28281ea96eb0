"""The engine: every job once, a stop that finishes what runs, room for live work, and nobody who waits for a broken bell."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from ledger import Ledger
from ledger import tables as t
from ledger.jobs import Claim, Outcome
from pipelines.desk import Desk
from pipelines.engine import EXIT_WATCHDOG, Engine, Gate
from pipelines.schedules import Scheduled
from tests.integration.ledger.kit import (
    accept,
    add,
    beside,
    change,
    column,
    later,
    outcomes,
    route,
    together,
    until,
    view,
)

Make = Callable[..., Engine]
DONE = Outcome("settled")


class Work:
    """What a job does here: it counts, stops where the test wants it to, and settles."""

    def __init__(self, ledger: Ledger, *, blocks: bool = False) -> None:
        self.ledger = ledger
        self.go = threading.Event()
        self.began: list[str] = []
        self.ended: list[str] = []
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        if not blocks:
            self.go.set()

    def __call__(self, claim: Claim) -> str:
        with self._lock:
            self.began.append(claim.key.id)
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.go.wait(120)
        self.ledger.jobs.settle(claim, DONE)
        with self._lock:
            self.inside -= 1
            self.ended.append(claim.key.id)
        return "settled"


def all_settled(ledger: Ledger) -> bool:
    counts = ledger.jobs.counts()
    return counts["settled"] == sum(counts.values())


# -- draining ------------------------------------------------------------------------------------------------------


def test_many_threads_drain_every_job_once(ledger: Ledger, engines: Make) -> None:
    accept(ledger, *(change(str(number)) for number in range(60)))
    work = Work(ledger)
    engine = engines(work)
    assert sum(together([engine.drain] * 6)) == 60
    assert Counter(work.began) == {str(number): 1 for number in range(60)}
    assert all_settled(ledger)


def test_one_nudge_wakes_the_whole_pool(ledger: Ledger, engines: Make) -> None:
    accept(ledger, *(change(str(number)) for number in range(8)))
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=4, tick=3600)
    engine.start()
    engine.nudge()
    until(lambda: work.inside == 4, what="where one job is due there may be more")
    work.go.set()
    until(lambda: all_settled(ledger))
    assert work.most == 4


def test_the_ticker_finds_what_nobody_rang_for(ledger: Ledger, engines: Make) -> None:
    engine = engines(Work(ledger), threads=2)
    engine.start()
    add(ledger, "1")
    until(lambda: all_settled(ledger))


def test_a_drain_that_fails_does_not_end_its_thread(ledger: Ledger, engines: Make) -> None:
    work, broken = Work(ledger), [True, True, True]

    def run(claim: Claim) -> str:
        if broken:
            broken.pop()
            ledger.jobs.release(claim)
            raise OperationalError("UPDATE", {}, Exception("the server closed the connection"))
        return work(claim)

    engine = engines(run, threads=1)
    add(ledger, "1")
    engine.start()
    until(lambda: all_settled(ledger))
    assert engine.trouble() == ""


def test_backfill_takes_at_most_half_of_the_threads(ledger: Ledger, engines: Make) -> None:
    accept(ledger, *(change(f"b{n}") for n in range(8)), routes=route("backfill"))
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=4)
    engine.start()
    until(lambda: work.inside == 2)
    time.sleep(0.2)  # ten rounds of the ticker, each of which wakes a thread
    assert work.inside == 2, "the other half is kept free"
    add(ledger, "l1", "l2")
    until(lambda: {"l1", "l2"} <= set(work.began), what="live work finds its threads")
    work.go.set()
    until(lambda: all_settled(ledger))
    assert work.began[:2] != ["l1", "l2"]


def test_live_work_does_not_use_up_what_backfill_may_have(ledger: Ledger, engines: Make) -> None:
    add(ledger, "l1", "l2")
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=4)
    engine.start()
    until(lambda: work.inside == 2)
    accept(ledger, *(change(f"b{n}") for n in range(4)), routes=route("backfill"))
    until(lambda: work.inside == 4, what="two threads are idle, and two may run backfill")
    work.go.set()
    until(lambda: all_settled(ledger))


# -- stopping ------------------------------------------------------------------------------------------------------


def test_stop_finishes_what_runs_and_starts_nothing_new(ledger: Ledger, engines: Make) -> None:
    accept(ledger, *(change(str(number)) for number in range(5)))
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=2)
    engine.start()
    until(lambda: work.inside == 2)
    ended: list[bool] = []
    with beside(lambda: ended.append(engine.stop(within=90))):
        until(engine.stopping.is_set)
        time.sleep(0.1)
        assert ended == [], "it waits for them"
        assert engine.leases.alive, "whose leases are renewed meanwhile"
        work.go.set()
    assert ended == [True]
    assert ledger.jobs.counts()["settled"] == len(work.ended) == 2
    assert ledger.jobs.counts()["waiting"] == 3


def test_stop_waits_for_the_brokers_threads_too(ledger: Ledger, engines: Make) -> None:
    add(ledger, "1")
    work = Work(ledger, blocks=True)
    engine = engines(work, local=False, nudge=lambda: True)
    with beside(engine.drain):
        until(lambda: work.inside == 1)
        ended: list[bool] = []
        with beside(lambda: ended.append(engine.stop(within=90))):
            until(engine.stopping.is_set)
            time.sleep(0.1)
            assert ended == []
            work.go.set()
    assert ended == [True]
    assert all_settled(ledger)


def test_what_does_not_end_in_time_is_told(ledger: Ledger, engines: Make) -> None:
    add(ledger, "1")
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=1)
    engine.start()
    until(lambda: work.inside == 1)
    assert not engine.stop(within=0.2)
    work.go.set()
    assert engine.stop(within=90)


# -- alone ---------------------------------------------------------------------------------------------------------


def test_a_job_that_crashed_runs_with_nothing_beside_it(ledger: Ledger, engines: Make) -> None:
    [poison] = add(ledger, "poison")
    assert ledger.jobs.claim("dead") is not None
    later(ledger, 61)
    add(ledger, *(f"g{number}" for number in range(10)))
    beside_it: list[int] = []
    work = Work(ledger)

    def run(claim: Claim) -> str:
        if claim.alone:
            time.sleep(0.1)  # time enough for somebody to join
            beside_it.append(work.inside)
        else:
            time.sleep(0.02)
        return work(claim)

    engine = engines(run, threads=4)
    engine.start()
    until(lambda: all_settled(ledger), what="all of them, the poison too")
    assert beside_it == [0]
    assert outcomes(ledger, poison) == ["crashed", "settled"]


def test_trouble_in_the_background_is_logged_and_tried_again(ledger: Ledger, engines: Make) -> None:
    add(ledger, "1")
    assert ledger.jobs.claim("dead") is not None
    later(ledger, 61)
    work, broken = Work(ledger), [True, True]

    def run(claim: Claim) -> str:
        if broken:
            broken.pop()
            ledger.jobs.settle(claim, Outcome("retry", "away", burns=False))
            raise OperationalError("UPDATE", {}, Exception("the server closed the connection"))
        return work(claim)

    engine = engines(run, threads=1)
    engine.start()
    until(lambda: all_settled(ledger))


# -- the bell ------------------------------------------------------------------------------------------------------


def test_with_the_broker_away_the_local_pool_works(ledger: Ledger, engines: Make) -> None:
    work, there = Work(ledger), threading.Event()
    there.set()
    engine = engines(work, threads=2, local=False, nudge=there.is_set, tick=3600)
    engine.start()
    add(ledger, "1")
    engine.nudge()
    time.sleep(0.1)
    assert work.began == [], "the broker has it: nobody here takes it"
    there.clear()
    engine.nudge()
    until(lambda: all_settled(ledger))


def test_a_bell_that_nobody_hears_is_not_waited_for(ledger: Ledger, engines: Make) -> None:
    """The broker takes every message, and none comes back: its consumer is dead, the process looks alive."""
    engine = engines(Work(ledger), threads=2, local=False, nudge=lambda: True)
    engine.start()
    add(ledger, "1")
    until(lambda: all_settled(ledger), what="due for many rounds and nothing running: it should have looked itself")


def test_the_bell_is_trusted_while_it_works(ledger: Ledger, engines: Make) -> None:
    """While the broker's threads are busy here the pool stays out of it, however long jobs are due."""
    work = Work(ledger, blocks=True)
    engine = engines(work, threads=2, local=False, nudge=lambda: True)
    add(ledger, "1", "2")
    with beside(engine.drain):
        until(lambda: work.inside == 1)
        engine.start()
        time.sleep(0.3)
        assert work.began == ["1"]
        work.go.set()


# -- schedules -----------------------------------------------------------------------------------------------------


def test_a_schedule_runs_in_one_process_and_writes_down_how_it_ended(ledger: Ledger, engines: Make) -> None:
    ran: list[int] = []

    def poll() -> int:
        ran.append(1)
        return 7

    some = [engines(Work(ledger)) for _ in range(3)]
    for engine in some * 2:
        engine._scheduled(Scheduled("poll/shop", 3600, poll))
    for engine in some:
        engine.stop()
    assert ran == [1]
    assert _last_outcome(ledger) == "7 changes"


def test_a_paused_connection_is_not_asked_and_not_called_well(ledger: Ledger, engines: Make) -> None:
    asked: list[str] = []

    def ask(connection: str) -> int:
        asked.append(connection)
        return 3

    def once(connection: str) -> str:
        engine = engines(Work(ledger))
        engine._scheduled(Scheduled("crm/crm", 1, lambda: ask(connection), connection))
        engine.stop()
        later(ledger, 2)
        return _last_outcome(ledger)

    ledger.states.pause("crm", 3600)
    assert (once("crm"), asked) == ("not asked: crm is paused", [])
    state = ledger.states.get("crm")
    assert state is not None
    assert state.last_success_at is None
    assert (once("shop"), asked) == ("3 changes", ["shop"]), "another one is asked as ever"
    ledger.states.pause("crm", None)
    assert (once("crm"), asked) == ("3 changes", ["shop", "crm"])


def test_what_is_due_once_a_day_waits_for_the_end_of_a_pause_and_not_for_another_day(
    ledger: Ledger, engines: Make
) -> None:
    """Else whoever pauses the store at this hour of every night is never compared."""
    ran: list[int] = []

    def compare() -> int:
        ran.append(1)
        return 0

    def round_() -> tuple[str, int]:
        engine = engines(Work(ledger))
        engine._scheduled(Scheduled("compare/orders", 86_400, compare, "shop", ("crm",)))
        engine.stop()
        return _last_outcome(ledger), len(ran)

    ledger.states.pause("crm", 3600)
    assert round_() == ("not asked: crm is paused", 0), "it asks the CRM too"
    later(ledger, 1800)
    assert round_() == ("not asked: crm is paused", 0)
    assert len(ledger.schedules.rounds("compare/orders")["compare/orders"]) == 1, "nothing was due"
    later(ledger, 1801)
    assert round_() == ("0 changes", 1)

    later(ledger, 86_401)
    ledger.states.pause("shop", 100 * 365 * 86_400)
    assert round_() == ("not asked: shop is paused", 1)
    desk = Desk(ledger, ledger.audit)
    desk.resume_connection("crm", actor="cli:anna")
    assert round_() == ("not asked: shop is paused", 1)
    desk.resume_connection("shop", actor="cli:anna")
    assert round_() == ("0 changes", 2)


def test_a_schedule_that_fails_is_free_again(ledger: Ledger, engines: Make) -> None:
    def fails() -> int:
        raise ValueError("a secret")

    for _ in range(2):
        engine = engines(Work(ledger))
        engine._scheduled(Scheduled("poll/shop", 1, fails))
        engine.stop()
        assert _last_outcome(ledger) == "failed: ValueError", "what others say is not written down"
        later(ledger, 2)
    assert ledger.schedules.start_if_due("poll/shop", every=1, lease=60)


def test_what_runs_long_keeps_its_lease_and_what_is_dead_loses_it(
    ledger: Ledger, engines: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    engine = engines(Work(ledger))
    engine._scheduled(Scheduled("poll/shop", 1, lambda: int(go.wait(90))))
    engine._schedule_lease = 0.0  # a third of it has passed at once
    monkeypatch.setattr(
        ledger.schedules, "renew", lambda name, lease, real=ledger.schedules.renew: real(name, lease=60)
    )
    for _ in range(3):
        later(ledger, 50)
        engine._scheduled(Scheduled("poll/shop", 1, lambda: 0))
        assert not ledger.schedules.start_if_due("poll/shop", every=1, lease=60)
    later(ledger, 61)
    assert ledger.schedules.start_if_due("poll/shop", every=1, lease=60)
    go.set()


def _last_outcome(ledger: Ledger) -> str:
    return str(column(ledger, t.schedule.c.last_outcome))


# -- the watchdog --------------------------------------------------------------------------------------------------


class FakeRun:
    """As `Leases` sees a run."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.began = time.monotonic()
        self.lost = False
        self.renewals: list[float] = []

    def renewed(self, asked_at: float) -> None:
        self.renewals.append(asked_at)


def test_a_dead_thread_is_trouble(ledger: Ledger, engines: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_watchdog", lambda self: self.stopping.wait())
    monkeypatch.setattr(Engine, "_ticker", lambda self: None)
    engine = engines(Work(ledger), threads=1)
    assert engine.trouble() == ""
    engine.start()
    until(engine.trouble)
    assert engine.trouble() == "the thread ticker has died"
    engine.stopping.set()
    assert engine.trouble() == "", "threads that end because we stop are no trouble"


def test_a_silent_ticker_a_slow_job_and_dead_leases_are_trouble(ledger: Ledger, engines: Make) -> None:
    engine = engines(Work(ledger))
    engine._ticked_at -= 59
    assert engine.trouble() == ""
    engine._ticked_at -= 2
    assert engine.trouble() == "the ticker is silent"
    engine._ticked_at = time.monotonic()
    add(ledger, "1")
    claim = ledger.jobs.claim("w")
    assert claim is not None
    run = FakeRun(claim)
    with engine.leases.watch(run):  # type: ignore[arg-type]
        run.began -= 119
        assert engine.trouble() == ""
        run.began -= 2
        assert engine.trouble() == "job 1 runs for 121 s, more than twice its lease"
    assert engine.trouble() == ""
    engine.leases._thread = threading.Thread(target=lambda: None)
    engine.leases._thread.start()
    engine.leases._thread.join()
    assert engine.trouble() == "the thread that renews leases has died"


def test_the_watchdog_ends_the_process(ledger: Ledger, engines: Make, capfd: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    engine = engines(Work(ledger), end_process=codes.append)
    engine.trouble = lambda: "job 5 runs for 999 s"  # type: ignore[method-assign]
    engine.stopping.wait = lambda timeout=None: codes != []  # type: ignore[method-assign]
    engine._watchdog()
    assert codes == [EXIT_WATCHDOG]
    assert "this worker ends itself: job 5 runs for 999 s." in capfd.readouterr().err


# -- leases --------------------------------------------------------------------------------------------------------


def test_leases_are_renewed_and_the_lost_are_told(
    ledger: Ledger, engines: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = engines(Work(ledger)).leases
    add(ledger, "1")
    stale = ledger.jobs.claim("w")
    assert stale is not None
    run = FakeRun(stale)
    with leases.watch(run):  # type: ignore[arg-type]
        began = time.monotonic()
        later(ledger, 50)
        leases.renew_all()
        assert run.renewals[0] >= began
        later(ledger, 50)
        assert ledger.jobs.reap() == 0

        def away(_claim: Claim) -> bool:
            raise OperationalError("UPDATE", {}, Exception("connection refused"))

        with monkeypatch.context() as patch:
            patch.setattr(ledger.jobs, "renew", away)
            leases.renew_all()
        assert (run.lost, len(run.renewals)) == (False, 1), "not known to be lost: it ends by itself"
        later(ledger, 20)
        assert ledger.jobs.reap() == 1
        leases.renew_all()
        assert run.lost


def test_a_stale_run_does_not_take_the_lease_of_its_successor(ledger: Ledger, engines: Make) -> None:
    """The same job twice in one process: the one that froze ends while the other one is at work."""
    leases = engines(Work(ledger)).leases
    add(ledger, "1")
    stale = ledger.jobs.claim("w")
    assert stale is not None
    old = FakeRun(stale)
    with leases.watch(old):  # type: ignore[arg-type]
        later(ledger, 61)
        ledger.jobs.reap()
        fresh = ledger.jobs.claim("w", alone=True)
        assert fresh is not None
        new = FakeRun(fresh)
        watch = leases.watch(new)  # type: ignore[arg-type]
        watch.__enter__()
        leases.renew_all()
        assert (old.lost, new.lost) == (True, False)
    later(ledger, 50)
    leases.renew_all()
    assert len(new.renewals) == 2
    watch.__exit__(None, None, None)
    assert leases.slowest() is None
    assert view(ledger, fresh).state == "running"


# -- the gate ------------------------------------------------------------------------------------------------------


def test_many_share_the_gate_and_one_has_it_alone() -> None:
    gate, stopping = Gate(), threading.Event()
    inside: list[str] = []
    seen: list[list[str]] = []

    def shared() -> None:
        for _ in range(20):
            with gate.shared(stopping) as entered:
                assert entered
                inside.append("shared")
                assert "alone" not in inside
                time.sleep(0.001)
                inside.remove("shared")

    def alone() -> None:
        for _ in range(5):
            with gate.exclusive(stopping) as entered:
                assert entered
                inside.append("alone")
                seen.append(list(inside))
                time.sleep(0.002)
                inside.remove("alone")

    together([shared] * 4 + [alone] * 2)
    assert seen == [["alone"]] * 10
    assert not gate.busy


def test_who_wants_the_gate_alone_goes_next() -> None:
    gate, stopping = Gate(), threading.Event()
    order: list[str] = []
    first = gate.shared(stopping)
    first.__enter__()

    def alone() -> None:
        with gate.exclusive(stopping):
            order.append("alone")

    def late() -> None:
        with gate.shared(stopping):
            order.append("late")

    with beside(alone):
        until(lambda: gate._wanting == 1)
        with beside(late):
            time.sleep(0.05)
            assert order == [], "one is inside, one wants it alone: who comes later stands behind"
            first.__exit__(None, None, None)
    assert order == ["alone", "late"]


def test_a_stop_frees_whoever_waits_at_the_gate() -> None:
    gate, stopping = Gate(), threading.Event()
    entered: list[bool] = []
    with gate.shared(stopping):

        def alone() -> None:
            with gate.exclusive(stopping) as got:
                entered.append(got)

        def late() -> None:
            with gate.shared(stopping) as got:
                entered.append(got)

        with beside(alone):
            until(lambda: gate._wanting == 1)
            with beside(late):
                stopping.set()
        assert entered == [False, False]
        assert gate.busy
        assert not gate.wait_idle(0.05)
    assert gate.wait_idle(0.05)


def test_what_fails_inside_leaves_the_gate_open() -> None:
    gate, stopping = Gate(), threading.Event()
    for way in (gate.shared, gate.exclusive):
        with pytest.raises(KeyError), way(stopping):
            raise KeyError
    with gate.exclusive(stopping) as entered:
        assert entered
