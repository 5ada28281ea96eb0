"""A store's SKUs to the CRM's products, remembered for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final

from connectors.roles import Crm, CrmProduct
from mapping.canonical import LineKind, SalesOrder

KNOWN_FOR: Final = 600.0
UNKNOWN_FOR: Final = 30.0
MOST: Final = 50_000


class ProductCache:
    """SKU -> product per CRM: known ones for ten minutes, unknown ones for half a minute (somebody may just be adding it)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], tuple[float, CrmProduct | None]] = {}

    def find(self, crm: Crm, skus: list[str]) -> dict[str, CrmProduct]:
        """Products by SKU; the CRM is asked once for all that are not remembered. Unknown ones are absent."""
        now = time.monotonic()
        with self._lock:
            remembered = {sku: self._entries.get((crm.name, sku)) for sku in skus}
        fresh = {sku: entry[1] for sku, entry in remembered.items() if entry is not None and entry[0] > now}
        missing = [sku for sku in skus if sku not in fresh]
        if missing:
            found = crm.find_products(missing)
            self._keep(crm.name, missing, found, now)
            fresh |= {sku: found.get(sku) for sku in missing}
        return {sku: product for sku, product in fresh.items() if product is not None}

    def _keep(self, crm: str, skus: list[str], found: Mapping[str, CrmProduct], now: float) -> None:
        with self._lock:
            if len(self._entries) > MOST:
                self._entries.clear()
            for sku in skus:
                product = found.get(sku)
                self._entries[crm, sku] = (now + (KNOWN_FOR if product else UNKNOWN_FOR), product)

    def forget(self) -> None:
        """Ask again next time."""
        with self._lock:
            self._entries.clear()


def resolve(cache: ProductCache, crm: Crm, order: SalesOrder) -> dict[str, CrmProduct]:
    """The order's products in the CRM, by SKU. A line without a SKU, or with an unknown one, is parked by the connector."""
    skus = list(dict.fromkeys(line.sku for line in order.lines if line.kind is LineKind.PRODUCT and line.sku))
    return cache.find(crm, skus) if skus else {}
