"""Work beside the event loop, where a thread for each piece would spend more on changing hands than on the work: a thread takes
everything that waits, and the loop is told once for all of it (web/intake.py does the same for deliveries).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

THREADS: Final = 3
"""Each holds at most one connection to the database."""
TOGETHER: Final = 16
"""Pieces that a thread takes at once: whoever is done waits for the others of it."""
T = TypeVar("T")


@dataclass(slots=True)
class _Piece:
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    value: Any = None
    error: Exception | None = None


class Beside:
    """Threads start with the first piece and rest when there is none."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._queue: deque[_Piece] = deque()
        self._busy = 0

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises."""
        loop = asyncio.get_running_loop()
        piece = _Piece(work, loop, loop.create_future())
        with self._lock:
            self._queue.append(piece)
            # Another thread only where those at work would take more than their share.
            another = self._busy < THREADS and (not self._busy or len(self._queue) > TOGETHER)
            self._busy += another
        if another:
            self._threads.submit(self._drain)
        found: T = await piece.future
        return found

    def _drain(self) -> None:
        while group := self._next():
            for piece in group:
                try:
                    piece.value = piece.work()
                except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                    piece.error = error
            _tell(group)

    def _next(self) -> list[_Piece]:
        """What waits; [] ends the thread's turn, under the lock that `do` looks under."""
        with self._lock:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER))]
            self._busy -= not group
        return group


def _tell(group: list[_Piece]) -> None:
    for loop in {id(piece.loop): piece.loop for piece in group}.values():
        its = [piece for piece in group if piece.loop is loop]
        try:
            loop.call_soon_threadsafe(_answer, its)
        except RuntimeError:  # the loop has ended: nobody waits there any more
            continue


def _answer(group: list[_Piece]) -> None:
    for piece in group:
        if piece.future.done():  # cancelled
            continue
        if piece.error is not None:
            piece.future.set_exception(piece.error)
        else:
            piece.future.set_result(piece.value)
