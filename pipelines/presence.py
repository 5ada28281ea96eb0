"""A process tells the others that it is there, what it is at, and how many calls it made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.version import VERSION
from ledger import Ledger
from ledger.processes import Beat

log = structlog.get_logger(__name__)

Role = Literal["up", "web", "worker"]
Broker = Literal["", "up", "away"]
EVERY: Final = 10.0
"""Seconds between two signs of life at least."""
FLUSH: Final = 60.0
"""Seconds between two additions of calls at least."""


class Presence:
    """One per process. `broker` and `working` are asked at each sign of life."""

    def __init__(
        self,
        ledger: Ledger,
        role: Role,
        *,
        threads: int = 0,
        broker: Callable[[], Broker] = lambda: "",
        working: Callable[[], Sequence[str]] = tuple,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger = ledger
        self.role: Role = role
        self.threads = threads
        self.broker = broker
        self.working = working
        self._monotonic = monotonic
        self._told = self._flushed = float("-inf")

    def tell(self, lag: float = 0.0) -> None:
        """It is there; at most every few seconds, however often this is called. `lag`: seconds that its rounds are behind."""
        now = self._monotonic()
        if now - self._told < EVERY:
            return
        self._told = now
        self.ledger.processes.beat(
            Beat(self.ledger.process, self.role, VERSION, self.threads, self.broker(), lag, self.working())
        )
        if now - self._flushed >= FLUSH:
            self._flushed = now
            self.ledger.pulse.flush()

    def leave(self) -> None:
        """It ends in good order. While the ledger is away it just goes: others will miss it after a minute."""
        try:
            self.ledger.pulse.flush()
            self.ledger.processes.leave(self.ledger.process)
        except SQLAlchemyError:
            log.warning("the ledger is away, this process leaves without a word")

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """For a process without a ticker: a thread of its own tells while this lasts."""
        over = threading.Event()
        thread = threading.Thread(target=self._rounds, args=(over,), name="presence", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=EVERY)
            self.leave()

    def _rounds(self, over: threading.Event) -> None:
        away = False
        while True:
            try:
                self.tell()
                away = False
            except Exception as error:  # noqa: BLE001 - this thread must go on, whatever the ledger does
                if not away:
                    log.warning("this process could not tell that it is there", error=type(error).__name__)
                away = True
            if over.wait(EVERY):
                return
