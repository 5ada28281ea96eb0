"""How many different people wait: read from the orders' records, and remembered as marks that tell nobody who they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from ledger.search import Member
from mapping.canonical import SalesOrder
from pipelines.context import Context
from pipelines.recalled import Recalled

MOST: Final = 2000
"""Orders of one problem that are looked at."""


class Buyers:
    """One a process: it remembers for a while. Safe to share between threads."""

    def __init__(self, context: Context) -> None:
        self._marks = Recalled(context, mark_of, "", at_once=100)

    def of(self, members: Sequence[Member]) -> tuple[int, int]:
        """Different people, and of how many of the orders they are: what cannot be read is nobody's, what is not read yet is
        not in it.
        """
        marks = self._marks.of([one.id for one in members[-MOST:]]).values()
        return len({mark for mark in marks if mark}), len(marks)


def mark_of(order: SalesOrder) -> str:
    """The same for every order of one person, whichever shop it was placed in (pure): by e-mail address, else by account."""
    customer = order.customer
    who = customer.person.email.strip().casefold() or str(customer.key)
    return hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:16]
