"""The moving parts of a worker process: threads that drain, the ticker, the quarantine, the watchdog, the stop."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from core.errors import RetryLater
from ledger.inbox import RANK
from ledger.jobs import Claim
from ledger.schedules import not_asked
from ledger.state import ConnectionState
from pipelines import schedules
from pipelines.context import Context
from pipelines.leases import Leases
from pipelines.presence import Presence, Role
from pipelines.runner import Runner
from pipelines.schedules import Scheduled

log = structlog.get_logger(__name__)

POKE_WAIT: Final = 5.0
RUSH_IN_A_ROW: Final = 4
"""Rush orders after which one that is live has its turn."""
UNHEARD: Final = 5
"""Rounds of the ticker with due jobs and nothing running here, after which nobody waits for the broker any more."""
EXIT_WATCHDOG: Final = 70
"""EX_SOFTWARE: the supervisor starts a fresh process."""


class Engine:
    """One per process. `drain` is what a Dramatiq message, the local pool and the ticker all come to."""

    def __init__(
        self,
        context: Context,
        *,
        threads: int = 8,
        tick: float = 1.0,
        local: bool = True,
        nudge: Callable[[], bool] | None = None,
        role: Role = "worker",
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self.context = context
        self.threads = threads
        self.leases = Leases(context.ledger.jobs)
        self.runner = Runner(context, self.leases)
        self.stopping = threading.Event()
        self._tick = tick
        self._local = local
        self._send = nudge
        self._end_process = end_process
        self._gate = Gate()
        self._pokes: queue.Queue[None] = queue.Queue(maxsize=threads)
        self._slow_lane = threading.Semaphore(max(threads // 2, 1))
        self._workers: list[threading.Thread] = []
        self._agenda = list(schedules.of(context, self.stopping.is_set))
        self._background: dict[str, threading.Thread] = {}
        self._scheduled_at: dict[str, float] = {}
        # Renewed while a schedule runs; what a killed process left is started anew after it, like its jobs.
        self._schedule_lease = max(context.ledger.jobs.lease, 5 * tick)
        self._unheard = 0
        self._rushed = 0
        self._ticked_at = time.monotonic()
        self._lag = 0.0
        self._name = context.ledger.process
        self.presence = Presence(context.ledger, role, threads=threads, working=self._at_work)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads. With `local` (no broker) the pool drains at every nudge; otherwise it rests until the
        broker is away.
        """
        self.leases.start()
        names = [(f"drain-{n}", self._pool) for n in range(self.threads)]
        for name, target in [*names, ("ticker", self._ticker), ("watchdog", self._watchdog)]:
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._workers.append(thread)

    def stop(self, within: float = 60.0) -> bool:
        """Finish what runs, start nothing new. True when everything ended in time; what did not keeps its lease, which
        then runs out, and another process takes over.
        """
        self.stopping.set()
        for _ in range(self.threads):
            self.poke()
        deadline = time.monotonic() + within
        for threads in (self._workers, self._background.values()):  # the ticker, which begins the latter, ends first
            for thread in list(threads):
                if thread is not threading.current_thread():
                    thread.join(timeout=max(deadline - time.monotonic(), 0.05))
        # Jobs of the broker's threads end too, under leases that are renewed until then.
        idle = self._gate.wait_idle(max(deadline - time.monotonic(), 0.05))
        self.leases.stop()
        self.presence.leave()
        return idle and not any(thread.is_alive() for thread in self._workers)

    # -- draining --------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """There may be work: wake one thread of the local pool."""
        with contextlib.suppress(queue.Full):  # as many pokes as threads wait already
            self._pokes.put_nowait(None)

    def rings(self, send: Callable[[], bool]) -> None:
        """From now on nudges go through the broker."""
        self._send = send

    def nudge(self) -> None:
        """There may be work: through the broker where there is one, else (or when it is away) here."""
        if self._local or self._send is None or not self._send():
            self.poke()

    def drain(self) -> int:
        """Claim and run until nothing is due or the process stops. How many jobs ran."""
        count = 0
        while not self.stopping.is_set():
            with self._gate.shared(self.stopping) as entered:
                if not entered or not self._run_one(first=count == 0):
                    return count
            count += 1
        return count

    def _run_one(self, *, first: bool) -> bool:
        """Claim and run one job. What is not live never takes more than half of the threads: it may wait long for calls."""
        slow = self._slow_lane.acquire(blocking=False)
        try:
            claim = self._claim(2 if slow else 0)
            if claim is None:
                return False
            if slow and claim.urgent:
                self._slow_lane.release()
                slow = False
            if first:
                self.nudge()  # where one job is due there may be more: the next thread joins in
            self.runner.run(claim)
            return True
        finally:
            if slow:
                self._slow_lane.release()

    def _claim(self, max_rank: int) -> Claim | None:
        """Rush orders first; but after some of them in a row an order that only waits has its turn, so that a shop for which
        everything is urgent does not keep the others waiting for ever.
        """
        jobs, name, claim = self.context.ledger.jobs, f"{self._name}/{threading.get_ident()}", None
        if self._rushed >= RUSH_IN_A_ROW:
            self._rushed = 0
            claim = jobs.claim(name, min_rank=RANK["live"], max_rank=RANK["live"])
        claim = claim or jobs.claim(name, max_rank=max_rank)
        if claim is not None:
            self._rushed = self._rushed + 1 if claim.queue == "rush" else 0
        return claim

    def _quarantine(self) -> None:
        """Jobs that were running when a worker died run again with nothing beside them in this process."""
        while not self.stopping.is_set():
            with self._gate.exclusive(self.stopping) as entered:
                claim = self.context.ledger.jobs.claim(f"{self._name}/alone", alone=True) if entered else None
                if claim is None:
                    return
                self.runner.run(claim)

    def _pool(self) -> None:
        while not self.stopping.is_set():
            try:
                self._pokes.get(timeout=POKE_WAIT)
            except queue.Empty:
                continue
            try:
                self.drain()
            except Exception:
                log.exception("draining failed; the ticker tries again")

    # -- ticking ---------------------------------------------------------------------------------------------------

    def _ticker(self) -> None:
        down, pause = False, 0.0  # the first round at once: an empty index would keep the first orders waiting
        while not self.stopping.wait(pause):
            now = time.monotonic()
            self._lag = max(now - self._ticked_at - pause, 0.0)
            pause = self._tick
            self._ticked_at = now
            try:
                self.tick()
                if down:
                    log.info("the ledger is back")
                down = False
            except Exception as error:
                if not down:
                    log.exception("the ticker could not work", error=type(error).__name__)
                down = True

    def tick(self) -> None:
        """One round: expired leases, due jobs, schedules."""
        jobs = self.context.ledger.jobs
        reaped = jobs.reap()
        if reaped:
            log.warning("jobs taken back from a worker that died", count=reaped)
        if jobs.due(alone=True):
            self._in_background("quarantine", self._quarantine)
        if jobs.due(alone=False):
            self._unheard = 0 if self._gate.busy else self._unheard + 1
            self.nudge()
            if self._unheard >= UNHEARD:
                self.poke()  # the broker takes messages, but none comes here: its consumer may be dead
        else:
            self._unheard = 0
        self._schedules()
        self.presence.tell(self._lag)

    def _at_work(self) -> list[str]:
        """What runs in the background of this process now."""
        return sorted(name for name, thread in list(self._background.items()) if thread.is_alive())

    def _schedules(self) -> None:
        for scheduled in self._agenda:
            self._scheduled(scheduled)

    def _scheduled(self, scheduled: Scheduled) -> None:
        table, name = self.context.ledger.schedules, scheduled.name
        now = time.monotonic()
        if name in self._background and self._background[name].is_alive():
            if now - self._scheduled_at[name] > self._schedule_lease / 3:
                table.renew(name, lease=self._schedule_lease)
                self._scheduled_at[name] = now
            return
        if self.stopping.is_set():
            return  # what began now would never run, and keep others from it for a lease
        if table.start_if_due(name, every=scheduled.every, lease=self._schedule_lease):
            self._scheduled_at[name] = now
            self._in_background(name, lambda: self._run_schedule(scheduled))

    def _run_schedule(self, scheduled: Scheduled) -> None:
        again = None
        try:
            paused = self._left_alone(scheduled)
            if paused is not None:
                # What is due once a day would else be a day late, or never be done where people pause at that hour.
                outcome, again = not_asked(paused.connection), min(scheduled.every, paused.paused_for)
            else:
                outcome = f"{scheduled.work()} changes"
                if scheduled.connection:
                    self.runner.health.succeeded(scheduled.connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, the schedule runs again and its end is written down
            if isinstance(error, RetryLater) and error.scope == "connection" and error.connection:
                self.runner.health.failed(error.connection, error)
            # The message of our own errors is for people; of others only the class is safe to keep.
            outcome = f"failed: {getattr(error, 'message', type(error).__name__)}"
            detail = getattr(error, "detail", "")
            log.warning("a schedule failed", schedule=scheduled.name, error=type(error).__name__, detail=detail)
        self.context.ledger.schedules.ended(scheduled.name, outcome, again=again)
        self.nudge()

    def _left_alone(self, scheduled: Scheduled) -> ConnectionState | None:
        """Whoever paused a connection wants it left alone, also by questions: what changes there meanwhile is told by the first
        round after the pause, from the cursor on. The one of those it asks that is paused longest.
        """
        return self.context.ledger.states.paused_among(scheduled.asks)

    def _in_background(self, name: str, work: Callable[[], object]) -> None:
        running = self._background.get(name)
        if self.stopping.is_set() or (running is not None and running.is_alive()):
            return
        thread = threading.Thread(target=_guarded(name, work), name=name, daemon=True)
        self._background[name] = thread
        thread.start()

    # -- watching --------------------------------------------------------------------------------------------------

    def _watchdog(self) -> None:
        while not self.stopping.wait(2.0):
            trouble = self.trouble()
            if trouble:
                sys.stderr.write(f"orderwire: this worker ends itself: {trouble}. The supervisor starts a new one.\n")
                sys.stderr.flush()
                self._end_process(EXIT_WATCHDOG)

    def trouble(self) -> str:
        """Why this process should not go on ("" when all is well): dead threads, a silent ticker, a job far over time."""
        dead = [thread.name for thread in self._workers if not thread.is_alive()]
        if dead and not self.stopping.is_set():
            return f"the thread {dead[0]} has died"
        if not self.leases.alive:
            return "the thread that renews leases has died"
        if time.monotonic() - self._ticked_at > max(60.0, 20 * self._tick):
            return "the ticker is silent"
        slow = self.leases.slowest()
        if slow is not None and slow[1] > 2 * self.context.ledger.jobs.lease:
            return f"job {slow[0]} runs for {slow[1]:.0f} s, more than twice its lease"
        return ""


def _guarded(name: str, work: Callable[[], object]) -> Callable[[], None]:
    """Whatever goes wrong in the background (the ledger is away) is logged; the ticker starts it anew."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("work in the background failed; the ticker tries again", work=name)

    return run


class Gate:
    """Many shared, or one exclusive; whoever wants exclusive goes next."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._shared = 0
        self._exclusive = False
        self._wanting = 0

    @property
    def busy(self) -> bool:
        """Whether anybody is inside."""
        with self._condition:
            return self._exclusive or self._shared > 0

    def wait_idle(self, within: float) -> bool:
        """Wait until nobody is inside. False: somebody still is."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._exclusive and not self._shared, timeout=within)

    @contextmanager
    def shared(self, stopping: threading.Event) -> Iterator[bool]:
        """False: the process stops, nobody was let in."""
        with self._condition:
            while (self._exclusive or self._wanting) and not stopping.is_set():
                self._condition.wait(timeout=0.5)
            if stopping.is_set():
                entered = False
            else:
                self._shared += 1
                entered = True
        try:
            yield entered
        finally:
            if entered:
                with self._condition:
                    self._shared -= 1
                    self._condition.notify_all()

    @contextmanager
    def exclusive(self, stopping: threading.Event) -> Iterator[bool]:
        """Alone. False: the process stops."""
        with self._condition:
            self._wanting += 1
            while (self._exclusive or self._shared) and not stopping.is_set():
                self._condition.wait(timeout=0.5)
            self._wanting -= 1
            entered = not stopping.is_set()
            self._exclusive = self._exclusive or entered
        try:
            yield entered
        finally:
            if entered:
                with self._condition:
                    self._exclusive = False
                    self._condition.notify_all()
