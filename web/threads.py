"""How many threads work for people's pages, and those apart for whoever must not wait behind them.

A page asks the ledger and so runs in a thread. Were there as many as there are open tabs, they would take every connection to the
database and most of the processor from deliveries and orders. The others wait their turn without a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

PAGES: Final = 4
"""Pages and API calls at work at once, in one process. Each holds at most one connection to the database."""
APART: Final = 3
"""Probes, metrics, and notes of refused deliveries at work at once."""

T = TypeVar("T")
_apart: Final[RunVar[CapacityLimiter]] = RunVar("orderwire_apart")


async def apart(work: Callable[[], T]) -> T:
    """`work` in a thread that pages have no part in."""
    limiter = _apart.get(None)
    if limiter is None:
        limiter = CapacityLimiter(APART)
        _apart.set(limiter)
    return await to_thread.run_sync(work, limiter=limiter)


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
