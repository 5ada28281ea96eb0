"""A refund of WooCommerce's REST interface v3 (`orders/<id>/refunds`) to a Refund with its parts.

Seen on the wire (WooCommerce 10.0.2): `amount` is positive text, everything on its lines is negative; a line names what
it is for in the meta data `_refunded_item_id`; its quantity is 0 where only money went back; taxes are there only where
somebody entered them; an amount for nothing in particular has no lines at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mapping import reading
from mapping.canonical.order import Refund, RefundedPart
from mapping.reading import Raw
from mapping.woocommerce.lines import Rates, rates_of, taxes_of

REFERENCE: Final = "_refunded_item_id"
_LISTS: Final = ("line_items", "fee_lines", "shipping_lines")


def refund_from_woocommerce(raw: Mapping[str, Any]) -> Refund:
    """The refund with what it is for. Raises `Held` naming the field at fault."""
    rates = rates_of(reading.rows(raw, "tax_lines"))
    parts = [_part(row, rates, f"{name}[{n}].") for name in _LISTS for n, row in enumerate(reading.rows(raw, name))]
    return Refund(
        id=reading.text(raw, "id"),
        amount=abs(reading.amount(raw, "amount")),
        reason=reading.text(raw, "reason"),
        created=reading.moment(raw, "date_created_gmt"),
        parts=tuple(part for part in parts if part.net or part.taxes or part.quantity),
    )


def _part(row: Raw, rates: Rates, at: str) -> RefundedPart:
    taxes = [tax.model_copy(update={"amount": -tax.amount}) for tax in taxes_of(row, rates, at) if tax.amount]
    return RefundedPart(
        of=_of(row, at),
        quantity=abs(reading.amount_or_zero(row, "quantity", at)),
        net=-reading.amount_or_zero(row, "total", at),
        taxes=tuple(taxes),
    )


def _of(row: Raw, at: str) -> str:
    """The id of what the line is for; "" where none is named."""
    for n, meta in enumerate(reading.rows(row, "meta_data", at)):
        if meta.get("key") == REFERENCE:
            return reading.text(meta, "value", f"{at}meta_data[{n}].")
    return ""
