"""What a rehearsal says of the day on which its flow goes live: how many orders, how much money, what is in the way.

Pure: it reads the items of a run (`ledger.runs`), and asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from core.clock import parse_utc
from ledger.runs import Item

SAMPLES: Final = 5
"""Orders that are named for each reason."""
ADVICE: Final = " What to do: "
_PARTICULARS: Final = re.compile(r'\d[\d.,x]*|"[^"]*"')
CUSTOMERS_MADE: Final = ("create_account", "create_contact")
"""The writes that begin a customer."""
_CUSTOMERS: Final = ("found", "new", "doubtful")


@dataclass(slots=True)
class Pile:
    """So many orders, and their money by ISO currency. What could not be read has no money."""

    count: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """One more."""
        self.count += 1
        if item.currency:
            self.money[item.currency] = self.money.get(item.currency, Decimal(0)) + Decimal(item.amount or 0)


@dataclass(slots=True)
class Group:
    """Orders that have something in common: a class of reasons, a rule, a SKU, a word. `samples`: (order, sentence), so
    chosen that sentences which differ in more than numbers and quoted words are all among them, as long as there is room.
    """

    name: str
    pile: Pile = field(default_factory=Pile)
    samples: list[tuple[str, str]] = field(default_factory=list)

    def add(self, item: Item, sentence: str = "") -> None:
        """One more order."""
        self.pile.add(item)
        sample = (item.number or item.key, sentence)
        if len(self.samples) < SAMPLES:
            self.samples.append(sample)
            return
        shapes = [_shape(text) for _, text in self.samples]
        if _shape(sentence) not in shapes:
            spare = next((at for at in range(SAMPLES - 1, 0, -1) if shapes.count(shapes[at]) > 1), None)
            if spare is not None:
                self.samples[spare] = sample

    @property
    def reasons(self) -> list[tuple[str, list[str]]]:
        """The sentences that say different things, each with the sample orders that it was said of."""
        found: dict[str, tuple[str, list[str]]] = {}
        for order, sentence in self.samples:
            found.setdefault(_shape(sentence), (sentence, []))[1].append(order)
        return list(found.values())


def _shape(sentence: str) -> str:
    return _PARTICULARS.sub("#", sentence)


class Groups:
    """Groups by their name, the one with most orders first."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def add(self, name: str, item: Item, sentence: str = "") -> None:
        """One more order in the group of this name."""
        self._groups.setdefault(name, Group(name)).add(item, sentence)

    @property
    def sorted(self) -> list[Group]:
        """Most orders first."""
        return sorted(self._groups.values(), key=lambda group: (-group.pile.count, group.name))


@dataclass(slots=True)
class Forecast:
    """What would happen. `calls` is at least what the target would be called; `rate`: calls a second that its connection
    allows (None: no limit is set), `burst`: those that may come at once.
    """

    orders: Pile = field(default_factory=Pile)
    post: Pile = field(default_factory=Pile)
    change: Pile = field(default_factory=Pile)
    nothing: Pile = field(default_factory=Pile)
    wait: Pile = field(default_factory=Pile)
    """It could not be told: a system was busy."""
    too_old: Pile = field(default_factory=Pile)
    """Would be created, were they not placed before the start: they are linked if they are there, listed otherwise."""
    hold: Pile = field(default_factory=Pile)
    skip: Pile = field(default_factory=Pile)
    held: Groups = field(default_factory=Groups)
    skipped: Groups = field(default_factory=Groups)
    unknown_skus: Groups = field(default_factory=Groups)
    untaxed: Groups = field(default_factory=Groups)
    unmapped: Groups = field(default_factory=Groups)
    customers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_CUSTOMERS, 0))
    """Orders by what was found out about who ordered. Of several orders of a new customer only the first counts as new."""
    calls: int = 0
    rate: float | None = None
    burst: float = 0.0

    @property
    def seconds(self) -> float | None:
        """How long the calls take within the connection's budget; None where no limit is set."""
        return None if self.rate is None else max(0.0, self.calls - self.burst) / self.rate

    def as_json(self) -> dict[str, Any]:
        """For programs: amounts are exact text."""
        piles = ("orders", "post", "change", "nothing", "wait", "too_old", "hold", "skip")
        groups = ("held", "skipped", "unknown_skus", "untaxed", "unmapped")
        return {
            **{name: _pile(getattr(self, name)) for name in piles},
            **{name: [_group(one) for one in getattr(self, name).sorted] for name in groups},
            "customers": dict(self.customers),
            "calls": self.calls,
            "calls_per_second": self.rate,
            "seconds": self.seconds,
        }


def forecast(
    items: Iterable[Item], *, rate: float | None = None, burst: float = 0.0, start: datetime | None = None
) -> Forecast:
    """Add up what was planned. `start`: orders placed before it would not be created (None: no such limit)."""
    found = Forecast(rate=rate, burst=burst)
    for item in items:
        _count(found, item, start)
        if item.verdict != "skip":
            _gaps(found, item)
    return found


def _count(found: Forecast, item: Item, start: datetime | None) -> None:
    found.orders.add(item)
    found.calls += int(item.facts.get("calls", 0))
    verdict = "too_old" if item.verdict == "post" and _before(item, start) else item.verdict
    getattr(found, verdict).add(item)
    if verdict == "hold":
        found.held.add(item.error_class, item, item.reason)
    elif verdict == "skip":
        found.skipped.add(item.error_class.removeprefix("rule "), item, item.reason)
    customer = item.facts.get("customer")
    if customer in found.customers:
        found.customers[customer] += 1


def _gaps(found: Forecast, item: Item) -> None:
    """What the CRM, or the configuration, does not know of this order."""
    for sku in item.facts.get("unknown_skus", ()):
        found.unknown_skus.add(sku or "(no article number)", item)
    for sku in item.facts.get("untaxed", ()):
        found.untaxed.add(sku, item)
    for sentence in item.facts.get("unmapped", ()):
        found.unmapped.add(sentence, item)
    if item.verdict == "hold" and item.facts.get("word"):
        found.unmapped.add(item.reason, item)


def _before(item: Item, start: datetime | None) -> bool:
    placed = item.facts.get("placed")
    return start is not None and bool(placed) and parse_utc(str(placed)) < start


def makes_customer(item: Item) -> bool:
    """Whether the plan begins a customer, whom the orders after it find."""
    return any(str(write).startswith(CUSTOMERS_MADE) for write in item.facts.get("writes", ()))


def _pile(pile: Pile) -> dict[str, Any]:
    return {"count": pile.count, "money": _money(pile.money)}


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        **_pile(group.pile),
        "samples": [{"order": order, "reason": sentence} for order, sentence in group.samples],
    }


def _money(money: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: str(money[currency]) for currency in sorted(money)}
