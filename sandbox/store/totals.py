"""The stand-in store's sums: exact, in Decimal, tax per line and rate, each rounded half up to the currency's cents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CURRENCIES = {"EUR": 2, "USD": 2, "CHF": 2, "JPY": 0}
"""Currencies of the form, with their decimals."""
COUPONS = {"TEN": Decimal(10), "QUARTER": Decimal(25)}
"""Coupon codes and the percentage they take off every line."""


@dataclass(frozen=True, slots=True)
class Priced:
    """One priced line: quantity x unit_price - discount = net, exactly; `tax` belongs to `net`."""

    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    net: Decimal
    rate: Decimal
    tax: Decimal


def to_cents(amount: Decimal, currency: str) -> Decimal:
    """Rounded half up to the currency's smallest unit."""
    return amount.quantize(Decimal(1).scaleb(-CURRENCIES[currency]), rounding=ROUND_HALF_UP)


def price_line(quantity: Decimal, unit_price: Decimal, rate: Decimal, *, percent_off: Decimal, currency: str) -> Priced:
    """Price one line of whole pieces: unit price, discount and the tax on what remains are whole cents."""
    unit = to_cents(unit_price, currency)
    discount = to_cents(quantity * unit * percent_off / 100, currency)
    net = quantity * unit - discount
    return Priced(quantity, unit, discount, net, rate, to_cents(net * rate / 100, currency))


def flat(amount: Decimal, rate: Decimal, currency: str) -> Priced:
    """A fee or a shipping charge: one piece, no discount."""
    return price_line(Decimal(1), amount, rate, percent_off=Decimal(0), currency=currency)


def taxes_json(priced: Priced) -> list[dict[str, str]]:
    """The line's one tax, as the order document writes taxes."""
    return [{"label": "VAT", "rate": plain(priced.rate), "amount": f"{priced.tax:f}"}]


def totals_json(lines: Iterable[Priced], fees: Iterable[Priced], shipping: Iterable[Priced]) -> dict[str, str]:
    """`net` is lines and fees, `shipping` the shipping net, `tax` all taxes; total = net + shipping + tax.
    `discount` is already inside the lines' nets and stands here for information.
    """
    lines, fees, shipping = list(lines), list(fees), list(shipping)
    goods = sum((item.net for item in [*lines, *fees]), Decimal(0))
    carried = sum((item.net for item in shipping), Decimal(0))
    tax = sum((item.tax for item in [*lines, *fees, *shipping]), Decimal(0))
    discount = sum((item.discount for item in lines), Decimal(0))
    sums = {"net": goods, "discount": discount, "shipping": carried, "tax": tax, "total": goods + carried + tax}
    return {name: f"{amount:f}" for name, amount in sums.items()}


def plain(number: Decimal) -> str:
    """A number as people write it: no exponent, no trailing zeros after the point."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_tax(line: dict[str, Any]) -> Decimal:
    """What the line costs the buyer."""
    return Decimal(line["net"]) + sum((Decimal(tax["amount"]) for tax in line["taxes"]), Decimal(0))
