"""From the raw text that the ledger keeps of an order back to the order: what every store does alike."""

from __future__ import annotations

from typing import Any

from core.errors import Held
from core.jsontext import BOM, loads
from core.keys import Key
from mapping.canonical.order import SalesOrder
from mapping.reading import fault


def stored(raw: bytes, what_to_do: str) -> dict[str, Any]:
    """The JSON object that was stored. Raises `Held` where it is none."""
    try:
        body = loads(raw.removeprefix(BOM))
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    raise Held(f"What is stored for this order is not a JSON object. What to do: {what_to_do}.", error_class="mapping")


def of_record(key: Key, order: SalesOrder, field: str) -> SalesOrder:
    """The order, if it is this record's. Raises `Held`."""
    if order.key != key:
        raise fault(field, order.key.id, f"is not the id of this record ({key.id})", "report this as a bug")
    return order
