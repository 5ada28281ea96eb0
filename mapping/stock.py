"""When stock counts as low, whom that concerns, and what it puts at risk. Pure: levels and orders in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fnmatch import fnmatchcase
from typing import Literal, Protocol

Verdict = Literal["open", "keep", "close", ""]
"""An alert is to be opened; the open one stays; it is over; there is none and none is needed."""


class Limit(Protocol):
    """A threshold as people set it. `subject`: an article's number or a group's name; `warehouse` "": every one."""

    @property
    def scope(self) -> str:
        """product, group or warehouse."""
        ...

    @property
    def subject(self) -> str: ...

    @property
    def warehouse(self) -> str: ...

    @property
    def owner(self) -> str: ...

    @property
    def minimum(self) -> Decimal | None: ...

    @property
    def target(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one item. `target`: how much there should be again after buying; `by`: where the minimum stands."""

    minimum: Decimal
    owner: str = ""
    target: Decimal | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Usual:
    """What holds where no threshold says otherwise."""

    minimum: Decimal | None = None
    owner: str = ""
    reorder_points: bool = True
    groups: Mapping[str, Sequence[str]] | None = None
    """Group -> patterns of article numbers, for articles whose source names no group."""


class Rules:
    """The thresholds of one source. Each of minimum, owner and target is the nearest that is set: of the article in this
    warehouse, of the article, the source's own (a minimum alone), of the group here, of the group, of the warehouse, the usual.
    """

    def __init__(self, limits: Iterable[Limit], usual: Usual) -> None:
        self._limits: dict[tuple[str, str, str], Limit] = {}
        self._near: dict[tuple[str, str], Limit] = {}
        for limit in limits:
            if limit.scope == "product":
                self._near[limit.subject, limit.warehouse] = limit
            else:
                self._limits[limit.scope, limit.subject, limit.warehouse] = limit
        self._usual = usual
        self._wide: dict[tuple[str, str], list[Limit]] = {}
        self._common: dict[tuple[str, str], Rule | None] = {}
        """What holds in a group and a warehouse for the articles, most of them, of which nobody says anything else."""
        self._patterns = [(name, pattern) for name, every in (usual.groups or {}).items() for pattern in every]

    def turn_to(self, limits: Iterable[Limit]) -> None:
        """The articles that are asked for from now on have these limits; those of others are forgotten."""
        self._near = {(limit.subject, limit.warehouse): limit for limit in limits}

    def group_of(self, sku: str, group: str) -> str:
        """The source's group, else the first whose pattern fits; "": none."""
        return group or next((name for name, pattern in self._patterns if fnmatchcase(sku, pattern)), "")

    def of(self, warehouse: str, sku: str, group: str, own: Decimal | None) -> Rule | None:
        """What holds for an item, whose source has `own` as its minimum; None: no threshold at all."""
        place = (self.group_of(sku, group), warehouse)
        near = [self._near[name] for name in ((sku, warehouse), (sku, "")) if name in self._near] if self._near else []
        if near or own is not None:
            return self._rule(near, own, place)
        if place not in self._common:
            self._common[place] = self._rule(near, own, place)
        return self._common[place]

    def _rule(self, near: list[Limit], own: Decimal | None, place: tuple[str, str]) -> Rule | None:
        wide = self._wide.get(place)
        if wide is None:
            wide = self._wide[place] = self._wider(*place)
        minimum, by = self._minimum(near, own, wide)
        if minimum is None:
            return None
        every = [*near, *wide]
        owner = next((limit.owner for limit in every if limit.owner), self._usual.owner)
        target = next((limit.target for limit in every if limit.target is not None), None)
        return Rule(minimum, owner, target if target is not None and target >= minimum else None, by)

    def _wider(self, group: str, warehouse: str) -> list[Limit]:
        groups = self._found(("group", group, warehouse), ("group", group, "")) if group else []
        return [*groups, *self._found(("warehouse", "", warehouse))]

    def _found(self, *names: tuple[str, str, str]) -> list[Limit]:
        found = [self._limits.get(name) for name in names]
        return [limit for limit in found if limit is not None]

    def _minimum(self, near: list[Limit], own: Decimal | None, wide: list[Limit]) -> tuple[Decimal | None, str]:
        for limit in near:
            if limit.minimum is not None:
                return limit.minimum, limit.scope
        if own is not None and self._usual.reorder_points:
            return own, "source"
        for limit in wide:
            if limit.minimum is not None:
                return limit.minimum, limit.scope
        return self._usual.minimum, "usual"


def verdict(quantity: Decimal, rule: Rule | None, hysteresis: Decimal, *, is_open: bool) -> Verdict:
    """What an alert has to do. It opens below the minimum, and closes at the minimum and a share of it more: a level that swings
    around its threshold opens one alert.
    """
    if rule is None:
        return "close" if is_open else ""
    if not is_open:
        return "open" if quantity < rule.minimum else ""
    return "close" if quantity >= rule.minimum + abs(rule.minimum) * hysteresis else "keep"


def free_to_sell(quantities: Iterable[Decimal], safety: Decimal, needed: Decimal = Decimal(0)) -> Decimal:
    """What may be sold of an article: what is in its warehouses, without the safety stock and what open orders need; never
    below 0.
    """
    return max(sum(quantities, Decimal(0)) - safety - needed, Decimal(0))


def days_of_cover(there: Decimal, ordered: Decimal, days: int) -> int | None:
    """For how many whole days `there` lasts if orders go on as in the last `days`; None where nothing was ordered."""
    if ordered <= 0:
        return None
    return int((max(there, Decimal(0)) * days / ordered).to_integral_value(ROUND_FLOOR))


class Waiting(Protocol):
    """An open order and how much of an article it waits for."""

    @property
    def order_key(self) -> str: ...

    @property
    def quantity(self) -> Decimal: ...

    @property
    def total(self) -> Decimal: ...

    @property
    def currency(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Risk:
    """Orders that cannot be filled from what is there. `money`: their totals by currency."""

    orders: tuple[str, ...] = ()
    money: tuple[tuple[str, Decimal], ...] = ()


def at_risk(there: Decimal, orders: Sequence[Waiting]) -> Risk:
    """The orders for which too little is left when those before them have taken theirs."""
    return risk_of(short(there, orders))


def short(there: Decimal, orders: Sequence[Waiting]) -> list[Waiting]:
    """The orders that what is there does not reach for, in the given order of who is served first. An order that needs more
    than is left takes nothing: a smaller one behind it may still be filled.
    """
    left, found = there, []
    needs: dict[str, Decimal] = {}
    for order in orders:
        needs[order.order_key] = needs.get(order.order_key, Decimal(0)) + order.quantity
    firsts = {order.order_key: order for order in reversed(orders)}
    for key, need in needs.items():
        if need <= left:
            left -= need
        else:
            found.append(firsts[key])
    return found


def risk_of(orders: Iterable[Waiting]) -> Risk:
    """The same orders, each once, with their money."""
    once = {order.order_key: order for order in orders}
    money: dict[str, Decimal] = {}
    for order in once.values():
        money[order.currency] = money.get(order.currency, Decimal(0)) + order.total
    return Risk(tuple(once), tuple(sorted(money.items())))
