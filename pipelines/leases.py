"""Keeps the leases of running jobs alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ledger.jobs import Jobs
from pipelines.run import Attempt

log = structlog.get_logger(__name__)


class Leases:
    """One thread renews what runs in this process, three times a lease."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._running: dict[tuple[int, int], Attempt] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, run: Attempt) -> Iterator[None]:
        """While within, the run's lease is renewed."""
        mine = (run.claim.id, run.claim.token)  # a run whose lease is over may still be here when its job runs anew
        with self._lock:
            self._running[mine] = run
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(mine, None)

    def start(self) -> None:
        """Begin renewing."""
        self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @property
    def alive(self) -> bool:
        """Whether the thread does its rounds (or was never asked to)."""
        return self._thread is None or self._thread.is_alive()

    def slowest(self) -> tuple[int, float] | None:
        """The job that runs longest here, and for how many seconds."""
        with self._lock:
            runs = [(run.claim.id, time.monotonic() - run.began) for run in self._running.values()]
        return max(runs, key=lambda item: item[1]) if runs else None

    def _loop(self) -> None:
        while not self._stop.wait(self._jobs.lease / 3):
            self.renew_all()

    def renew_all(self) -> None:
        """One round. A lease that cannot be renewed in time ends by itself: the guard then refuses every write."""
        with self._lock:
            runs = list(self._running.values())
        for run in runs:
            asked = time.monotonic()
            try:
                if self._jobs.renew(run.claim):
                    run.renewed(asked)
                else:
                    run.lost = True
            except Exception:
                log.exception("lease could not be renewed", job=run.claim.id)
