"""Stock levels of WooCommerce: products and variations that keep their own stock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.clock import parse_utc
from core.errors import Held
from mapping.canonical import Key, StockLevel
from mapping.reading import clean, shown

WAREHOUSE = ""
"""A shop has one stock."""


def keeps_stock(row: Mapping[str, Any]) -> bool:
    """Whether a product or variation counts its own stock. A variation whose stock its product keeps says "parent"."""
    return row.get("manage_stock") is True


def stock_from_woocommerce(connection: str, row: Mapping[str, Any], read_at: datetime, group: str = "") -> StockLevel:
    """A row of `products` or of a product's `variations` that keeps stock. What orders took is off already: WooCommerce lowers
    the stock when an order is paid or put on hold. `group`: of a variation, its product's. Raises `Held`.
    """
    sku = clean(row.get("sku") or "").strip() if isinstance(row.get("sku"), str) else ""
    if not sku:
        raise Held(
            f"The product {row.get('id')} keeps stock and has no SKU, so nobody can tell which article it is. "
            "What to do: give it one in WooCommerce.",
            field="sku",
            error_class="mapping",
        )
    on_hand = _number(row, "stock_quantity")
    return StockLevel(
        key=Key(connection, "stock", f"{WAREHOUSE}/{sku}"),
        sku=sku,
        name=clean(row["name"]) if isinstance(row.get("name"), str) else "",
        group=group or group_of(row),
        warehouse=WAREHOUSE,
        on_hand=on_hand if on_hand is not None else Decimal(0),
        minimum=_number(row, "low_stock_amount"),
        stamp=_moment(row.get("date_modified_gmt")),
        read_at=read_at,
    )


def group_of(row: Mapping[str, Any]) -> str:
    """The first category."""
    categories = row.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else None
    name = first.get("name") if isinstance(first, Mapping) else None
    return clean(name) if isinstance(name, str) else ""


def _number(row: Mapping[str, Any], name: str) -> Decimal | None:
    """Whole, or with decimals where a plugin allows them; older shops tell text."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value)) if not isinstance(value, bool) else None
    except ArithmeticError:
        found = None
    if found is None or not found.is_finite():
        advice = "correct it in WooCommerce; it is read again then"
        message = f"WooCommerce's field {name}{shown(value)} is no quantity. What to do: {advice}."
        raise Held(message, field=name, error_class="mapping")
    return found


def _moment(value: object) -> datetime | None:
    try:
        return parse_utc(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
