"""The door's slow parts: passwords are checked by two threads of their own, and not as often as somebody likes.

Counts are kept by each process for itself, in memory: with several web processes somebody may try so many times as often.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, TypeVar

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core import passwords
from ledger import Ledger
from ledger.people import Person, folded

T = TypeVar("T")
PER_ADDRESS: Final[tuple[RateLimitItem, ...]] = (RateLimitItemPerMinute(20), RateLimitItemPerHour(100))
"""Tries from one address (IPv6: from one network of /64), whether they succeed or not."""
PER_NAME: Final[tuple[RateLimitItem, ...]] = (RateLimitItemPerMinute(10, 5), RateLimitItemPerHour(30))
"""Tries that failed for one name, known or not."""
THREADS: Final = 2
WAITING: Final = 20
"""So many passwords may wait to be checked; whoever comes then is asked to come again."""


class TooOften(Exception):
    """Somebody tries too often, or everybody at once."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One try to log in. `known`: whom the name stands for, right or wrong the password."""

    person: Person | None
    known: Person | None


class Gate:
    """One per process."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._lock = threading.Lock()
        self._waiting = 0

    async def slowly(self, work: Callable[[], T]) -> T:
        """Hash or verify beside the event loop and beside the threads of pages. Raises TooOften when too many wait."""
        with self._lock:
            if self._waiting >= WAITING:
                raise TooOften
            self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            with self._lock:
                self._waiting -= 1

    def knock(self, ip: str) -> None:
        """Count a try from this address. Raises TooOften."""
        for limit in PER_ADDRESS:
            if not self._limiter.hit(limit, "address", _network(ip)):
                raise TooOften

    async def log_in(self, login: str, password: str, ip: str) -> Tried:
        """Right or wrong takes the same time, whoever is known or not. Raises TooOften."""
        self.knock(ip)
        name = hashlib.sha256(folded(login).encode("utf-8", "replace")).hexdigest()
        if not all(self._limiter.test(limit, "name", name) for limit in PER_NAME):
            raise TooOften
        tried = await self.slowly(lambda: self._try(login, password))
        if tried.person is None:
            for limit in PER_NAME:
                self._limiter.hit(limit, "name", name)
        return tried

    def _try(self, login: str, password: str) -> Tried:
        found = self.ledger.people.with_password(login)
        known, kept = found or (None, "")
        if known is None or known.disabled_at is not None:
            kept = ""
        if not passwords.matches(password, kept) or known is None:
            return Tried(None, known)
        if passwords.outdated(kept):
            self.ledger.people.rehash(known.id, kept, passwords.hashed(password))
        return Tried(known, known)


def _network(ip: str) -> str:
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)
