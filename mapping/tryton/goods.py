"""Products, stock levels and invoices of Tryton."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from core.money import ZERO
from mapping.canonical import ErpInvoice, ErpProduct, ErpSale, InvoiceLine, Key, StockLevel
from mapping.tryton.wire import (
    WORDS,
    Raw,
    amount,
    code_of,
    currency,
    day,
    fault,
    flag,
    many,
    newest,
    number,
    one,
    quantity,
    same,
    stock_id,
    text,
)

INVOICE_STATES: Final = {
    "draft": "draft",
    "validated": "draft",  # numbered in some countries, and still to be posted
    "posted": "open",
    "paid": "paid",
    "cancelled": "cancelled",
}
PROMISING: Final = frozenset({"confirmed", "processing", "done"})
"""States of a sale in which what it says holds: a draft or a quotation promises nothing yet, a cancelled one nothing any more."""
DIGITS: Final = 6
"""Decimals of a quantity whose unit does not tell its own."""


def product_from_tryton(key: Key, row: Raw) -> ErpProduct:
    """A row of `product.product`. Raises `Held`."""
    same(key, code_of(row), "code")
    return ErpProduct(
        key=key,
        name=text(row, "name"),
        price=number(row, "list_price_used"),
        currency=currency(row, "_currency"),
        unit=text(one(row, "default_uom"), "symbol", "default_uom."),
        active=flag(row, "active", absent=True),
        stamp=newest(row),
    )


def stock_from_tryton(key: Key, row: Raw) -> StockLevel:
    """A row of `product.product` that was read for one warehouse (`_warehouse`), at `_read_at`. Raises `Held`."""
    sku, warehouse = code_of(row), text(row, "_warehouse")
    same(key, stock_id(warehouse, sku), "code")
    digits = _digits(one(row, "default_uom"))
    on_hand = quantity(row, "quantity", digits)
    if on_hand is None:
        raise fault("quantity", "", "is missing", "see whether the module stock is active and the user may read stock")
    return StockLevel(
        key=key,
        sku=sku,
        name=text(row, "name"),
        warehouse=warehouse,
        on_hand=on_hand,
        available=quantity(row, "forecast_quantity", digits),
        read_at=WORDS.read_at(row),
    )


def _digits(uom: Raw) -> int:
    value = uom.get("digits")
    if value is None:
        return DIGITS
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 12:
        raise fault("default_uom.digits", value, "is not a number of decimals")
    return value


# -- invoices ----------------------------------------------------------------------------------------------------------


def invoice_from_tryton(key: Key, row: Raw) -> ErpInvoice:
    """A row of `account.invoice`. In Tryton a credit note is an invoice below zero: here its amounts are positive. Raises
    `Held`.
    """
    same(key, str(row.get("id")), "id")
    net, total = amount(row, "untaxed_amount"), amount(row, "total_amount")
    credit = total < 0 or (total == 0 and net < 0)
    sign = Decimal(-1) if credit else Decimal(1)
    return ErpInvoice(
        key=key,
        number=text(row, "number"),
        customer=code_of(one(row, "party")),
        order=_order(row),
        reference=_reference(row),
        status=INVOICE_STATES.get(text(row, "state"), "unknown"),
        issued=day(row, "invoice_date"),
        due=_due(row),
        currency=currency(one(row, "currency"), "code", "currency."),
        net=net * sign,
        tax=(total - net) * sign,
        total=total * sign,
        balance=_balance(row),
        credit=credit,
        lines=tuple(_line(line, sign) for line in many(row, "lines") if _is_line(line)),
        stamp=newest(row),
    )


def _order(row: Raw) -> str:
    """The sales this invoice is for, by their numbers; a sale without one by its reference."""
    sales = many(row, "sales")
    names = [text(sale, "number", "sales.") or text(sale, "reference", "sales.") for sale in sales]
    return ", ".join(dict.fromkeys(name for name in names if name))


def _reference(row: Raw) -> str:
    """What the customer calls it: the references of the sales, and the invoice's own."""
    names = [text(sale, "reference", "sales.") for sale in many(row, "sales")]
    return ", ".join(dict.fromkeys(name for name in [*names, text(row, "reference")] if name))


def _balance(row: Raw) -> Decimal | None:
    """What is owed of it; Tryton reckons that for posted ones alone."""
    left = number(row, "amount_to_pay") if text(row, "state") in {"posted", "paid"} else None
    return abs(left) if left is not None else None


def _due(row: Raw) -> date | None:
    """The last day on which something of it falls due."""
    days: Sequence[date | None] = [day(line, "maturity_date", "lines_to_pay.") for line in many(row, "lines_to_pay")]
    return max((found for found in days if found is not None), default=None)


def _is_line(line: Raw) -> bool:
    """Titles, comments and subtotals are lines in Tryton too."""
    return line.get("type") in (None, "line")


def _line(line: Raw, sign: Decimal) -> InvoiceLine:
    found = quantity(line, "quantity", _digits(one(line, "unit", "lines.")), "lines.")
    return InvoiceLine(
        sku=code_of(one(line, "product", "lines.")),
        name=text(line, "description", "lines.") or text(one(line, "product", "lines."), "name", "lines.product."),
        quantity=(found or ZERO) * sign,
        unit_price=number(line, "unit_price", "lines.") or ZERO,
        net=(number(line, "amount", "lines.") or ZERO) * sign,
        rate=_rate(line),
    )


def _rate(line: Raw) -> Decimal | None:
    """Percent of tax on a line: Tryton keeps 0.19 for 19 %. None where a tax is no percentage."""
    if line.get("taxes.") is None:
        return None
    rates = [number(tax, "rate", "lines.taxes.") for tax in many(line, "taxes", "lines.")]
    known = [rate for rate in rates if rate is not None]
    return sum(known, ZERO) * 100 if len(known) == len(rates) else None


# -- sales -------------------------------------------------------------------------------------------------------------


def sale_from_tryton(key: Key, row: Raw) -> ErpSale:
    """A row of `sale.sale`. What it promises is the day on which the last of its goods should leave: Tryton knows no day of
    arrival. Raises `Held`.
    """
    same(key, str(row.get("id")), "id")
    days = _days(row) if text(row, "state") in PROMISING else []
    return ErpSale(
        key=key,
        number=text(row, "number"),
        reference=text(row, "reference"),
        promised=max((found for found in days if found is not None), default=None),
        currency=currency(one(row, "currency"), "code", "currency."),
        total=number(row, "total_amount"),
        stamp=newest(row),
    )


def _days(row: Raw) -> list[date | None]:
    """The day that people wrote on the sale, which Tryton plans by only for articles with a lead time; and what it planned."""
    days = [day(row, "shipping_date")]
    for line in many(row, "lines"):
        if not _is_line(line):
            continue
        moves = [move for move in many(line, "moves", "lines.") if move.get("state") != "cancelled"]
        if not moves:
            days.append(day(line, "shipping_date", "lines."))
        timed = (one(line, "product", "lines.").get("lead_time"), row.get("_lead_time")) != (None, None)
        days += [_planned(move, text(row, "_promised"), timed=timed) for move in moves]
    return days


def _planned(move: Raw, which: str, *, timed: bool) -> date | None:
    """The goods of an article without a lead time (`timed` false) are planned for the day on which the sale is processed: nobody
    promised that.
    """
    now = day(move, "planned_date", "lines.moves.")
    first = day(move, "origin_planned_date", "lines.moves.") or now
    if which == "planned" and (timed or now != first):
        return now
    return first if timed else None
