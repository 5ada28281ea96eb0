"""How much money waits. What was tried has its amount with its job; what nobody has tried yet is read from its record."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ledger.search import Member, money_of
from mapping.canonical import SalesOrder
from pipelines.context import Context
from pipelines.recalled import Recalled


class Worth:
    """One a process: it remembers for a while. Safe to share between threads."""

    def __init__(self, context: Context) -> None:
        self._amounts = Recalled(context, _amount, ("", ""), at_once=60)

    def of(self, members: Sequence[Member]) -> tuple[dict[str, Decimal], int]:
        """Amounts by currency, and how many of the jobs are not in it (not read yet, or not readable)."""
        found = self.filled(members)
        return money_of(found), sum(not one.amount for one in found)

    def filled(self, members: Sequence[Member]) -> list[Member]:
        """The same jobs, with their amounts as far as they are known."""
        known = self._amounts.of([one.id for one in members if not one.amount])
        return [one if one.amount else Member(one.id, one.number, *known.get(one.id, ("", ""))) for one in members]


def _amount(order: SalesOrder) -> tuple[str, str]:
    """The total that the customer knows, also where the sums do not agree with it (pure)."""
    return str(order.total), order.currency
