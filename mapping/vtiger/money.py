"""An order's money in vtiger's terms, so that its grand total equals the store's to the cent.

vtiger computes totals from the lines and ignores ours. With `hdnTaxType: individual` its formula is (proven by 80 of 80
recorded orders): Σ (quantity x listprice - discount_amount) x (1 + Σ tax_i / 100) + shipping x (1 + shtax1 / 100)
+ txtAdjustment, unrounded. Quantities and percentages are kept with three decimals, prices with eight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from core.money import ZERO, minor_unit
from mapping.canonical import OrderLine, SalesOrder, ShippingLine, TaxAmount

THREE: Final = Decimal("0.001")
EIGHT: Final = Decimal("0.00000001")
HUNDRED: Final = Decimal(100)
MAX_RATE: Final = Decimal("999.999")


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line as vtiger keeps it. `source` is the order's line it stands for; None: shipping that became a line."""

    source: OrderLine | None
    quantity: Decimal
    price: Decimal
    discount: Decimal
    rate: Decimal
    folded: bool = False
    """The quantity has more than three decimals: the line stands there once, at its whole price."""

    @property
    def net(self) -> Decimal:
        """Net amount as vtiger computes it."""
        return self.quantity * self.price - self.discount


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """A whole order as vtiger keeps it."""

    lines: tuple[PricedLine, ...]
    shipping: Decimal
    shipping_rate: Decimal
    adjustment: Decimal

    @property
    def total(self) -> Decimal:
        """The grand total vtiger will compute, unrounded."""
        return server_total(
            ((line.net, line.rate) for line in self.lines), self.shipping, self.shipping_rate, self.adjustment
        )


def server_total(
    lines: Iterable[tuple[Decimal, Decimal]], shipping: Decimal, shipping_rate: Decimal, adjustment: Decimal
) -> Decimal:
    """Vtiger's own formula over (net, percent) per line."""
    taxed = sum((net * (HUNDRED + rate) / HUNDRED for net, rate in lines), ZERO)
    return taxed + shipping * (HUNDRED + shipping_rate) / HUNDRED + adjustment


def represent(order: SalesOrder) -> OrderMoney:
    """The order in vtiger's terms; the residue, the shop's own rounding included, is the adjustment."""
    cent = minor_unit(order.currency)
    lines = [_line(line, cent) for line in order.lines]
    shipping, shipping_rate = _shipping(order.shipping_lines, cent)
    if shipping < 0 or (shipping and not lines):
        # A negative charge was never seen on the wire, and an order without lines is refused: it stands as a line.
        lines.append(PricedLine(None, Decimal(1), shipping, ZERO, shipping_rate))
        shipping = shipping_rate = ZERO
    without = server_total(((line.net, line.rate) for line in lines), shipping, shipping_rate, ZERO)
    adjustment = (order.total - without).quantize(EIGHT, rounding=ROUND_HALF_UP)
    return OrderMoney(tuple(lines), shipping, shipping_rate, adjustment)


def _line(line: OrderLine, cent: Decimal) -> PricedLine:
    gross = max(line.subtotal, line.net)  # a surcharge is part of the price: discount_amount is never negative
    rate = rate_of(line.net, line.taxes, cent)
    folded = line.quantity <= 0 or line.quantity != line.quantity.quantize(THREE)
    quantity = Decimal(1) if folded else line.quantity
    price = (gross / quantity).quantize(EIGHT, rounding=ROUND_HALF_UP)
    return PricedLine(line, quantity, price, (gross - line.net).quantize(EIGHT, rounding=ROUND_HALF_UP), rate, folded)


def _shipping(lines: tuple[ShippingLine, ...], cent: Decimal) -> tuple[Decimal, Decimal]:
    net = sum((line.net for line in lines), ZERO)
    rates = {rate_of(line.net, line.taxes, cent) for line in lines if line.net}
    if len(rates) == 1:
        return net, rates.pop()
    return net, _effective(net, sum((line.tax for line in lines), ZERO))


def rate_of(net: Decimal, taxes: tuple[TaxAmount, ...], cent: Decimal) -> Decimal:
    """The one percentage of an amount, with three decimals.

    The shop's own rate where exactly one applies and explains the tax to the cent; else (compound, several, exempt) the
    effective one.
    """
    tax = sum((part.amount for part in taxes), ZERO)
    charged = [part for part in taxes if part.rate is not None and (part.amount or not part.rate)]
    if len(charged) == 1 and len([part for part in taxes if part.amount]) <= 1 and not charged[0].compound:
        rate = (charged[0].rate or ZERO).quantize(THREE, rounding=ROUND_HALF_UP)
        if ZERO <= rate <= MAX_RATE and abs(net * rate / HUNDRED - tax) <= cent:
            return rate
    return _effective(net, tax)


def _effective(net: Decimal, tax: Decimal) -> Decimal:
    if not net or not tax:
        return ZERO.quantize(THREE)
    rate = (tax / net * HUNDRED).quantize(THREE, rounding=ROUND_HALF_UP)
    # A percentage that the field cannot hold, or a tax against its amount's sign: the adjustment carries the tax.
    return rate if ZERO <= rate <= MAX_RATE else ZERO.quantize(THREE)
