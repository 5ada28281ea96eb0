"""Connection-wide faults: written once for everybody, taken back by the first success."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from core.errors import RetryLater
from ledger.state import States

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 2.0
NOTE_EVERY: Final = 60.0
"""Seconds between two notes of the last success of a connection that is well: pages tell its age, and orders pay nothing."""
LONGEST: Final = 10.0
"""Seconds between two tries of a connection that is out: when it is back, nobody waits longer than this."""
LONGEST_AUTH: Final = 300.0
"""The same for a refused login: some systems lock an account that is tried too often."""


class Health:
    """Blocks a connection for a growing while; a process that succeeds unblocks it. An outage is logged once, and its end."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._lock = threading.Lock()
        self._looked_at: dict[str, float] = {}
        self._noted_at: dict[str, float] = {}

    def failed(self, connection: str, error: RetryLater) -> float:
        """A fault that is the connection's. Seconds until the next try."""
        with self._lock:
            self._looked_at.pop(connection, None)  # the first success after it counts at once
        before = self._states.get(connection)
        if before is not None and before.blocked_for > 0:
            return before.blocked_for  # another thread met the same fault: one outage, one count
        faults = before.faults if before else 0
        growth = 1.0 if error.cause == "rate limit" else float(2 ** min(faults, 6))
        longest = LONGEST_AUTH if error.cause == "auth" else LONGEST
        seconds = min(error.seconds * growth, max(longest, error.seconds))
        self._states.block(connection, seconds, error_class=error.cause, reason=error.message)
        if faults == 0:
            log.warning("connection is out", connection=connection, error_class=error.cause, detail=error.detail)
        return seconds

    def succeeded(self, connection: str) -> None:
        """It answered sensibly. Looks into the ledger at most every two seconds."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at.get(connection, -LOOK_EVERY) < LOOK_EVERY:
                return
            self._looked_at[connection] = now
        state = self._states.get(connection)
        if state is not None and state.faults:
            self._states.succeeded(connection)
            log.info("connection is back", connection=connection, faults=state.faults)
        elif now - self._noted_at.get(connection, -NOTE_EVERY) >= NOTE_EVERY:
            self._noted_at[connection] = now
            self._states.heard(connection)
