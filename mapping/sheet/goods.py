"""Products, stock and invoices from rows."""

from __future__ import annotations

from typing import Final

from mapping.canonical import ErpInvoice, ErpProduct, Key, StockLevel
from mapping.sheet.fields import Fields, Words, amount, currency, day, number, same, text, yes

_STATUS: Final[dict[str, str]] = {
    **dict.fromkeys(("draft", "d"), "draft"),
    **dict.fromkeys(("open", "o", "posted", "unpaid"), "open"),
    **dict.fromkeys(("paid", "p", "closed", "c"), "paid"),
    **dict.fromkeys(("cancelled", "canceled", "void", "x"), "cancelled"),
}
"""Words for where an invoice stands, and KommerceServer's letters."""
_CREDIT: Final = frozenset({"1", "y", "yes", "true", "credit", "credit note", "cr"})


def product_from_sheet(key: Key, fields: Fields, words: Words) -> ErpProduct:
    """An article. Raises `Held`."""
    same(key.id, "product", fields, words)
    return ErpProduct(
        key=key,
        name=text(fields, "name"),
        price=number(fields, "price", words),
        currency=currency(fields),
        unit=text(fields, "unit"),
        active=yes(fields, "active", words),
    )


def stock_from_sheet(key: Key, fields: Fields, words: Words) -> StockLevel:
    """How much is where. Raises `Held`."""
    same(key.id, "stock", fields, words)
    return StockLevel(
        key=key,
        sku=text(fields, "sku"),
        name=text(fields, "name"),
        group=text(fields, "group"),
        warehouse=text(fields, "warehouse") or words.warehouse,
        on_hand=amount(fields, "on_hand", words),
        available=number(fields, "available", words),
        minimum=number(fields, "minimum", words),
    )


def invoice_from_sheet(key: Key, fields: Fields, words: Words) -> ErpInvoice:
    """A bill; one below zero, or marked so, is a credit note with positive amounts. Raises `Held`."""
    same(key.id, "invoice", fields, words)
    net, tax, total = (amount(fields, name, words) for name in ("net", "tax", "total"))
    credit = total < 0 or text(fields, "credit").lower() in _CREDIT
    sign = -1 if total < 0 else 1
    status = text(fields, "status").lower()
    return ErpInvoice(
        key=key,
        number=text(fields, "number"),
        customer=text(fields, "customer"),
        order=text(fields, "order"),
        reference=text(fields, "order"),
        status=_STATUS.get(status, "unknown" if status else ""),
        issued=day(fields, "issued", words),
        due=day(fields, "due", words),
        currency=currency(fields),
        net=net * sign,
        tax=tax * sign,
        total=total * sign,
        balance=abs(balance) if (balance := number(fields, "balance", words)) is not None else None,
        credit=credit,
    )
