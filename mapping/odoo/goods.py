"""Products, stock levels and invoices of Odoo."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from core.money import DECIMALS, ZERO
from mapping.canonical import ErpInvoice, ErpProduct, ErpSale, InvoiceLine, Key, StockLevel
from mapping.odoo.wire import (
    WORDS,
    Raw,
    amount,
    code_of,
    currency,
    day,
    empty,
    fault,
    flag,
    label,
    many,
    moment_of,
    newest,
    number,
    same,
    stock_id,
    text,
)

STATES: Final = {"draft": "draft", "cancel": "cancelled"}
"""An invoice's state -> status; what is posted goes by what was paid."""
PAYMENTS: Final = {
    "not_paid": "open",
    "partial": "open",
    "blocked": "open",
    "in_payment": "paid",  # paid, and not yet seen on the bank's statement
    "paid": "paid",
    "reversed": "paid",  # a credit note settles it: nothing is owed
}
REFUND: Final = "out_refund"
CONFIRMED: Final = frozenset({"sale", "done"})
"""States of a sales order in which what it says holds; until 16 a locked one is `done`."""


def product_from_odoo(key: Key, row: Raw) -> ErpProduct:
    """A row of `product.product`. Raises `Held`."""
    same(key, code_of(row, "default_code"), "default_code")
    return ErpProduct(
        key=key,
        name=text(row, "name"),
        price=number(row, "lst_price"),
        currency=currency(row, "currency_id"),
        unit=label(row, "uom_id"),
        active=flag(row, "active", absent=True),
        stamp=newest(row),
    )


def stock_from_odoo(key: Key, row: Raw) -> StockLevel:
    """A row of `product.product` that was read for one warehouse (`_warehouse`), at `_read_at`. Raises `Held`."""
    sku, warehouse = code_of(row, "default_code"), text(row, "_warehouse")
    same(key, stock_id(warehouse, sku), "default_code")
    on_hand = number(row, "qty_available")
    if on_hand is None:
        raise fault("qty_available", "", "is missing", "see whether Inventory is installed and the user may read stock")
    return StockLevel(
        key=key,
        sku=sku,
        name=text(row, "name"),
        group=label(row, "categ_id"),
        warehouse=warehouse,
        on_hand=on_hand,
        available=number(row, "virtual_available"),
        read_at=WORDS.read_at(row),
    )


# -- invoices ----------------------------------------------------------------------------------------------------------


def invoice_from_odoo(key: Key, row: Raw) -> ErpInvoice:
    """A row of `account.move`. A credit note has positive amounts in Odoo too; a draft below zero goes the other way. Raises
    `Held`.
    """
    same(key, str(row.get("id")), "id")
    money = currency(row, "currency_id")
    digits = DECIMALS.get(money, 2)
    total, refund = amount(row, "amount_total", digits), row.get("move_type") == REFUND
    sign = Decimal(-1) if total < 0 else Decimal(1)
    name = text(row, "name")
    return ErpInvoice(
        key=key,
        number="" if name == "/" else name,
        customer=text(row, "_customer"),
        order=text(row, "invoice_origin") or text(row, "ref"),
        reference=text(row, "ref"),
        status=_status(row),
        issued=day(row, "invoice_date"),
        due=day(row, "invoice_date_due"),
        currency=money,
        net=amount(row, "amount_untaxed", digits) * sign,
        tax=amount(row, "amount_tax", digits) * sign,
        total=total * sign,
        balance=_balance(row, digits),
        credit=refund != (total < 0),
        lines=tuple(_line(line, sign, digits) for line in many(row, "_lines") if _is_line(line)),
        stamp=newest(row),
    )


def _status(row: Raw) -> str:
    state = text(row, "state")
    if state == "posted":
        return PAYMENTS.get(text(row, "payment_state"), "unknown")
    return STATES.get(state, "unknown")


def _balance(row: Raw, digits: int) -> Decimal | None:
    """What is owed of it; a draft or a cancelled one tells a figure that means nothing."""
    left = number(row, "amount_residual", digits=digits) if text(row, "state") == "posted" else None
    return abs(left) if left is not None else None


def _is_line(line: Raw) -> bool:
    """Sections, notes, taxes and terms of payment are lines in Odoo too. 16 and later call a real one `product`."""
    return line.get("display_type") in (None, False, "product")


def _line(line: Raw, sign: Decimal, digits: int) -> InvoiceLine:
    net = number(line, "price_subtotal", "_lines.", digits=digits) or ZERO
    gross = number(line, "price_total", "_lines.", digits=digits)
    return InvoiceLine(
        sku=code_of(line, "_sku"),
        name=text(line, "name", "_lines.") or label(line, "product_id", "_lines."),
        quantity=(number(line, "quantity", "_lines.") or ZERO) * sign,
        unit_price=number(line, "price_unit", "_lines.") or ZERO,
        net=net * sign,
        tax=(gross - net) * sign if gross is not None else None,
    )


# -- sales -------------------------------------------------------------------------------------------------------------


def sale_from_odoo(key: Key, row: Raw) -> ErpSale:
    """A row of `sale.order`. What it promises is its *Delivery Date*, which people set: Odoo says of it that it is "promised to
    the customer", and keeps it as a moment. Raises `Held`.
    """
    same(key, str(row.get("id")), "id")
    money = currency(row, "currency_id")
    return ErpSale(
        key=key,
        number=text(row, "name"),
        reference=text(row, "client_order_ref"),
        promised=_committed(row) if text(row, "state") in CONFIRMED else None,
        currency=money,
        total=number(row, "amount_total", digits=DECIMALS.get(money, 2)),
        stamp=newest(row),
    )


def _committed(row: Raw) -> datetime | None:
    value = row.get("commitment_date")
    if empty(value):
        return None
    found = moment_of(value)
    if found is None:
        raise fault("commitment_date", value, "is not a date and time")
    return found
