"""Who may ask: a token, alone and always, not too often, for what its scopes and its owner's role allow.

Cookies do not count here, so no other site can make a browser ask. Counts are kept by each process for itself, in memory.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.logs import new_correlation
from core.rights import LEAST, SCOPES, Right
from core.rights import Scope as TokenScope
from ledger.people import Person, digest
from ledger.sessions import PREFIX
from web.access import Require
from web.api.refusal import AWAY, Refusal, answer, of
from web.paths import for_log
from web.state import WebState

log = structlog.get_logger(__name__)
PER_MINUTE: Final = 600
"""Requests of one token, in each process."""
ACTIONS_PER_MINUTE: Final = 120
"""Those of them that do something."""
LONGEST_TOKEN: Final = 200
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Meter:
    """How often each token asked."""

    def __init__(self, requests: int = PER_MINUTE, actions: int = ACTIONS_PER_MINUTE) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests)
        self._actions = RateLimitItemPerMinute(actions)

    def count(self, token: str, *, acts: bool) -> None:
        """One more. Raises Refusal."""
        limits = [("actions", self._actions)] if acts else []
        for name, limit in [("requests", self._requests), *limits]:
            if not self._limiter.hit(limit, name, token):
                raise self._too_often(name, limit, token)

    def _too_often(self, name: str, limit: RateLimitItem, token: str) -> Refusal:
        again = self._limiter.get_window_stats(limit, name, token).reset_time - time.time()
        seconds = str(max(math.ceil(again), 1))
        return Refusal(
            "too-often",
            f"A token may send {limit.amount} {name} a minute. What to do: wait {seconds} s, and ask less often.",
            headers={"Retry-After": seconds},
        )


@dataclass(frozen=True, slots=True)
class Needs(Require):
    """`web.access.Require` for programs: a dependency that refuses as the API does. Gives the person the token acts for."""

    def __call__(self, request: Request) -> Person:
        person: Person = request.state.person
        if person.may(self.right):
            return person
        scope = scope_for(self.right)
        if scope is not None and scope not in (person.scopes or ()):
            raise Refusal(
                "not-allowed",
                f"The token {person.token} has not the scope `{scope}` ({self.right}). What to do: use one that has.",
                scope=scope,
                headers={"WWW-Authenticate": f'Bearer realm="orderwire", error="insufficient_scope", scope="{scope}"'},
            )
        raise Refusal(
            "not-allowed",
            f"The owner of the token {person.token} may not do this ({self.right}): it needs the role {LEAST[self.right]}. "
            "What to do: ask an administrator for the role, or for a token of somebody who has it.",
        )


def needs(right: Right) -> Needs:
    """For `Depends`."""
    return Needs(right)


def scope_for(right: Right) -> TokenScope | None:
    """The least scope that holds this right; None: no token has it."""
    return next((scope for scope in TokenScope if right in SCOPES[scope]), None)


class Door:
    """Around all of the API: nobody without a token learns anything, not even which addresses there are."""

    def __init__(self, app: ASGIApp, state: WebState, meter: Meter) -> None:
        self.app = app
        self.state = state
        self.meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            person = await self._person(scope)
        except (Refusal, *AWAY) as error:
            await answer(of(error))(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app({**scope, "state": {**scope.get("state", {}), "person": person}}, receive, sending)
        except Exception as error:
            if begun:
                raise
            await answer(_stumbled(scope, error))(scope, receive, send)

    async def _person(self, scope: Scope) -> Person:
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        token = token.strip()
        bare = {"WWW-Authenticate": 'Bearer realm="orderwire"'}
        if kind.casefold() != "bearer" or not token:
            raise Refusal("not-authenticated", "There is no token in the request.", headers=bare)
        good = token.startswith(PREFIX) and len(token) <= LONGEST_TOKEN and token.isascii()
        sessions = self.state.context.ledger.sessions
        person = await run_in_threadpool(sessions.find_token, token) if good else None
        if person is None:
            headers = {"WWW-Authenticate": 'Bearer realm="orderwire", error="invalid_token"'}
            raise Refusal(
                "not-authenticated", "This token is unknown, over, or its owner is disabled.", headers=headers
            )
        self.meter.count(digest(token), acts=scope["method"] not in _SAFE)
        return person


def _stumbled(scope: Scope, error: Exception) -> Refusal:
    """A bug of ours, told with the id by which the log finds it."""
    correlation = new_correlation()
    log.error("a call stumbled", path=for_log(scope["path"]), correlation=correlation, exc_info=error)
    return Refusal(
        "failed",
        f"Orderwire stumbled. What to do: report it with this id from the log: {correlation}.",
        headers={"X-Correlation-Id": correlation},
    )
