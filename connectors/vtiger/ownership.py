"""Which of an order's fields in vtiger belong to which part of an order, for updates that leave some parts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from connectors.roles import Ownership
from mapping.canonical import SalesOrder
from mapping.vtiger import OrderFields, Place
from mapping.vtiger.order import CHARGE
from mapping.vtiger.text import EMPTY

_ADDRESS: Final = ("street", "city", "state", "code", "country")
_MONEY: Final = ("LineItems", "productid", "hdnTaxType", "txtAdjustment", "currency_id", "conversion_rate")
_FIXED: Final[dict[str, str]] = {
    "sostatus": "status",
    "subject": "subject",
    "assigned_user_id": "owner",
    "contact_id": "contact",
    "account_id": "account",
    "description": "notes",
    **{f"bill_{part}": "billing" for part in _ADDRESS},
    **{f"ship_{part}": "shipping" for part in _ADDRESS},
    **dict.fromkeys(_MONEY, "lines"),
}
ALWAYS: Final = frozenset({"invoicestatus"})
"""Belong to no part: what vtiger demands at creation. So does the external id."""


def part_of(field: str, order: SalesOrder, fields: OrderFields) -> str:
    """The part of an order (connectors.roles.OWNED) that a field of vtiger carries; "" for one that is always ours."""
    if field in ALWAYS or field == fields.external_id:
        return ""
    if field in _FIXED:
        return _FIXED[field]
    if field == CHARGE or field.startswith(f"{CHARGE}_"):
        return "lines"
    by_install = {
        fields.purchase_order: "purchase_order",
        fields.delivery: "delivery_method",
        fields.payment: "payment_method",
    }
    return by_install.get(field) or ("custom" if field in dict(order.custom) else "")


def without_kept_words(place: Place, ownership: Ownership) -> Place:
    """Methods without a field of their own stand in the description: kept ones must not come in by that way."""
    if not place.fields.delivery and "delivery_method" in ownership.keep:
        place = replace(place, delivery="")
    if not place.fields.payment and "payment_method" in ownership.keep:
        place = replace(place, payment="")
    return place


def kept(element: Mapping[str, Any], order: SalesOrder, fields: OrderFields, ownership: Ownership) -> frozenset[str]:
    """The fields of an element that are never sent."""
    return frozenset(field for field in element if part_of(field, order, fields) in ownership.keep)


def filled(
    element: Mapping[str, Any],
    order: SalesOrder,
    fields: OrderFields,
    ownership: Ownership,
    there: Mapping[str, Any],
) -> frozenset[str]:
    """The fields that are sent only while empty, and are not empty in `there`, the order as vtiger has it.

    A part is filled as a whole (half an address would be nobody's), custom fields each by itself.
    """
    parts = {field: part for field in element if (part := part_of(field, order, fields)) in ownership.fill}
    taken = {field for field, part in parts.items() if not _empty(field, part, there)}
    whole = {parts[field] for field in taken} - {"custom"}
    return frozenset(field for field, part in parts.items() if field in taken or part in whole)


def _empty(field: str, part: str, there: Mapping[str, Any]) -> bool:
    """Whether nothing stands there. Lines speak for all of the money: an order without them has no sums either."""
    if part == "lines":
        return not there.get("LineItems")
    return str(there.get(field) or "").strip() in {"", EMPTY}
