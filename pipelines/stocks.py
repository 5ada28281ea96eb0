"""Reads stock levels, compares them with thresholds and follows the alerts.

A level is no event, no record and no job (ADR-0015): pages are kept and judged in bulk. Everything that was read is judged,
whether or not it changed, so that what an interrupted round left undone the next one does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from connectors.roles import BadLevel, Stocked, StockPage
from core.errors import Held
from core.settings import StockSettings
from ledger import Ledger
from ledger.alerts import Condition
from ledger.stock import Level
from ledger.stockalerts import Low, StockAlert
from mapping.canonical import StockLevel
from mapping.stock import Rule, Rules, Usual, verdict
from pipelines import stocktelling
from pipelines.context import Context

log = structlog.get_logger(__name__)

TOGETHER: Final = 2_000
"""So many levels are kept in one transaction, about."""
AGAIN: Final = 300.0
"""Seconds until a reading of everything that failed is tried again; what changed is read meanwhile."""
SUSPICIOUS: Final = 20
"""So many levels may be gone at once without a second thought; of more, a tenth."""
SHARE: Final = 10
MOST_SKU: Final = 200
MOST_PLACE: Final = 80
"""Characters that are kept of an article's number (and a group), and of a warehouse."""


def schedule_name(stock: StockSettings) -> str:
    """Of its polling."""
    return f"stock/{stock.name}"


def cursor_name(source: str) -> str:
    """Up to where its levels were read."""
    return f"stock/{source}"


def poll(context: Context, stock: StockSettings, stopping: Callable[[], bool] = lambda: False) -> int:
    """Read what changed (or everything, where that is due), judge it, and tell who is to be told. How many levels changed."""
    round_ = Round(context.ledger, stock, context.stocked(stock.source), stopping)
    changed = round_.go()
    stocktelling.tell(context)
    return changed


def read_all(context: Context, stock: StockSettings, *, anyway: bool = False) -> int:
    """Read everything now. `anyway`: what is not told any more is gone, however much that is."""
    round_ = Round(context.ledger, stock, context.stocked(stock.source), anyway=anyway)
    changed = round_.everything()
    round_.judge_others()
    stocktelling.tell(context)
    return changed


def rules_of(ledger: Ledger, stock: StockSettings, skus: Sequence[str] = ()) -> Rules:
    """The thresholds that hold for these articles of a source."""
    usual, thresholds = Usual(stock.minimum, stock.owner, stock.reorder_points, stock.groups), ledger.stock.thresholds
    return Rules([*thresholds.wide(stock.source), *thresholds.of_products(stock.source, skus)], usual)


def quantity_of(stock: StockSettings, level: Level) -> Decimal:
    """What thresholds are compared with."""
    return level.available if stock.measure == "available" and level.available is not None else level.on_hand


@dataclass
class Judge:
    """Compares levels with thresholds and follows the alerts of one source."""

    ledger: Ledger
    stock: StockSettings
    rules: Rules
    open: dict[tuple[str, str], StockAlert]

    @classmethod
    def of(cls, ledger: Ledger, stock: StockSettings) -> Judge:
        """As thresholds and alerts stand now."""
        return cls(ledger, stock, rules_of(ledger, stock), ledger.stock.alerts.open_of(stock.source))

    def levels(self, levels: Collection[Level]) -> None:
        """Open, follow and close alerts by these levels."""
        skus = list(dict.fromkeys(level.sku for level in levels))
        self.rules.turn_to(self.ledger.stock.thresholds.of_products(self.stock.source, skus))
        lows: list[Low] = []
        followed: dict[int, Low] = {}
        risen: dict[int, Decimal | None] = {}
        free: dict[int, Decimal | None] = {}
        over: list[tuple[str, str]] = []
        for level in levels:
            quantity = quantity_of(self.stock, level)
            rule = self.rules.of(level.warehouse, level.sku, level.group, level.minimum)
            alert = self.open.get((level.warehouse, level.sku))
            what = verdict(quantity, rule, self.stock.hysteresis, is_open=alert is not None)
            if what == "open" and rule is not None:
                lows.append(_low(level, rule, quantity))
            elif alert is not None and what == "close":
                (risen if rule is not None else free)[alert.id] = quantity
                over.append(alert.item)
            elif alert is not None and rule is not None and _differs(alert, low := _low(level, rule, quantity)):
                followed[alert.id] = low
        alerts = self.ledger.stock.alerts
        if lows:
            alerts.open(self.stock.source, lows)
        alerts.follow(followed)
        alerts.close(risen, "risen")
        alerts.close(free, "no threshold")
        if changed := {*over, *((low.warehouse, low.sku) for low in (*lows, *followed.values()))}:
            for item in changed:
                self.open.pop(item, None)
            self.open |= alerts.open_of(self.stock.source, changed)

    def gone(self, items: Sequence[tuple[str, str]]) -> None:
        """What is not told any more needs nobody's care."""
        ids: dict[int, Decimal | None] = {self.open[item].id: None for item in items if item in self.open}
        self.ledger.stock.alerts.close(ids, "gone")


class Seen:
    """Items that were told: by warehouse, for there may be a hundred thousand."""

    def __init__(self) -> None:
        self._skus: dict[str, set[str]] = {}

    def __contains__(self, item: tuple[str, str]) -> bool:
        return item[1] in self._skus.get(item[0], ())

    def add(self, items: Iterable[tuple[str, str]]) -> None:
        """These too."""
        for warehouse, sku in items:
            self._skus.setdefault(warehouse, set()).add(sku)

    def remove(self, items: Iterable[tuple[str, str]]) -> None:
        """These not."""
        for warehouse, sku in items:
            self._skus.get(warehouse, set()).discard(sku)


@dataclass
class Round:
    """One reading of a source."""

    ledger: Ledger
    stock: StockSettings
    source: Stocked
    stopping: Callable[[], bool] = lambda: False
    anyway: bool = False
    bad: list[BadLevel] = field(default_factory=list)
    changed: int = 0
    whole: bool = False
    judge: Judge = field(init=False)
    mark: str = field(init=False)
    """Names the thresholds and settings by which is judged."""

    def __post_init__(self) -> None:
        self.mark = self._mark()
        self.judge = Judge.of(self.ledger, self.stock)

    def go(self) -> int:
        """Read what is due. How many levels changed."""
        state = self.ledger.stock.source(self.stock.source)
        cursor = self.ledger.cursors.get(cursor_name(self.stock.source))
        if cursor is None or self._due(state.full_at, state.tried_at):
            self.everything()
        else:
            self._changes(cursor)
        self.judge_others()
        return self.changed

    def _due(self, full_at: datetime | None, tried_at: datetime | None) -> bool:
        now = self.ledger.clock.now()
        failed = tried_at is not None and (full_at is None or tried_at > full_at)
        if failed and tried_at is not None and now - tried_at < timedelta(seconds=min(AGAIN, self.stock.full)):
            return False
        return full_at is None or now - full_at >= timedelta(seconds=self.stock.full)

    def _changes(self, cursor: str) -> None:
        name, began = cursor_name(self.stock.source), self.ledger.clock.now()
        for pages in _gathered(self.source.stock_since(cursor)):
            self._take(pages, began)
            self.ledger.cursors.set(name, pages[-1].cursor)
            if self.stopping():
                return
        self._note(polled_at=began)

    def everything(self) -> int:
        """Read all levels; what is not among them is gone. The cursor moves at the end: an interrupted reading begins anew."""
        began, seen = self.ledger.clock.now(), Seen()
        self.whole = True
        self.ledger.stock.note(self.stock.source, tried_at=began)
        cursor, whole = "", True
        for pages in _gathered(self.source.stock_since(None)):
            cursor, whole = pages[-1].cursor, whole and all(page.whole for page in pages)
            self._take(pages, began, seen)
            if self.stopping():
                return self.changed
        if whole:
            self._remove_others(seen)
        self.ledger.cursors.set(cursor_name(self.stock.source), cursor)
        self._note(polled_at=began, full_at=self.ledger.clock.now())
        if whole:
            self.ledger.stock.note(self.stock.source, judged=self.mark)
        return self.changed

    def _note(self, **moments: datetime) -> None:
        """Of a reading of everything it is known how many levels cannot be read; of changes only that some cannot."""
        told: dict[str, object] = dict(moments)
        if self.whole or self.bad:
            told |= {"bad": len(self.bad), "bad_why": self.bad[0].reason if self.bad else ""}
        self.ledger.stock.note(self.stock.source, **told)

    def _take(self, pages: Sequence[StockPage], began: datetime, seen: Seen | None = None) -> None:
        levels: dict[tuple[str, str], Level] = {}
        gone: dict[tuple[str, str], None] = {}
        for page in pages:
            for told in page.levels:
                if len(told.sku) > MOST_SKU or len(told.warehouse) > MOST_PLACE:
                    self.bad.append(
                        BadLevel(told.key.id, f"{told.sku[:40]}... or its warehouse is longer than any name.")
                    )
                elif not self.stock.warehouses or told.warehouse in self.stock.warehouses:
                    item = (told.warehouse, told.sku)
                    levels[item] = _level(told, began)
                    gone.pop(item, None)
            for item in (item for id in page.gone for item in _items(id)):
                levels.pop(item, None)
                gone[item] = None
            self.bad += page.bad
        if seen is not None:
            seen.add(levels)
            seen.remove(gone)
            seen.add(item for page in pages for one in page.bad for item in _items(one.id))
        self.changed += self.ledger.stock.keep(self.stock.source, list(levels.values()))
        self.judge.levels(levels.values())
        if gone:
            self.changed += self.ledger.stock.remove(self.stock.source, list(gone))
            self.judge.gone(list(gone))

    def _remove_others(self, seen: Seen) -> None:
        known, lost, wanted = 0, list[tuple[str, str]](), self.stock.warehouses
        for part in self.ledger.stock.items(self.stock.source):
            known += len(part)
            lost += [item for item in part if item not in seen]
        # What is not wanted any more is gone by a person's word.
        self._require_plausible(sum(1 for place, _ in lost if not wanted or place in wanted), known)
        self.changed += self.ledger.stock.remove(self.stock.source, lost)
        self.judge.gone(lost)

    def _require_plausible(self, lost: int, known: int) -> None:
        cause = _cause(self.stock)
        all_of_several = lost == known > 1
        if self.anyway or (lost <= max(SUSPICIOUS, known // SHARE) and not all_of_several):
            self.ledger.alerts.close(cause, "The levels are told again, or are gone indeed.")
            return
        message = (
            f"{self.stock.source} tells {lost} of {known} stock levels no more, and none of them was taken for gone. What to do: "
            "see whether our user there may still see them all; if they are really gone, "
            f"`orderwire stock read {self.stock.name} --anyway` takes them for it."
        )
        title = f"Stock levels of {self.stock.source} are missing"
        self.ledger.alerts.open(Condition(cause, title, message, facts={"connection": self.stock.source}))
        raise Held(message, error_class="missing reference")

    def judge_others(self) -> None:
        """Thresholds or settings were changed: what was not read now is compared with them too."""
        mark = self._mark()
        if self.ledger.stock.source(self.stock.source).judged == mark:
            return
        self.judge = Judge.of(self.ledger, self.stock)
        for part in self.ledger.stock.each(self.stock.source):
            self.judge.levels(part)
        self.ledger.stock.note(self.stock.source, judged=mark)

    def _mark(self) -> str:
        return f"{self.ledger.stock.source(self.stock.source).revision}:{_settings_mark(self.stock)}"


def disbelieved(ledger: Ledger, stock: StockSettings) -> bool:
    """The source told so much less than before that nobody takes it for true."""
    cause = _cause(stock)
    return any(alert.cause == cause for alert in ledger.alerts.opened(cause))


def _cause(stock: StockSettings) -> str:
    return f"stock/{stock.name}"


def _gathered(pages: Iterable[StockPage]) -> Iterator[list[StockPage]]:
    """Pages in parts that are worth a transaction."""
    part: list[StockPage] = []
    size = 0
    for page in pages:
        part.append(page)
        size += len(page.levels) + len(page.gone)
        if size >= TOGETHER:
            yield part
            part, size = [], 0
    if part:
        yield part


def _settings_mark(stock: StockSettings) -> str:
    """What of the settings decides about levels."""
    told = (stock.minimum, stock.owner, stock.reorder_points, stock.groups, stock.measure, stock.hysteresis)
    return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()


def _level(told: StockLevel, began: datetime) -> Level:
    return Level(
        warehouse=told.warehouse,
        sku=told.sku,
        name=told.name,
        group=told.group[:MOST_SKU],
        on_hand=told.on_hand,
        available=told.available,
        minimum=told.minimum,
        stamp=told.stamp,
        read_at=told.read_at or began,
    )


def _items(id: str) -> Iterator[tuple[str, str]]:
    """What a level's id may name: warehouses and articles may have slashes of their own."""
    parts = id.split("/")
    return (("/".join(parts[:end]), "/".join(parts[end:])) for end in range(1, len(parts)))


def _low(level: Level, rule: Rule, quantity: Decimal) -> Low:
    return Low(level.warehouse, level.sku, level.name, rule.owner, rule.minimum, rule.target, quantity)


def _differs(alert: StockAlert, low: Low) -> bool:
    known = (alert.name, alert.owner, alert.minimum, alert.target, alert.quantity)
    return known != (low.name, low.owner, low.minimum, low.target, low.quantity)
