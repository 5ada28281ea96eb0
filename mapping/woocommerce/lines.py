"""The lines of a WooCommerce order: products, fees, shipping, and the tax on each by rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from core.money import ZERO
from mapping import reading
from mapping.canonical.order import LineKind, OrderLine, ShippingLine, TaxAmount
from mapping.reading import Raw


@dataclass(frozen=True, slots=True)
class Rate:
    """A tax rate as the order's header explains it."""

    label: str
    percent: Decimal | None
    compound: bool


MAX_PERCENT: Final = 1000
Rates = Mapping[str, Rate]


def rates_of(headers: Sequence[Raw]) -> dict[str, Rate]:
    """The order's tax rates by their id; lines name them by it."""
    rates: dict[str, Rate] = {}
    for n, row in enumerate(headers):
        at = f"tax_lines[{n}]."
        rates[reading.text(row, "rate_id", at)] = Rate(
            label=reading.text(row, "label", at) or reading.text(row, "rate_code", at),
            percent=_percent(row, at),
            compound=reading.flag(row, "compound", at),
        )
    return rates


def _percent(row: Raw, at: str) -> Decimal | None:
    if not reading.given(row, "rate_percent"):
        return None
    percent = reading.amount(row, "rate_percent", at)
    if not 0 <= percent <= MAX_PERCENT:
        raise reading.fault(f"{at}rate_percent", row["rate_percent"], "is not a rate of tax")
    return percent


def tax_totals(headers: Sequence[Raw], rates: Rates) -> tuple[TaxAmount, ...]:
    """The header's tax per rate, shipping included."""
    found = []
    for n, row in enumerate(headers):
        at = f"tax_lines[{n}]."
        amount = reading.amount_or_zero(row, "tax_total", at) + reading.amount_or_zero(row, "shipping_tax_total", at)
        found.append(_tax(rates.get(reading.text(row, "rate_id", at)), amount))
    return tuple(found)


def product_line(row: Raw, rates: Rates, at: str) -> OrderLine:
    """One product. A plugin may set a total above the subtotal: that is a price, not a negative discount."""
    net = reading.amount(row, "total", at)
    subtotal = max(reading.amount_or_zero(row, "subtotal", at), net)
    return OrderLine(
        id=reading.text(row, "id", at),
        sku=reading.text(row, "sku", at),
        name=reading.text(row, "name", at),
        quantity=reading.quantity(row, "quantity", at),
        subtotal=subtotal,
        discount=subtotal - net,
        net=net,
        taxes=taxes_of(row, rates, at),
        note=_note(row, at),
    )


def fee_line(row: Raw, rates: Rates, at: str) -> OrderLine:
    """A fee; it may be negative."""
    net = reading.amount(row, "total", at)
    return OrderLine(
        id=reading.text(row, "id", at),
        kind=LineKind.FEE,
        name=reading.text(row, "name", at),
        subtotal=net,
        net=net,
        taxes=taxes_of(row, rates, at),
    )


def shipping_line(row: Raw, rates: Rates, at: str) -> ShippingLine:
    """One way of delivery."""
    return ShippingLine(
        id=reading.text(row, "id", at),
        method=reading.text(row, "method_id", at),
        title=reading.text(row, "method_title", at),
        net=reading.amount(row, "total", at),
        taxes=taxes_of(row, rates, at),
    )


def taxes_of(row: Raw, rates: Rates, at: str) -> tuple[TaxAmount, ...]:
    """Tax by rate. An empty total means that the rate does not apply. Imported orders may have `total_tax` alone."""
    found = []
    for n, tax in enumerate(reading.rows(row, "taxes", at)):
        if not reading.given(tax, "total"):
            continue
        here = f"{at}taxes[{n}]."
        found.append(_tax(rates.get(reading.text(tax, "id", here)), reading.amount(tax, "total", here)))
    whole = reading.amount_or_zero(row, "total_tax", at)
    return tuple(found) if found or whole == ZERO else (TaxAmount(amount=whole),)


def _tax(rate: Rate | None, amount: Decimal) -> TaxAmount:
    if rate is None:
        return TaxAmount(amount=amount)
    return TaxAmount(label=rate.label, rate=rate.percent, amount=amount, compound=rate.compound)


def _note(row: Raw, at: str) -> str:
    """What the customer chose (`Colour: red`); names that begin with `_` are the shop's own business."""
    notes = []
    for n, meta in enumerate(reading.rows(row, "meta_data", at)):
        name, value = meta.get("key"), meta.get("value")
        if isinstance(name, str) and not name.startswith("_") and isinstance(value, str | int) and value != "":
            label = reading.text(meta, "display_key", f"{at}meta_data[{n}].") or name
            notes.append(f"{reading.clean(label)}: {reading.clean(str(value))}")
    return "; ".join(notes)
