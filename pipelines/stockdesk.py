"""What people do with stock, whichever way they come: look, set thresholds (one by one or as a sheet), put alerts off."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, cast, get_args
from urllib.parse import quote, unquote

from core import cells
from core.errors import ConfigurationProblem
from core.settings import StockSettings
from ledger.stock import Level, SourceState
from ledger.stockalerts import Snooze, StockAlert
from ledger.stockoffers import Offering, Told
from ledger.thresholds import Scope, Threshold
from mapping.stock import Rule, free_to_sell
from mapping.stockletters import Item
from pipelines.context import Context
from pipelines.desk import Refused, Unknown
from pipelines.sheets import Line
from pipelines.stockpublishing import Difference, Publisher
from pipelines.stocks import quantity_of, rules_of, schedule_name
from pipelines.stocktelling import Facts

COLUMNS: Final = ("scope", "subject", "warehouse", "owner", "minimum", "target", "remove")
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
SNOOZES: Final[tuple[Snooze, ...]] = get_args(Snooze)
TROUBLED: Final = 20
"""So many articles with a problem are shown."""
LONGEST_SNOOZE: Final = timedelta(days=366)
LARGEST: Final = Decimal(10) ** 12
MOST_LINES: Final = 100_000
"""Of a sheet that is taken in."""
YES: Final = frozenset({"yes", "y", "true", "1", "x"})


@dataclass(frozen=True, slots=True)
class LevelView:
    """A level with what holds for it. `free`: what may be sold, without the safety stock."""

    level: Level
    quantity: Decimal
    free: Decimal
    rule: Rule | None
    group: str
    told: Mapping[str, Told] = field(default_factory=dict)
    """By store: what it was told of how much of the article may be sold, all warehouses together."""

    @property
    def low(self) -> bool:
        """Below its threshold."""
        return self.rule is not None and self.quantity < self.rule.minimum


@dataclass(frozen=True, slots=True)
class StoreView:
    """A store that is told what may be sold. `troubled`: the first articles that it refuses or may not have."""

    store: str
    offering: Offering
    counts: Mapping[str, int]
    """Articles by problem; "": it has them."""
    troubled: Sequence[Told]


@dataclass(frozen=True, slots=True)
class SourceView:
    """One `[[stock]]`, and how far it was read."""

    stock: StockSettings
    state: SourceState
    counts: Mapping[str, int]
    """Levels by warehouse."""
    open: int
    """Alerts that are not put off."""
    stores: Sequence[StoreView] = ()


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert with cover and orders at risk."""

    alert: StockAlert
    item: Item
    stock: str


@dataclass(slots=True)
class Imported:
    """What became of a sheet: lines that changed something, lines that say what is so, and (line, why) of those left out."""

    taken: int = 0
    same: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StockDesk:
    """The services. `nudge` wakes whoever reads levels."""

    context: Context
    nudge: Callable[[], object] = lambda: None

    # -- looking ---------------------------------------------------------------------------------------------------

    def chosen(self, name: str = "") -> StockSettings:
        """The `[[stock]]` of this name; the first, if none is named. Raises Unknown."""
        stocks = self.context.stocks
        found = stocks.get(name) if name else next(iter(stocks.values()), None)
        if found is None:
            what = f"There is no [[stock]] named {name}." if name else "No stock is configured."
            raise Unknown(
                f"{what} What to do: name one of {', '.join(stocks) or 'those that you add to the configuration'}."
            )
        return found

    def sources(self) -> list[SourceView]:
        """All of them."""
        stock, counts = self.context.ledger.stock, self.context.ledger.stock.alerts.count()
        return [
            SourceView(
                one,
                stock.source(one.source),
                stock.counts(one.source),
                counts.get(one.source, 0),
                self.stores(one.name),
            )
            for one in self.context.stocks.values()
        ]

    def stores(self, name: str) -> list[StoreView]:
        """Who is told what may be sold of this stock."""
        stock, offers = self.chosen(name), self.context.ledger.stock.offers
        return [
            StoreView(
                store,
                offers.offering(stock.source, store),
                offers.counts(stock.source, store),
                offers.troubled(stock.source, store, TROUBLED),
            )
            for store in stock.publish
        ]

    def differences(self, name: str, store: str = "") -> Iterator[tuple[str, Difference]]:
        """What the stores (or this one) would be told now. Raises Refused."""
        for one, publisher in self._publishers(name, store):
            for part in publisher.everything():
                yield from ((one, difference) for difference in publisher.differences(part))

    def publish(self, name: str, store: str = "") -> dict[str, int]:
        """Tell the stores (or this one) now: how many articles each. Raises Refused where something stands in the way."""
        done = {}
        for one, publisher in self._publishers(name, store):
            if why := publisher.obstacle():
                raise Refused(f"{one} is told nothing: {why}")
            done[one] = publisher.go(now=True)
        return done

    def _publishers(self, name: str, store: str) -> list[tuple[str, Publisher]]:
        stock = self.chosen(name)
        if not stock.publish or (store and store not in stock.publish):
            known = ", ".join(stock.publish) or "none is configured"
            raise Refused(
                f"[[stock]] {stock.name} tells {store or 'no store'} nothing. What to do: name one of: {known}."
            )
        return [(one, Publisher(self.context, stock, one, anew=True)) for one in stock.publish if store in {"", one}]

    def levels(
        self, name: str, *, text: str = "", warehouse: str = "", after: tuple[str, str] | None = None, limit: int = 50
    ) -> list[LevelView]:
        """Levels by article number, from behind `after` (SKU, warehouse)."""
        stock = self.chosen(name)
        found = self.context.ledger.stock.search(stock.source, text=text, warehouse=warehouse, after=after, limit=limit)
        skus = list(dict.fromkeys(level.sku for level in found))
        rules = rules_of(self.context.ledger, stock, skus)
        offers = self.context.ledger.stock.offers
        told = {store: offers.of(stock.source, store, skus) for store in stock.publish}
        views = []
        for level in found:
            rule = rules.of(level.warehouse, level.sku, level.group, level.minimum)
            quantity = quantity_of(stock, level)
            group = rules.group_of(level.sku, level.group)
            free = free_to_sell([quantity], stock.safety)
            mine = {store: every[level.sku] for store, every in told.items() if level.sku in every}
            views.append(LevelView(level, quantity, free, rule, group, mine))
        return views

    def alerts(
        self, name: str = "", *, owner: str = "", text: str = "", closed: bool = False, after: int = 0, limit: int = 50
    ) -> list[AlertView]:
        """Open alerts (or those that are over), the newest first; of one stock or of all."""
        sources = {stock.source: stock for stock in self.context.stocks.values()}
        source = self.chosen(name).source if name else ""
        found = self.context.ledger.stock.alerts.listed(
            connection=source, owner=owner, text=text, closed=closed, after=after, limit=limit
        )
        items: dict[int, Item] = {}
        for connection, stock in sources.items():
            mine = [alert for alert in found if alert.connection == connection]
            told = Facts(self.context, stock, self.context.ledger.clock.now()).items(mine)
            items |= {alert.id: item for alert, item in zip(mine, told, strict=True)}
        return [AlertView(one, items[one.id], sources[one.connection].name) for one in found if one.id in items]

    # -- thresholds ------------------------------------------------------------------------------------------------

    def set(self, name: str, threshold: Threshold, *, by: str) -> bool:
        """Set one threshold. False: it is so already. Raises Refused."""
        stock = self.chosen(name)
        threshold = replace(threshold, subject=threshold.subject.strip(), warehouse=threshold.warehouse.strip())
        if wrong := self._wrong(threshold):
            raise Refused(wrong)
        changed = self.context.ledger.stock.thresholds.put(stock.source, [threshold], by=by) > 0
        if changed:
            self._look(stock)
        return changed

    def unheard(self, name: str, threshold: Threshold) -> bool:
        """Whether no level is known of the article or the warehouse that it is of: perhaps it is misspelled."""
        source, warehouse = self.chosen(name).source, threshold.warehouse.strip()
        stock = self.context.ledger.stock
        if threshold.scope == "product":
            levels = stock.of(source, [threshold.subject.strip()])
            return not any(warehouse in ("", level.warehouse) for level in levels)
        return bool(warehouse) and warehouse not in stock.counts(source)

    def remove(self, name: str, scope: str, subject: str, warehouse: str = "", *, by: str) -> None:
        """Forget one threshold. Raises Unknown."""
        stock = self.chosen(name)
        thresholds = self.context.ledger.stock.thresholds
        if scope not in SCOPES or not thresholds.remove(stock.source, scope, subject, warehouse, by=by):
            raise Unknown("There is no such threshold. What to do: look at the list again.")
        self._look(stock)

    def _wrong(self, threshold: Threshold) -> str:
        """Why it cannot be set; "" where it can."""
        if threshold.scope not in SCOPES:
            return f"A threshold is of a {', a '.join(SCOPES)}. What to do: name one of them."
        if threshold.scope == "warehouse" and (threshold.subject or not threshold.warehouse):
            return "The threshold of a warehouse names the warehouse alone. What to do: leave the article or group out."
        if threshold.scope != "warehouse" and not threshold.subject:
            return "Nothing says what the threshold is of. What to do: name the article's number or the group."
        if not threshold.owner and threshold.minimum is None and threshold.target is None:
            return "The threshold says nothing. What to do: give a minimum, a target, or who is in charge."
        if threshold.owner and threshold.owner not in self.context.buyers:
            known = ", ".join(sorted(self.context.buyers)) or "none is configured"
            return f"There is no buyer named {threshold.owner[:80]}. What to do: name one of the [[buyer]]s: {known}."
        low = threshold.minimum
        if threshold.target is not None and low is not None and threshold.target < low:
            return "The target is below the minimum. What to do: make it the minimum at least."
        if len(threshold.subject) > 200 or len(threshold.warehouse) > 80:
            return "A name is too long. What to do: look for a value in the wrong column."
        if any(unicodedata.category(char) in {"Cc", "Cs"} for char in threshold.subject + threshold.warehouse):
            return "A name has a character that nobody can read. What to do: type it anew."
        return ""

    def _look(self, stock: StockSettings) -> None:
        """Compare with it soon."""
        self.context.ledger.schedules.run_now(schedule_name(stock))
        self.nudge()

    # -- sheets ----------------------------------------------------------------------------------------------------

    def export(self, name: str) -> Iterator[str]:
        """All thresholds, comma-separated, in parts that are made while they are sent."""
        found = self.context.ledger.stock.thresholds.each(self.chosen(name).source)
        rows = (
            (one.scope, one.subject, one.warehouse, one.owner, _text(one.minimum), _text(one.target), "")
            for one in found
        )
        return cells.pieces(COLUMNS, rows)

    def take_in(self, name: str, lines: Sequence[Line], *, by: str, dry_run: bool = False) -> Imported:
        """Take a sheet in; every line that can be read. Raises ConfigurationProblem where a column is missing or unknown."""
        stock = self.chosen(name)
        _require_columns(lines)
        thresholds, done = self.context.ledger.stock.thresholds, Imported()
        wanted: list[Threshold] = []
        unwanted: list[Threshold] = []
        good = list(self._read(lines, done))
        known = thresholds.of(stock.source, {(one.scope, one.subject, one.warehouse) for _, one in good})
        for line, threshold in good:
            before = known.get((threshold.scope, threshold.subject, threshold.warehouse))
            if line.get("remove").lower() in YES:
                if before is not None:
                    unwanted.append(threshold)
                else:
                    done.same += 1
            elif before is not None and _values(before) == _values(threshold):
                done.same += 1
            else:
                wanted.append(threshold)
        done.taken = len(wanted) + len(unwanted)
        if not dry_run and done.taken:
            thresholds.put(stock.source, wanted, by=by)
            for one in unwanted:
                thresholds.remove(stock.source, one.scope, one.subject, one.warehouse, by=by)
            self._look(stock)
        return done

    def _read(self, lines: Sequence[Line], done: Imported) -> Iterator[tuple[Line, Threshold]]:
        seen: set[tuple[str, str, str]] = set()
        for line in lines:
            try:
                threshold = _threshold(line)
                going = line.get("remove").lower() in YES
                if wrong := "" if going and threshold.scope in SCOPES else self._wrong(threshold):
                    raise ValueError(wrong)
                key = (threshold.scope, threshold.subject, threshold.warehouse)
                if key in seen:
                    raise ValueError("A line above sets the same. What to do: leave one of them out.")
            except ValueError as error:
                done.bad.append((line.number, str(error)))
                continue
            seen.add(key)
            yield line, threshold

    # -- alerts ----------------------------------------------------------------------------------------------------

    def snooze(self, id: int, kind: str, *, until: datetime | None = None, by: str) -> StockAlert:
        """Say nothing of it until more is there (`delivery`) or until a day (`date`); "" ends it. Raises Refused, Unknown."""
        now = self.context.ledger.clock.now()
        if kind not in SNOOZES:
            raise Refused("It is put off until a delivery or until a date. What to do: name one of them.")
        if kind == "date" and (until is None or not now < until <= now + LONGEST_SNOOZE):
            raise Refused("That day is over, or more than a year away. What to do: name another one.")
        found = self.context.ledger.stock.alerts.snooze(id, kind, until=until, by=by)
        if found is None:
            raise Unknown(f"The alert {id} is not open. What to do: look at the list again.")
        return found


def cursor(level: Level) -> str:
    """Where a list of levels goes on behind this one: warehouse and SKU, whatever stands in their names (pure)."""
    return f"{quote(level.warehouse, safe='')}/{quote(level.sku, safe='')}"


def behind(after: str) -> tuple[str, str] | None:
    """SKU and warehouse of a `cursor`; None for "" (pure)."""
    warehouse, _, sku = (unquote(part).replace("\0", "") for part in after.partition("/"))  # PostgreSQL takes no NUL
    return (sku, warehouse) if after else None


def quantity(text: str) -> Decimal | None:
    """A quantity as people type it: `5`, `2.5`, `2,5`; None for "". Raises ValueError."""
    text = text.strip()
    if not text:
        return None
    try:
        found = Decimal(text.replace(",", ".")) if text.isascii() else None
    except ArithmeticError:
        found = None
    if found is None or not found.is_finite() or abs(found) > LARGEST or "_" in text:
        raise ValueError(f"{text[:40]} is no quantity. What to do: write it like 5 or 2.5.")
    return found


def _threshold(line: Line) -> Threshold:
    """Raises ValueError."""
    return Threshold(
        scope=cast("Scope", line.get("scope").lower()),
        subject=line.get("subject"),
        warehouse=line.get("warehouse"),
        owner=line.get("owner"),
        minimum=quantity(line.get("minimum")),
        target=quantity(line.get("target")),
    )


def _values(threshold: Threshold) -> tuple[str, Decimal | None, Decimal | None]:
    return threshold.owner, threshold.minimum, threshold.target


def _text(quantity: Decimal | None) -> str:
    return f"{quantity:f}" if quantity is not None else ""


def _require_columns(lines: Sequence[Line]) -> None:
    found = set(lines[0].cells) if lines else set(COLUMNS)
    if unknown := found - set(COLUMNS) - {""}:
        raise ConfigurationProblem(
            f"The sheet has a column {min(unknown)[:80]!r}. What to do: its columns are {', '.join(COLUMNS)}."
        )
    if "scope" not in found:
        raise ConfigurationProblem(
            f"The sheet has no column scope. What to do: its columns are {', '.join(COLUMNS)}; `export` writes one."
        )
