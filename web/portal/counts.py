"""How often somebody asked within this minute. Kept in memory by each process for itself, like the counts at the door (web.gate),
but without a thread for each entry that ends: here three hundred ask in a second.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable
from datetime import datetime
from typing import Final

WINDOW: Final = 60
"""Seconds; a window begins with each of the clock's minutes."""


class Counts:
    """Safe to share between threads. What was counted is forgotten when its minute is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counted: Counter[Hashable] = Counter()

    def hit(self, who: Hashable, most: int, now: datetime) -> float:
        """Count one; 0 where there were no more than `most`, else seconds until the next may come."""
        with self._lock:
            self._turn(now)
            self._counted[who] += 1
            return self._wait(now) if self._counted[who] > most else 0.0

    def _turn(self, now: datetime) -> None:
        window = int(now.timestamp()) // WINDOW
        if window != self._window:
            self._window = window
            self._counted = Counter()

    @staticmethod
    def _wait(now: datetime) -> float:
        return WINDOW - now.timestamp() % WINDOW
