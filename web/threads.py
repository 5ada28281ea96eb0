"""How many threads work for people's pages, and those apart for whoever must not wait behind them.

A page asks the ledger and so runs in a thread. Were there as many as there are open tabs, they would take every connection to the
database and most of the processor from deliveries and orders. The others wait their turn without a thread.

What asks an outside system while somebody waits (a test, a dry-run) has a thread of another few: a system that does not answer
takes none from pages. Nobody queues for one of these; whoever finds none is told so at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

PAGES: Final = 4
"""Pages and API calls at work at once, in one process. Each holds at most one connection to the database."""
APART: Final = 3
"""Probes, metrics, and notes of refused deliveries at work at once."""
OUTSIDE: Final = 3
"""Calls to outside systems that somebody waits for, at work at once."""
OF_ONE: Final = 2
"""Those of them to the same system: one that does not answer leaves a place for the others."""
AGAIN: Final = 10
"""Seconds after which whoever found no place may try again."""

T = TypeVar("T")
_apart: Final[RunVar[CapacityLimiter]] = RunVar("orderwire_apart")
_outside: Final[RunVar[Counter[tuple[str, bool]]]] = RunVar("orderwire_outside")
"""Calls under way by system and by whether they are tests. The event loop's alone, so without a lock."""


async def apart(work: Callable[[], T]) -> T:
    """`work` in a thread that pages have no part in."""
    limiter = _apart.get(None)
    if limiter is None:
        limiter = CapacityLimiter(APART)
        _apart.set(limiter)
    return await to_thread.run_sync(work, limiter=limiter)


async def outside(system: str, work: Callable[[], T], *, test: bool = False) -> T:
    """`work`, which asks this outside system, in a thread that pages have no part in. Raises HTTPException 429 at once where
    OF_ONE are at work with the system already (or, of a `test`, one other), or OUTSIDE with any.
    """
    under_way = _outside.get(None)
    if under_way is None:
        under_way = Counter()
        _outside.set(under_way)
    if (test and under_way[system, True]) or under_way[system, True] + under_way[system, False] >= OF_ONE:
        raise _busy(f"{system[:100]} is being asked already, and has not answered yet.")
    if under_way.total() >= OUTSIDE:
        raise _busy("Other systems are being asked, and have not answered yet.")
    under_way[system, test] += 1
    try:
        return await to_thread.run_sync(work, limiter=CapacityLimiter(1))
    finally:
        under_way[system, test] -= 1
        if not under_way[system, test]:
            del under_way[system, test]


def _busy(sentence: str) -> HTTPException:
    todo = "What to do: try again in a moment; if it stays so, see Connections for what does not answer."
    return HTTPException(429, f"{sentence} {todo}", headers={"Retry-After": str(AGAIN)})


class Bound:
    """Sets the bound where the event loop of the process is known: in its first request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limiter = to_thread.current_default_thread_limiter()
        if limiter.total_tokens != PAGES:
            limiter.total_tokens = PAGES
        await self.app(scope, receive, send)


def install(app: FastAPI) -> None:
    """Around everything."""
    app.add_middleware(Bound)
