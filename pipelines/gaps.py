"""Gaps in order numbers: where a store numbers its orders one after the other, a missing number is a missing order.

What counts is decided by the store (`Store.numbering`): plugins' numbers and those of an order form run one after the other,
WooCommerce's own are post ids and have gaps by nature. Where it only looks so ("auto"), at least half of the numbers must be
there. Old orders that were changed lately are left out by the day they were placed. What was found stays on the list until it
turns up or a person says what became of it, even when it is long out of the window.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import structlog

from connectors.roles import Numbering, Store
from core.clock import Clock
from core.errors import ConfigurationProblem, OrderwireError
from core.keys import Key
from ledger import Ledger
from ledger.alerts import Condition
from pipelines.context import Context

log = structlog.get_logger(__name__)

WINDOW: Final = timedelta(days=14)
MARGIN: Final = timedelta(hours=1)
"""Orders that are younger may still be on their way."""
JUMP: Final = 1000
"""A larger step is a new beginning (another year, another counter), not so many lost orders."""
ENOUGH: Final = 5
"""From fewer numbers nothing is concluded where it is not said that they run one after the other."""
ASK: Final = 200
"""So many numbers a store is asked for in one night; the others follow in the next."""
SHOWN: Final = 12
_FORM: Final = re.compile(r"(.*?)(\d{1,15})(\D*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Counted:
    """An order number taken apart: `WEB-0017` is WEB-, 17 in four places."""

    prefix: str
    value: int
    suffix: str
    width: int
    """Digits it is filled up to with zeros; 0: none."""

    @classmethod
    def of(cls, number: str) -> Counted | None:
        """None: there is nothing to count by."""
        found = _FORM.fullmatch(number)
        if found is None:
            return None
        prefix, digits, suffix = found.groups()
        return cls(prefix, int(digits), suffix, len(digits) if digits.startswith("0") else 0)

    def at(self, value: int, width: int) -> str:
        """Another number of the same series."""
        return f"{self.prefix}{str(value).zfill(width)}{self.suffix}"


def missing_among(numbers: Iterable[tuple[str, Numbering]]) -> list[str]:
    """Numbers between the smallest and the largest of each series that are not there, in order (pure)."""
    series: dict[tuple[str, str], dict[int, Counted]] = defaultdict(dict)
    sure: set[tuple[str, str]] = set()
    for number, numbering in numbers:
        counted = Counted.of(number) if numbering != "free" else None
        if counted is not None:
            name = (counted.prefix, counted.suffix)
            series[name][counted.value] = counted
            if numbering == "sequential":
                sure.add(name)
    found: list[str] = []
    for name, known in sorted(series.items()):
        holes = [(low, high) for low, high in pairwise(sorted(known)) if 1 < high - low <= JUMP]
        lost = sum(high - low - 1 for low, high in holes)
        if name not in sure and (len(known) < ENOUGH or lost > len(known)):
            continue
        width = max(counted.width for counted in known.values())
        one = next(iter(known.values()))
        found += [one.at(value, width) for low, high in holes for value in range(low + 1, high)]
    return found


def compact(numbers: Sequence[str]) -> str:
    """`1017, 1019..1023`: neighbours as ranges, in the given order (pure)."""
    parts: list[tuple[str, str]] = []
    last: Counted | None = None
    for number in numbers:
        counted = Counted.of(number)
        if last is not None and counted is not None and number == last.at(last.value + 1, last.width):
            parts[-1] = (parts[-1][0], number)
        else:
            parts.append((number, number))
        last = counted
    return ", ".join(first if first == end else f"{first}..{end}" for first, end in parts)


def expand(text: str) -> list[str]:
    """The numbers of `1017, 1019..1023`. Raises ConfigurationProblem."""
    found: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, dots, end = (piece.strip() for piece in part.partition(".."))
        if not dots:
            found.append(part)
            continue
        low, high = Counted.of(first), Counted.of(end)
        same = low is not None and high is not None and (low.prefix, low.suffix) == (high.prefix, high.suffix)
        if low is None or high is None or not same or not 0 <= high.value - low.value <= JUMP:
            raise ConfigurationProblem(
                f"{part!r} is not a range of order numbers. What to do: write it as 1019..1023, or each number by itself."
            )
        found += [low.at(value, low.width) for value in range(low.value, high.value + 1)]
    return found


# -- looking ---------------------------------------------------------------------------------------------------------------


def look(context: Context, name: str, *, window: timedelta = WINDOW) -> int:
    """Compare one store's numbers. How many are missing and unexplained; the alert follows from what is kept here."""
    ledger, store = context.ledger, context.store(name)
    until = context.clock.now() - MARGIN
    first = ledger.figures.first_heard(name)
    if first is None or first >= until:
        return 0
    # What was placed before we knew this store was never ours to carry.
    new = missing_among(_placed(ledger, store, max(until - window, first - MARGIN), until))
    old = [number for number in missing(ledger, name) if store.numbering(Key(name, "order", ""), number) != "free"]
    wanted = _unexplained(ledger, name, list(dict.fromkeys([*new, *old])))
    left = [number for number in wanted[:ASK] if not _turned_up(context, store, number)] if store.pollable else wanted
    if store.pollable and len(wanted) > ASK:
        log.warning("more numbers are missing than a store is asked for in one night", store=name, count=len(wanted))
        left += [number for number in wanted[ASK:] if number in set(old)]
    ledger.cursors.set(_missing_name(name), compact(left))
    log.info("order numbers compared", store=name, missing=len(left))
    return len(left)


def _placed(ledger: Ledger, store: Store, since: datetime, until: datetime) -> Iterator[tuple[str, Numbering]]:
    """Numbers of the orders that were placed in the interval."""
    for record in ledger.figures.records_since(store.name, "order", since):
        if not record.number or record.raw is None:
            continue
        numbering = store.numbering(record.key, record.number)
        if numbering == "free":
            continue
        try:
            placed_at = store.order(record.key, record.raw).placed_at
        except OrderwireError:
            continue  # its job is held and says why; the number itself is known to the ledger
        if since <= placed_at < until:
            yield record.number, numbering


def _turned_up(context: Context, store: Store, number: str) -> bool:
    """Whether the store has it after all: then it is taken in like any other."""
    change = store.find_by_number(number)
    if change is None:
        return False
    context.ledger.inbox.accept([change], context.routes, via="fetch")
    log.warning("an order that nobody told us of was found by its number", key=str(change.key))
    return True


def _unexplained(ledger: Ledger, name: str, numbers: Sequence[str]) -> list[str]:
    there = ledger.figures.known_numbers(name, numbers) | set(explained(ledger, name))
    return [number for number in numbers if number not in there]


# -- what is kept ----------------------------------------------------------------------------------------------------------


def _missing_name(name: str) -> str:
    return f"gaps/{name}"


def _known_name(name: str) -> str:
    """Apart from what the nights find, so that neither overwrites the other."""
    return f"gaps-known/{name}"


def missing(ledger: Ledger, name: str) -> list[str]:
    """Numbers that the last look found missing, and that nobody explained and nothing brought since."""
    return _unexplained(ledger, name, expand(ledger.cursors.get(_missing_name(name)) or ""))


def explained(ledger: Ledger, name: str) -> dict[str, str]:
    """Numbers of which a person said what became of them -> the reason."""
    kept = json.loads(ledger.cursors.get(_known_name(name)) or "[]")
    return {number: entry["reason"] for entry in kept for number in expand(entry["numbers"])}


def explain(ledger: Ledger, name: str, numbers: Sequence[str], reason: str, clock: Clock) -> list[str]:
    """A person says what became of these numbers; remembered for ever. What is still missing afterwards."""
    kept = json.loads(ledger.cursors.get(_known_name(name)) or "[]")
    kept.append({"numbers": compact(numbers), "reason": reason, "at": clock.now().isoformat(timespec="seconds")})
    ledger.cursors.set(_known_name(name), json.dumps(kept, ensure_ascii=False))
    left = missing(ledger, name)
    if not left:
        ledger.alerts.close(f"gaps/{name}", f"Explained: {reason}")
    return left


def conditions(context: Context) -> Iterator[Condition]:
    """One for each store of which numbers are missing."""
    for name, store in context.stores.items():
        numbers = missing(context.ledger, name)
        if not numbers:
            continue
        shown = compact(numbers[:SHOWN]) + (f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else "")
        asked = "the store was asked and does not have them" if store.pollable else "the store cannot be asked for them"
        yield Condition(
            f"gaps/{name}",
            f"Order numbers of {name} are missing",
            f"{len(numbers)} numbers never came ({shown}), and {asked}. What to do: see in the store what became of them; "
            f"`orderwire gaps` lists all, `orderwire gaps --known {numbers[0]} --reason ...` explains one for good.",
            facts={"connection": name, "count": len(numbers), "numbers": shown},
        )
