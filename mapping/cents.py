"""Every cent of an order by name: what is added up to its total, and what is left where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mapping.canonical.order import LineKind, OrderLine, SalesOrder, TaxAmount
from mapping.refunds import taken_off

Part = Literal["line", "discount", "fee", "shipping", "refund", "tax", "rounding"]


@dataclass(frozen=True, slots=True)
class Cent:
    """One amount. Discounts are negative here; amounts exclude tax, which stands by itself per rate."""

    part: Part
    name: str
    amount: Decimal
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cents:
    """An order's amounts. `difference` = total - sum of parts: anything but nought means that it does not balance."""

    parts: tuple[Cent, ...]
    total: Decimal
    currency: str
    refunded: Decimal = Decimal(0)
    """What went back and is not part of the total."""
    reason: str = ""
    """Why there is a rounding."""

    @property
    def sum(self) -> Decimal:
        """What the parts add up to."""
        return sum((part.amount for part in self.parts), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """What is left unexplained."""
        return self.total - self.sum

    @property
    def balances(self) -> bool:
        """To the cent, and beyond."""
        return not self.difference


def cents(order: SalesOrder) -> Cents:
    """The parts of the order's total: lines and fees, discounts, shipping, refunds, taxes by rate, rounding (pure)."""
    products = [line for line in order.lines if line.kind is LineKind.PRODUCT]
    fees = [line for line in order.lines if line.kind is LineKind.FEE]
    parts = [Cent("line", line.name or line.sku or line.id, line.subtotal, _detail(line)) for line in products]
    parts += [
        Cent("discount", line.name or line.sku or line.id, line.net - line.subtotal)
        for line in products
        if line.net != line.subtotal
    ]
    parts += [Cent("fee", line.name or line.id, line.net) for line in fees]
    parts += [Cent("shipping", line.title or line.method or line.id, line.net) for line in order.shipping_lines]
    off = [line for line in order.lines if line.kind is LineKind.REFUND]
    parts += [Cent("refund", line.name, line.net, line.note) for line in off]
    parts += _taxes(order)
    if order.rounding:
        parts.append(Cent("rounding", "", order.rounding, order.rounding_reason))
    apart = sum((refund.amount for refund in order.refunds if refund.id not in taken_off(order)), Decimal(0))
    return Cents(tuple(parts), order.total, order.currency, apart, order.rounding_reason)


def _detail(line: OrderLine) -> str:
    return f"{line.sku} x {line.quantity.normalize():f}" if line.sku else f"x {line.quantity.normalize():f}"


def _taxes(order: SalesOrder) -> list[Cent]:
    by_rate: dict[tuple[str, Decimal | None], Decimal] = {}
    amounts: list[TaxAmount] = [tax for line in order.lines for tax in line.taxes]
    amounts += [tax for line in order.shipping_lines for tax in line.taxes]
    for tax in amounts:
        name = (tax.label, tax.rate)
        by_rate[name] = by_rate.get(name, Decimal(0)) + tax.amount
    return [
        Cent("tax", label, amount, "" if rate is None else f"{rate.normalize():f} %")
        for (label, rate), amount in by_rate.items()
        if amount
    ]
